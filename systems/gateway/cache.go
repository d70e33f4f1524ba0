package gateway

import (
	"container/list"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What the cache of answers keeps at most, in bytes: of one answer, and in all.
const (
	maxKept    = 1 << 20
	maxAllKept = 32 << 20
)

// keyHeaders are those that an answer may depend on (Vary) and be kept.
var keyHeaders = []string{"Accept", "Accept-Encoding", "Accept-Language", "Origin"}

// cacheable reports whether an answer may be kept for others, or another's taken: not if the request says who it is from.
func (r *apiRoute) cacheable(req *http.Request) bool {
	if r.Cache <= 0 || r.Verb != http.MethodGet {
		return false
	}
	for _, name := range []string{"Authorization", "Cookie", "Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if req.Header.Get(name) != "" {
			return false
		}
	}
	asks := strings.ToLower(req.Header.Get("Cache-Control"))
	return !strings.Contains(asks, "no-cache") && !strings.Contains(asks, "no-store")
}

// storable reports whether the service lets its answer be kept.
func storable(res *http.Response) bool {
	if res.StatusCode != http.StatusOK || res.Header.Get("Set-Cookie") != "" {
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
			if !isKeyHeader(strings.TrimSpace(name)) {
				return false
			}
		}
	}
	return true
}

func isKeyHeader(name string) bool {
	for _, k := range keyHeaders {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// cacheKey names all that an answer depends on.
func cacheKey(r *http.Request, route *apiRoute, path string) string {
	parts := []string{r.Method, strconv.FormatUint(route.api.state.number, 10), route.api.key, route.key, path}
	for _, name := range keyHeaders {
		parts = append(parts, strings.Join(r.Header.Values(name), ","))
	}
	return strings.Join(parts, "\x00")
}

// answer is what is kept. It does not change once it is in the cache.
type answer struct {
	status int
	header http.Header
	body   []byte
	life   time.Duration

	key  string
	born time.Time
}

// write gives the answer to a client.
func (a *answer) write(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(a.life/time.Second)))
	if !a.born.IsZero() {
		h.Set("Age", strconv.Itoa(int(time.Since(a.born)/time.Second)))
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

func (a *answer) size() int { return len(a.key) + len(a.body) + 1024 } // with its headers, about

// cache keeps answers, those that were used last if there is no room for all. It is safe for concurrent use.
type cache struct {
	mu   sync.Mutex
	keys map[string]*list.Element
	used list.List // of *answer, the last used in front
	size int
}

// get returns an answer that is not too old, or nil.
func (c *cache) get(key string) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.keys[key]
	if e == nil {
		return nil
	}
	a := e.Value.(*answer)
	if time.Since(a.born) >= a.life {
		c.drop(e)
		return nil
	}
	c.used.MoveToFront(e)
	return a
}

// put keeps an answer.
func (c *cache) put(key string, a *answer) {
	kept := *a
	kept.key, kept.born = key, time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = make(map[string]*list.Element)
	}
	if e := c.keys[key]; e != nil {
		c.drop(e)
	}
	c.keys[key] = c.used.PushFront(&kept)
	c.size += kept.size()
	for c.size > maxAllKept {
		c.drop(c.used.Back())
	}
}

// drop needs c.mu.
func (c *cache) drop(e *list.Element) {
	a := c.used.Remove(e).(*answer)
	delete(c.keys, a.key)
	c.size -= a.size()
}
