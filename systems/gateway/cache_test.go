package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// TestV14Cache: what is kept and what is not.
func TestV14Cache(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	base := service(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cookie":
			w.Header().Set("Set-Cookie", "a=b")
		case "/private":
			w.Header().Set("Cache-Control", "private")
		case "/vary":
			w.Header().Set("Vary", "Accept, X-Tenant")
		case "/error":
			w.WriteHeader(503)
		case "/large":
			io.WriteString(w, strings.Repeat("x", 1<<20))
		}
		fmt.Fprint(w, n.Add(1))
	})
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		g.AddAPI("a", gateway.API{BaseURLs: []string{base}, Cache: time.Hour}).
			AddRoute("r", gateway.Route{}).
			AddRoute("post", gateway.Route{Verb: "POST"}).
			AddRoute("never", gateway.Route{Cache: -1}).
			AddRoute("short", gateway.Route{Cache: time.Nanosecond})
	})
	twice := func(method, path string, same bool, header ...string) {
		t.Helper()
		_, h, first := s.do(method, "/api/Gateway/a/"+path, "", header...)
		_, again, second := s.do(method, "/api/Gateway/a/"+path, "", header...)
		if (first == second) != same {
			t.Errorf("%s %s %v: the second is the same: %t, want %t", method, path, header, first == second, same)
		}
		if same && (h.Get("Cache-Control") != "public, max-age=3600" || again.Get("Age") == "") {
			t.Errorf("%s %s: headers %v, then %v, want the duration, then an age", method, path, h, again)
		}
	}
	twice("GET", "r", true)
	twice("GET", "r?parameters=other", true)
	twice("GET", "r", true, "Accept", "text/plain")
	twice("GET", "r", false, "Authorization", "Bearer t")
	twice("GET", "r", false, "Cookie", "a=b")
	twice("GET", "r", false, "Cache-Control", "no-cache")
	twice("POST", "post", false)
	twice("GET", "never", false)
	twice("GET", "short", false)
	for _, p := range []string{"cookie", "private", "vary", "error", "large"} {
		twice("GET", "r?parameters="+p, false)
	}
	before := n.Load()
	s.do("HEAD", "/api/Gateway/a/r?parameters=head", "")
	s.do("HEAD", "/api/Gateway/a/r?parameters=head", "")
	if got := n.Load() - before; got != 1 {
		t.Errorf("two HEAD reached the service %d times, want once", got)
	}
	_, _, body := s.do("GET", "/api/Gateway/a/r?parameters=head", "")
	if got := n.Load() - before; got != 2 || body == "" {
		t.Errorf("GET after HEAD: body %q, %d requests of the service, want one of its own", body, got-1)
	}
	status, header, none := s.do("HEAD", "/api/Gateway/a/r", "")
	if got := n.Load() - before; got != 2 || status != 200 || none != "" || header.Get("Content-Length") != "1" || header.Get("Age") == "" {
		t.Errorf("HEAD after GET: status %d, headers %v, body %q, %d requests of the service, want none", status, header, none, got-2)
	}
}

// counted is a service that exists in name only: it answers with the number of the request, as each says.
type counted struct {
	n      atomic.Int64
	answer func(r *http.Request, h http.Header) (body string)
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	h, body := http.Header{}, strconv.FormatInt(c.n.Add(1), 10)
	if c.answer != nil {
		body += c.answer(r, h)
	}
	return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
}

