package gateway

import (
	"bytes"
	"container/list"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// maxKept is the largest body that the cache of answers keeps, in bytes.
const maxKept = 1 << 20

// CacheLocation says who may keep answers.
type CacheLocation uint8

// The locations.
const (
	CacheAnywhere CacheLocation = iota // the gateway, proxies and clients
	CacheAtClient                      // the client alone: the gateway keeps nothing
	CacheNowhere                       // nobody without asking again: the gateway keeps nothing
)

// String returns the name of the location.
func (l CacheLocation) String() string {
	switch l {
	case CacheAnywhere:
		return "any"
	case CacheAtClient:
		return "client"
	case CacheNowhere:
		return "none"
	}
	return fmt.Sprintf("CacheLocation(%d)", uint8(l))
}

// CacheRules say how answers are kept, where there is a duration for it. The zero value lets the gateway and everybody else keep
// them, by all that they depend on: the route with its parameters, the headers Accept, Accept-Encoding, Accept-Language and Origin.
//
// Requests that say whom they are from, with Authorization or a cookie, or whose user is known, get an answer of their own, and
// nobody else gets it. So do those that ask for a part or with a condition. A header of one's own that says who somebody is, such as a
// key, belongs into VaryByHeader.
type CacheRules struct {
	// Location says who may keep answers. Default [CacheAnywhere].
	Location CacheLocation
	// VaryByHeader are more headers of the request that answers depend on. Default none.
	VaryByHeader []string
	// VaryByQueryKeys are query values that answers depend on, beside parameters; "*" is all of them. Default none.
	VaryByQueryKeys []string
	// NoStore forbids everybody to keep anything, whatever the service or the durations say. Default false.
	NoStore bool
}

func (c *CacheRules) check() error {
	if c.Location > CacheNowhere {
		return fmt.Errorf("cache location %v, want any, client or none", c.Location)
	}
	for _, name := range c.VaryByHeader {
		if name == "" || strings.ContainsAny(name, " ,*\r\n\x00") {
			return fmt.Errorf("vary by header %q, want the name of a header", name)
		}
		if strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Cookie") {
			return fmt.Errorf("vary by header %q, want another: such answers are not kept", name)
		}
	}
	return nil
}

// rules returns the rules of the route: its own, or those of the service.
func (r *apiRoute) rules() *CacheRules {
	if r.CacheRules != nil {
		return r.CacheRules
	}
	return &r.api.api.CacheRules
}

// control returns what an answer says of who may keep it: text, if it is not empty, in place of what the service says if must is true
// or the service says nothing.
func (r *apiRoute) control() (text string, must bool) {
	rules := r.rules()
	switch {
	case rules.NoStore:
		return "no-store", true
	case r.Cache <= 0 || r.Verb != http.MethodGet:
		return "no-store", false
	case rules.Location == CacheAtClient:
		return "private, max-age=" + strconv.Itoa(int(r.Cache/time.Second)), false
	case rules.Location == CacheNowhere:
		return "no-cache", false
	}
	return "no-store", false // it was asked for, or is, for one alone
}

// keyHeaders are those that an answer may depend on (Vary) and be kept.
var keyHeaders = []string{"Accept", "Accept-Encoding", "Accept-Language", "Origin"}

// cacheable reports whether an answer may be kept for others, or another's taken: not if the request says who it is from.
func (r *apiRoute) cacheable(req *http.Request) bool {
	if rules := r.rules(); r.Cache <= 0 || r.Verb != http.MethodGet || rules.NoStore || rules.Location != CacheAnywhere || hubbub.UserFrom(req.Context()) != nil {
		return false
	}
	for _, name := range []string{"Authorization", "Cookie", "Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if req.Header.Get(name) != "" {
			return false
		}
	}
	asks := strings.ToLower(strings.Join(append(req.Header.Values("Cache-Control"), req.Header.Values("Pragma")...), ","))
	return !strings.Contains(asks, "no-cache") && !strings.Contains(asks, "no-store")
}

// storable reports whether the service lets its answer be kept, and it has an end.
func (r *apiRoute) storable(res *http.Response) bool {
	if res.StatusCode != http.StatusOK || res.Header.Get("Set-Cookie") != "" || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return false
	}
	says := strings.ToLower(strings.Join(res.Header.Values("Cache-Control"), ","))
	for _, no := range []string{"no-store", "no-cache", "private"} {
		if strings.Contains(says, no) {
			return false
		}
	}
	for _, line := range res.Header.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !hasHeader(keyHeaders, name) && !hasHeader(r.rules().VaryByHeader, name) {
				return false
			}
		}
	}
	return true
}

func hasHeader(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// cacheKey names all that an answer depends on, but the method.
func cacheKey(r *http.Request, route *apiRoute, path string) string {
	var b strings.Builder
	add := func(name string, values []string) {
		b.WriteString(strconv.Quote(name))
		for _, v := range values {
			b.WriteString(strconv.Quote(v))
		}
		b.WriteByte('\n')
	}
	add(path, []string{strconv.FormatUint(route.api.state.number, 10), route.api.key, route.key})
	rules := route.rules()
	for _, name := range keyHeaders {
		add(name, r.Header.Values(name))
	}
	for _, name := range rules.VaryByHeader {
		add(name, r.Header.Values(name))
	}
	if len(rules.VaryByQueryKeys) > 0 {
		query := r.URL.Query()
		for _, key := range slices.Sorted(maps.Keys(query)) {
			if slices.ContainsFunc(rules.VaryByQueryKeys, func(k string) bool { return k == "*" || strings.EqualFold(k, key) }) {
				add("?"+strings.ToLower(key), query[key])
			}
		}
	}
	return b.String()
}

// answer is what is kept. It does not change once it is in the cache.
type answer struct {
	header http.Header
	body   []byte
	head   bool          // it is one to HEAD, which has no body
	vary   []string      // headers that it depends on, beside those that the service names
	life   time.Duration // from born on

	key  string
	born time.Time
}

// write gives the answer to a client.
func (a *answer) write(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = slices.Clip(values)
	}
	addVary(h, a.vary)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(a.life/time.Second)))
	if !a.born.IsZero() {
		h.Set("Age", strconv.Itoa(int(time.Since(a.born)/time.Second)))
	}
	if !a.head { // one to HEAD says it already
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(http.StatusOK)
	w.Write(a.body)
}