// ask sends GET to a handler and returns body and headers. header is names and values.
func ask(h http.Handler, path string, header ...string) (string, http.Header) {
	r := httptest.NewRequest("GET", "/api/Gateway/"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String(), w.Header()
}

// offline returns a gateway that has started, in front of services that exist in name only.
func offline(t *testing.T, c gateway.Config, register func(g *gateway.Gateway)) *gateway.Gateway {
	t.Helper()
	c.NoGatewayHub = true
	g := gateway.New(c)
	register(g)
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return g
}

var someURL = []string{"http://service.example"}

// TestV14CacheDurations: answers are kept as long as the route says, else as the service does; the age shows.
func TestV14CacheDurations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := offline(t, gateway.Config{}, func(g *gateway.Gateway) {
			g.AddAPI("a", gateway.API{BaseURLs: someURL, Transport: &counted{}, Cache: 10 * time.Second}).AddRoute("service", gateway.Route{}).
				AddRoute("longer", gateway.Route{Cache: time.Minute}).AddRoute("shorter", gateway.Route{Cache: 2 * time.Second}).AddRoute("never", gateway.Route{Cache: -1})
			g.AddAPI("b", gateway.API{BaseURLs: someURL, Transport: &counted{}}).AddRoute("default", gateway.Route{}).AddRoute("own", gateway.Route{Cache: time.Second})
		})
		h := g.Handler()
		began := time.Now()
		last := make(map[string]string)
		for _, x := range []struct {
			at  time.Duration
			new []string // routes whose answer is another than before
		}{
			{0, []string{"a/service", "a/longer", "a/shorter", "a/never", "b/default", "b/own"}},
			{900 * time.Millisecond, []string{"a/never", "b/default"}},
			{time.Second, []string{"a/never", "b/default", "b/own"}},
			{2 * time.Second, []string{"a/shorter", "a/never", "b/default", "b/own"}},
			{9999 * time.Millisecond, []string{"a/shorter", "a/never", "b/default", "b/own"}},
			{10 * time.Second, []string{"a/service", "a/never", "b/default"}},
			{59 * time.Second, []string{"a/service", "a/shorter", "a/never", "b/default", "b/own"}},
			{time.Minute, []string{"a/longer", "a/never", "b/default", "b/own"}},
		} {
			time.Sleep(x.at - time.Since(began))
			for _, route := range []string{"a/service", "a/longer", "a/shorter", "a/never", "b/default", "b/own"} {
				body, _ := ask(h, route)
				if got, want := body != last[route], slices.Contains(x.new, route); got != want {
					t.Errorf("%s at %v: another answer: %t, want %t", route, x.at, got, want)
				}
				last[route] = body
			}
		}
		time.Sleep(7 * time.Second)
		for route, want := range map[string][2]string{"a/longer": {"public, max-age=60", "7"}, "a/service": {"public, max-age=10", "8"}, "a/never": {"no-store", ""}, "b/default": {"no-store", ""}} {
			if _, h := ask(h, route); h.Get("Cache-Control") != want[0] || h.Get("Age") != want[1] {
				t.Errorf("%s: headers %v, want %v", route, h, want)
			}
		}
	})
}

// TestV14CacheRules: who may keep answers, and what they depend on, for each service and route.
func TestV14CacheRules(t *testing.T) {
	t.Parallel()
	service := &counted{answer: func(r *http.Request, h http.Header) string {
		switch r.URL.Path {
		case "/vary":
			h.Set("Vary", "Accept, x-tenant")
		case "/public":
			h.Set("Cache-Control", "public, max-age=99")
		case "/no":
			h.Set("Cache-Control", "no-store")
		case "/stream":
			h.Set("Content-Type", "text/event-stream; charset=utf-8")
		}
		return ""
	}}
	tenant := gateway.CacheRules{VaryByHeader: []string{"X-Tenant"}}
	g := offline(t, gateway.Config{Auth: identify}, func(g *gateway.Gateway) {
		g.AddAPI("a", gateway.API{BaseURLs: someURL, Transport: service, Cache: time.Hour}).AddRoute("r", gateway.Route{}).AddRoute("stream", gateway.Route{Path: "stream"}).
			AddRoute("tenant", gateway.Route{Path: "vary", CacheRules: &tenant}).
			AddRoute("query", gateway.Route{CacheRules: &gateway.CacheRules{VaryByQueryKeys: []string{"Page", "lang"}}}).
			AddRoute("all", gateway.Route{CacheRules: &gateway.CacheRules{VaryByQueryKeys: []string{"*"}}}).
			AddRoute("client", gateway.Route{CacheRules: &gateway.CacheRules{Location: gateway.CacheAtClient, VaryByHeader: []string{"X-Tenant"}}}).
			AddRoute("clientno", gateway.Route{Path: "no", CacheRules: &gateway.CacheRules{Location: gateway.CacheAtClient}}).
			AddRoute("none", gateway.Route{CacheRules: &gateway.CacheRules{Location: gateway.CacheNowhere}}).
			AddRoute("nostore", gateway.Route{Path: "public", CacheRules: &gateway.CacheRules{NoStore: true}})
		g.AddAPI("b", gateway.API{BaseURLs: someURL, Transport: service, Cache: time.Hour, CacheRules: gateway.CacheRules{NoStore: true}}).
			AddRoute("r", gateway.Route{}).AddRoute("keeps", gateway.Route{CacheRules: &gateway.CacheRules{}})
	})
	h := g.Handler()
	for _, x := range []struct {
		first, second []string // path and headers
		same          bool
		control       string
	}{
		{[]string{"a/r"}, []string{"A/R"}, true, "public, max-age=3600"},
		{[]string{"a/r?x=1"}, []string{"a/r?x=2"}, true, "public, max-age=3600"},
		{[]string{"a/r?parameters=1"}, []string{"a/r?parameters=2"}, false, "public, max-age=3600"},
		{[]string{"a/r?parameters=3", "Accept-Language", "de"}, []string{"a/r?parameters=3", "Accept-Language", "fr"}, false, "public, max-age=3600"},
		{[]string{"a/r?parameters=4", "Accept", "a", "Accept", "b"}, []string{"a/r?parameters=4", "Accept", `a""b`}, false, "public, max-age=3600"},
		{[]string{"a/tenant", "X-Tenant", "1"}, []string{"a/tenant", "X-Tenant", "1"}, true, "public, max-age=3600"},
		{[]string{"a/tenant", "X-Tenant", "1"}, []string{"a/tenant", "X-Tenant", "2"}, false, "public, max-age=3600"},
		{[]string{"a/query?page=1&x=1"}, []string{"a/query?x=2&PAGE=1"}, true, "public, max-age=3600"},
		{[]string{"a/query?page=1"}, []string{"a/query?page=2"}, false, "public, max-age=3600"},
		{[]string{"a/query?lang=de&page=3"}, []string{"a/query?page=3"}, false, "public, max-age=3600"},
		{[]string{"a/all?x=1"}, []string{"a/all?x=2"}, false, "public, max-age=3600"},
		{[]string{"a/client"}, []string{"a/client"}, false, "private, max-age=3600"},
		{[]string{"a/client", "Authorization", "x"}, []string{"a/client", "Authorization", "x"}, false, "private, max-age=3600"},
		{[]string{"a/clientno"}, []string{"a/clientno"}, false, "no-store"},
		{[]string{"a/none"}, []string{"a/none"}, false, "no-cache"},
		{[]string{"a/nostore"}, []string{"a/nostore"}, false, "no-store"},
		{[]string{"b/r"}, []string{"b/r"}, false, "no-store"},
		{[]string{"b/keeps"}, []string{"b/keeps"}, true, "public, max-age=3600"},
		{[]string{"a/stream"}, []string{"a/stream"}, false, "no-store"},
		{[]string{"a/r", "Authorization", "Bearer t"}, []string{"a/r"}, false, "no-store"},
		{[]string{"a/r?user=ann"}, []string{"a/r?user=ann"}, false, "no-store"},
		{[]string{"a/r", "X-User", "ann"}, []string{"a/r"}, false, "no-store"},
		{[]string{"a/r", "Pragma", "no-cache"}, []string{"a/r"}, false, "no-store"},
	} {
		first, header := ask(h, x.first[0], x.first[1:]...)
		second, _ := ask(h, x.second[0], x.second[1:]...)
		if (first == second) != x.same || header.Get("Cache-Control") != x.control {
			t.Errorf("%q, then %q: the same: %t, headers %v, want %t and %q", x.first, x.second, first == second, header, x.same, x.control)
		}
	}
	for path, want := range map[string][]string{"a/tenant": {"Accept, x-tenant"}, "a/client": {"X-Tenant"}, "a/r": nil} {
		if _, h := ask(h, path, "X-Tenant", "7"); !slices.Equal(h.Values("Vary"), want) {
			t.Errorf("%s: Vary %q, want %q", path, h.Values("Vary"), want)
		}
	}
}