// addVary names more headers that an answer depends on.
func addVary(h http.Header, names []string) {
	for _, name := range names {
		if !hasHeader(strings.Split(strings.ReplaceAll(strings.Join(h.Values("Vary"), ","), " ", ""), ","), name) {
			h["Vary"] = append(slices.Clone(h["Vary"]), name)
		}
	}
}

// size is about what the answer takes.
func (a *answer) size() int64 {
	n := 2*len(a.key) + len(a.body) + 512
	for name, values := range a.header {
		n += len(name) + 64
		for _, v := range values {
			n += len(v) + 16
		}
	}
	return int64(n)
}

// flight is a request of a service whose answer others wait for.
type flight struct {
	done   chan struct{} // closed when it is known whether there is an answer for others
	answer *answer       // nil if there is none; set before done is closed
}

// cache keeps answers, those that were used last if there is no room for all. It is safe for concurrent use.
type cache struct {
	limit int64 // in bytes

	mu      sync.Mutex
	keys    map[string]*list.Element
	used    list.List // of *answer, the last used in front
	size    int64
	flights map[string]*flight
}

// get returns an answer that is not older than life and than it may be, or nil.
func (c *cache) get(key string, life time.Duration) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(key, life)
}

// find is get; it needs c.mu.
func (c *cache) find(key string, life time.Duration) *answer {
	e := c.keys[key]
	if e == nil {
		return nil
	}
	a := e.Value.(*answer)
	if time.Since(a.born) >= min(a.life, life) {
		c.drop(e)
		return nil
	}
	c.used.MoveToFront(e)
	return a
}

// join returns an answer, or a flight to wait for, or one to lead, which must be landed.
func (c *cache) join(key string, life time.Duration) (a *answer, f *flight, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.find(key, life); a != nil {
		return a, nil, false
	}
	if f := c.flights[key]; f != nil {
		return nil, f, false
	}
	if c.flights == nil {
		c.flights = make(map[string]*flight)
	}
	f = &flight{done: make(chan struct{})}
	c.flights[key] = f
	return nil, f, true
}

// land ends a flight with the answer that is kept, nil if there is none. Only the first time counts.
func (c *cache) land(key string, f *flight, a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] != f {
		return
	}
	delete(c.flights, key)
	if a != nil {
		f.answer = c.put(key, a)
	}
	close(f.done)
}

// put keeps an answer and returns it with its age. It needs c.mu.
func (c *cache) put(key string, a *answer) *answer {
	kept := *a
	kept.key, kept.born = key, time.Now()
	if c.keys == nil {
		c.keys = make(map[string]*list.Element)
	}
	if e := c.keys[key]; e != nil {
		c.drop(e)
	}
	if kept.size() > c.limit {
		return &kept
	}
	c.keys[key] = c.used.PushFront(&kept)
	c.size += kept.size()
	for c.size > c.limit {
		c.drop(c.used.Back())
	}
	return &kept
}

// drop needs c.mu.
func (c *cache) drop(e *list.Element) {
	a := c.used.Remove(e).(*answer)
	delete(c.keys, a.key)
	c.size -= a.size()
}

// cached answers a request from what is kept. Of several that find nothing one asks the service, and the others wait for its answer;
// if that is not for others, each asks for itself. HEAD is answered from what GET has left too.
func (g *Gateway) cached(w http.ResponseWriter, r *http.Request, route *apiRoute, path string) {
	key := cacheKey(r, route, path)
	if r.Method == http.MethodHead {
		if a := g.cache.get(key, route.Cache); a != nil {
			a.write(w)
			return
		}
		key = "HEAD " + key
	}
	a, f, leads := g.cache.join(key, route.Cache)
	if leads {
		defer g.cache.land(key, f, nil)
		g.forward(w, r, route, path, nil, func(a *answer) { g.cache.land(key, f, a) })
		return
	}
	if a == nil {
		select {
		case <-f.done:
			a = f.answer
		case <-r.Context().Done():
			refuse(w, http.StatusGatewayTimeout, "The service has not answered in time.") // nobody reads it
			return
		}
	}
	if a == nil {
		g.forward(w, r, route, path, nil, nil)
		return
	}
	a.write(w)
}

// keepBody reads an answer that others may have too, and gives it to keep and to the client. It reports false, and has told keep that
// there is none, if the answer is too large; then res has all of it still. An error is one of the service.
func keepBody(w http.ResponseWriter, r *http.Request, route *apiRoute, res *http.Response, keep func(*answer)) (bool, error) {
	a := &answer{header: res.Header.Clone(), head: r.Method == http.MethodHead, vary: route.rules().VaryByHeader, life: route.Cache}
	if res.ContentLength > maxKept && !a.head {
		keep(nil)
		return false, nil
	}
	var err error
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, maxKept+1)); err != nil {
		keep(nil)
		return false, err
	}
	if len(a.body) > maxKept {
		keep(nil)
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(a.body), res.Body), res.Body}
		return false, nil
	}
	keep(a)
	a.write(w)
	return true, nil
}