// TestCacheRulesAreChecked: what cannot be kept apart is refused.
func TestCacheRulesAreChecked(t *testing.T) {
	t.Parallel()
	for want, rules := range map[string]gateway.CacheRules{
		"cache location CacheLocation(3)": {Location: 3}, `header ""`: {VaryByHeader: []string{""}}, `header "*"`: {VaryByHeader: []string{"*"}},
		`header "authorization"`: {VaryByHeader: []string{"X", "authorization"}}, `header "Cookie"`: {VaryByHeader: []string{"Cookie"}},
	} {
		var ofAPI, ofRoute gateway.Routes
		ofAPI.AddAPI("a", gateway.API{BaseURLs: someURL, CacheRules: rules})
		ofRoute.AddAPI("a", gateway.API{BaseURLs: someURL}).AddRoute("r", gateway.Route{CacheRules: &rules})
		for _, err := range []error{ofAPI.Err(), ofRoute.Err()} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %v, want one with %q", rules, err, want)
			}
		}
	}
}

// TestCacheIsBounded: what was not used for longest goes first, and headers count.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*http.Request, http.Header) string{
		"body":   func(*http.Request, http.Header) string { return strings.Repeat("x", 10<<10) },
		"header": func(_ *http.Request, h http.Header) string { h.Set("X-Large", strings.Repeat("x", 10<<10)); return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := &counted{answer: answer}
			g := offline(t, gateway.Config{MaxCacheSize: 100 << 10}, func(g *gateway.Gateway) {
				g.AddAPI("a", gateway.API{BaseURLs: someURL, Transport: service, Cache: time.Hour}).AddRoute("r", gateway.Route{})
			})
			h := g.Handler()
			path := func(i int) string { return fmt.Sprint("a/r?parameters=", i) }
			for i := range 20 {
				ask(h, path(i))
				ask(h, path(0)) // which stays
			}
			if n := service.n.Load(); n != 20 {
				t.Errorf("%d requests of the service, want 20", n)
			}
			ask(h, path(0))
			ask(h, path(19))
			if n := service.n.Load(); n != 20 {
				t.Errorf("the last ones: %d requests of the service more, want none", n-20)
			}
			ask(h, path(1))
			if n := service.n.Load(); n != 21 {
				t.Errorf("an early one: %d requests of the service more, want one", n-20)
			}
		})
	}
}

// TestCacheAsksOnce: of many that find nothing one asks. If its answer is not for others, or it gets none, each asks.
func TestCacheAsksOnce(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		path   string
		header []string
		want   int64
	}{
		"shared": {"a/r", nil, 1}, "private": {"a/private", nil, 50}, "stream": {"a/stream", nil, 50}, "broken": {"a/broken", nil, 50}, "mine": {"a/r", []string{"Authorization", "x"}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := &counted{answer: func(r *http.Request, h http.Header) string {
					time.Sleep(time.Second)
					switch r.URL.Path {
					case "/private":
						h.Set("Cache-Control", "private")
					case "/stream":
						h.Set("Content-Type", "text/event-stream")
					}
					return ""
				}}
				g := offline(t, gateway.Config{}, func(g *gateway.Gateway) {
					g.AddAPI("a", gateway.API{BaseURLs: someURL, Transport: breaks{service}, Cache: time.Hour}).AddRoute("r", gateway.Route{}).
						AddRoute("private", gateway.Route{Path: "private"}).AddRoute("stream", gateway.Route{Path: "stream"}).AddRoute("broken", gateway.Route{Path: "broken"})
				})
				h := g.Handler()
				began := time.Now()
				var wait sync.WaitGroup
				var odd atomic.Int64
				for range 50 {
					wait.Go(func() {
						defer func() {
							if p := recover(); p != nil && p != http.ErrAbortHandler { // an answer that breaks off, passed on
								panic(p)
							}
						}()
						if body, _ := ask(h, x.path, x.header...); body == "" {
							odd.Add(1)
						}
					})
				}
				wait.Wait()
				if n := service.n.Load(); n != x.want || odd.Load() != 0 || time.Since(began) > 2*time.Second {
					t.Errorf("%d requests of the service, %d without an answer, after %v, want %d", n, odd.Load(), time.Since(began), x.want)
				}
			})
		})
	}
}

// breaks is a transport whose answers to the path /broken end too soon.
type breaks struct{ http.RoundTripper }

func (b breaks) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil && r.URL.Path == "/broken" {
		res.Body = io.NopCloser(io.MultiReader(res.Body, failing{}))
	}
	return res, err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestCacheWaiterLeaves: who does not wait any more for the answer that another has asked for is free at once.
func TestCacheWaiterLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &counted{answer: func(*http.Request, http.Header) string { time.Sleep(20 * time.Second); return "" }}
		g := offline(t, gateway.Config{}, func(g *gateway.Gateway) {
			g.AddAPI("a", gateway.API{BaseURLs: someURL, Transport: service, Cache: time.Hour}).AddRoute("r", gateway.Route{})
		})
		h := g.Handler()
		leader := make(chan string, 1)
		go func() {
			body, _ := ask(h, "a/r")
			leader <- body
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/api/Gateway/a/r", nil))
		if took := time.Since(began); took != time.Second {
			t.Errorf("left after %v, want 1s", took)
		}
		if body := <-leader; body != "1" || service.n.Load() != 1 {
			t.Errorf("the other got %q, %d requests of the service", body, service.n.Load())
		}
	})
}

// TestCacheAfterReload: a duration that is shorter now counts for what was kept before.
func TestCacheAfterReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := gateway.API{BaseURLs: someURL, Transport: &counted{}, Cache: time.Hour}
		g := offline(t, gateway.Config{}, func(g *gateway.Gateway) { g.AddAPI("a", api).AddRoute("r", gateway.Route{}) })
		h := g.Handler()
		ask(h, "a/r")
		time.Sleep(time.Minute)
		var next gateway.Routes
		next.AddAPI("a", api).AddRoute("r", gateway.Route{Cache: 2 * time.Minute})
		if err := g.Reload(&next); err != nil {
			t.Fatal(err)
		}
		if body, _ := ask(h, "a/r"); body != "1" {
			t.Errorf("after a minute: %q, want what was kept", body)
		}
		time.Sleep(time.Minute)
		if body, _ := ask(h, "a/r"); body != "2" {
			t.Errorf("after two: %q, want another", body)
		}
	})
}

func BenchmarkCacheHit(b *testing.B) {
	g := gateway.New(gateway.Config{NoGatewayHub: true})
	g.AddAPI("a", gateway.API{BaseURLs: someURL, Transport: &counted{answer: func(_ *http.Request, h http.Header) string {
		h.Set("Content-Type", "application/json")
		return strings.Repeat("x", 1000)
	}}, Cache: time.Hour}).AddRoute("r", gateway.Route{})
	if err := g.Start(); err != nil {
		b.Fatal(err)
	}
	defer g.Close(b.Context())
	h := g.Handler()
	r := httptest.NewRequest("GET", "/api/Gateway/a/r?parameters=7", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
