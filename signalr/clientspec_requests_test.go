package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// tokens gives the tokens T1, T2 … and counts them.
type tokens struct{ n atomic.Int32 }

func (s *tokens) next(context.Context) (string, error) { return fmt.Sprintf("T%d", s.n.Add(1)), nil }

// signalr-core client, requests: the rows negotiate, every request, WebSocket, SSE, POST, poll and own headers.
func TestClientSpecRequests(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		source := &tokens{}
		opts.Token = source.next
		opts.Header = http.Header{"X-Custom": {"1"}}
		f.url += "?x=1&user=bob"
		c, p := f.connect(opts, nil)
		if err := c.Send(t.Context(), "Hi"); err != nil {
			t.Fatal(err)
		}
		p.want(`{"type":1,"target":"Hi","arguments":[]}`)
		c.Close()
		kinds := map[string]bool{}
		for i, r := range f.requests() {
			kinds[r.what] = true
			what := fmt.Sprintf("request %d, %s %s", i, r.method, r.url)
			want := "/hub?x=1&user=bob&id=tok1"
			if r.what == "negotiate" {
				want = "/hub/negotiate?x=1&user=bob&negotiateVersion=1"
			}
			if r.url != want {
				t.Errorf("%s: want %s", what, want)
			}
			for name, want := range map[string]string{
				"X-Requested-With": "XMLHttpRequest", "X-Custom": "1", "X-SignalR-User-Agent": "", "Origin": "", "Content-Type": "",
				"Sec-Websocket-Protocol": "", "Sec-Websocket-Extensions": "",
			} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s: header %s is %q, want %q", what, name, got, want)
				}
			}
			if got := r.header.Get("User-Agent"); !strings.HasPrefix(got, "Microsoft SignalR/") {
				t.Errorf("%s: User-Agent %q", what, got)
			}
			if got := r.header.Get("Authorization"); !strings.HasPrefix(got, "Bearer T") {
				t.Errorf("%s: Authorization %q", what, got)
			}
			switch {
			case r.what == "negotiate" && (r.method != http.MethodPost || r.length != 0 || i != 0):
				t.Errorf("%s with %d bytes, want an empty POST, first and once", what, r.length)
			case r.what == "ServerSentEvents" && r.header.Get("Accept") != "text/event-stream":
				t.Errorf("%s accepts %q", what, r.header.Get("Accept"))
			case r.what == "POST" && r.length <= 0:
				t.Errorf("%s has no Content-Length", what)
			}
		}
		want := map[signalr.Transport]map[string]bool{
			signalr.WebSockets:       {"negotiate": true, "WebSockets": true},
			signalr.ServerSentEvents: {"negotiate": true, "ServerSentEvents": true, "POST": true},
			signalr.LongPolling:      {"negotiate": true, "poll": true, "POST": true, "DELETE": true},
		}[opts.Transports]
		if fmt.Sprint(kinds) != fmt.Sprint(want) {
			t.Errorf("requests %v, want %v", kinds, want)
		}
	})
}

// signalr-core client, requests: own headers replace those of the library, User-Agent and Authorization too.
func TestClientSpecOwnHeaders(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		opts.Token = (&tokens{}).next
		opts.Header = http.Header{"user-agent": {"mine/1"}, "X-Requested-With": {"me"}, "Authorization": {"Basic eA=="}}
		c, _ := f.connect(opts, nil)
		c.Close()
		for _, r := range f.requests() {
			if got := r.header; got.Get("User-Agent") != "mine/1" || got.Get("X-Requested-With") != "me" || got.Get("Authorization") != "Basic eA==" {
				t.Errorf("%s %s has %v", r.method, r.url, got)
			}
		}
	})
}

// signalr-core client, requests: one cookie jar for all requests.
func TestClientSpecCookies(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if purpose(r) == "negotiate" {
				http.SetCookie(w, &http.Cookie{Name: "sticky", Value: "node1", Path: "/hub"})
				http.SetCookie(w, &http.Cookie{Name: "other", Value: "x", Path: "/elsewhere"})
			}
			return false
		}
		c, _ := f.connect(opts, nil)
		c.Close()
		for i, r := range f.requests() {
			want := "sticky=node1"
			if i == 0 {
				want = ""
			}
			if got := r.header.Get("Cookie"); got != want {
				t.Errorf("%s %s has the cookie %q, want %q", r.method, r.url, got, want)
			}
		}
	})
}

// signalr-core client, requests: negotiate follows redirects of HTTP, 307 with POST and 302 with GET; what comes later goes to the
// first address.
func TestClientSpecHTTPRedirect(t *testing.T) {
	t.Parallel()
	for status, method := range map[int]string{http.StatusTemporaryRedirect: "POST", http.StatusFound: "GET"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/hub/negotiate" {
					return false
				}
				http.Redirect(w, r, "/moved/negotiate", status)
				return true
			}
			f.connect(signalr.ClientOptions{Transports: signalr.WebSockets}, nil)
			got := fmt.Sprint(paths(f.requests()))
			if want := "[POST /hub/negotiate?negotiateVersion=1 " + method + " /moved/negotiate GET /hub?id=tok1]"; got != want {
				t.Errorf("requests %s, want %s", got, want)
			}
		})
	}
}

func paths(list []*fakeRequest) (all []string) {
	for _, r := range list {
		all = append(all, r.method+" "+r.url)
	}
	return all
}

// bearers are the tokens of requests, in order.
func bearers(list []*fakeRequest) (all []string) {
	for _, r := range list {
		all = append(all, strings.TrimPrefix(r.header.Get("Authorization"), "Bearer "))
	}
	return all
}

// signalr-core client, redirect in negotiate: its token is used by all requests, the provider is not asked again, and a reconnect
// begins at the first address with a token of the provider.
func TestClientSpecRedirectToken(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/hub/negotiate" {
				return false
			}
			fmt.Fprintf(w, `{"negotiateVersion":0,"url":"http://%s/r/hub?k=v","accessToken":"REDIR","availableTransports":[]}`, r.Host)
			return true
		}
		source := &tokens{}
		opts.Token = source.next
		opts.Reconnect = hubbub.RetryDelays(0)
		_, p := f.connect(opts, nil)
		for round := 1; round <= 2; round++ {
			list := f.requests("negotiate")[2*(round-1):]
			want := []string{"POST /hub/negotiate?negotiateVersion=1", "POST /r/hub/negotiate?k=v&negotiateVersion=1"}
			if got := paths(list); !slices.Equal(got, want) {
				t.Errorf("round %d: requests %q, want %q", round, got, want)
			}
			if got, want := bearers(list), []string{fmt.Sprintf("T%d", round), "REDIR"}; !slices.Equal(got, want) {
				t.Errorf("round %d: tokens %q, want %q", round, got, want)
			}
			for _, r := range f.requests("WebSockets", "ServerSentEvents", "poll", "POST", "DELETE") {
				if r.header.Get("Authorization") != "Bearer REDIR" || !strings.HasPrefix(r.url, "/r/hub?k=v&id=tok") {
					t.Errorf("%s %s with %q", r.method, r.url, r.header.Get("Authorization"))
				}
			}
			if round == 1 {
				p.end(1000)
				p = f.accept()
			}
		}
		if n := source.n.Load(); n != 2 {
			t.Errorf("the provider was asked %d times, want 2", n)
		}
	})
}

// signalr-core client, requests, token provider: asked for every negotiate and for the WebSocket; the rest goes with the token of
// negotiate, and with one call more and one retry after 401.
func TestClientSpecTokenFresh(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		source := &tokens{}
		opts.Token = source.next
		socket := opts.Transports == signalr.WebSockets
		// Only T2 opens a transport, T3 a WebSocket, and only T3 may speak.
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if kind := purpose(r); kind == "negotiate" || kind == "DELETE" || r.Header.Get("Authorization") >= "Bearer T3" ||
				(kind != "POST" && !socket && r.Header.Get("Authorization") == "Bearer T2") {
				return false
			}
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		f.connect(opts, nil)
		if got := bearers(f.requests("negotiate")); !slices.Equal(got, []string{"T1"}) {
			t.Errorf("negotiate with %q", got)
		}
		kind := opts.Transports.String()
		if opts.Transports == signalr.LongPolling {
			kind = "poll"
		}
		want := []string{"T1", "T2"}
		if socket {
			want = []string{"T2", "T3"}
		}
		if got := bearers(f.requests(kind)); !slices.Equal(got[:2], want) {
			t.Errorf("%s with %q, want %q", kind, got, want)
		}
		if !socket {
			if got := bearers(f.requests("POST")); !slices.Equal(got[:2], []string{"T2", "T3"}) {
				t.Errorf("POST with %q, want T2, then T3", got)
			}
		}
		if n := source.n.Load(); n != 3 {
			t.Errorf("the provider was asked %d times, want 3", n)
		}
	})
}

// signalr-core client, requests, token provider: a second 401 is the end, and one on negotiate is not retried.
func TestClientSpecTokenRefused(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{"negotiate": 1, "WebSockets": 2, "ServerSentEvents": 2, "poll": 2, "POST": 2} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if purpose(r) != kind {
					return false
				}
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			opts := signalr.ClientOptions{Token: (&tokens{}).next}
			switch kind {
			case "WebSockets":
				opts.Transports = signalr.WebSockets
			case "ServerSentEvents", "POST":
				opts.Transports = signalr.ServerSentEvents
			case "poll":
				opts.Transports = signalr.LongPolling
			}
			err := f.refused(f.client(opts))
			var e *signalr.HTTPError
			if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
				t.Errorf("start: %v, want status 401", err)
			}
			if n := len(f.requests(kind)); n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
		})
	}
}

// signalr-core client, requests, token provider: without one there is no Authorization, and its error fails the start.
func TestClientSpecTokenNone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c, _ := f.connect(signalr.ClientOptions{Transports: signalr.LongPolling}, nil)
	c.Close()
	for _, r := range f.requests() {
		if v, ok := r.header["Authorization"]; ok {
			t.Errorf("%s %s with %q", r.method, r.url, v)
		}
	}
	broken := errors.New("no token today")
	n := len(f.requests())
	err := f.refused(f.client(signalr.ClientOptions{Token: func(context.Context) (string, error) { return "", broken }}))
	if !errors.Is(err, broken) || len(f.requests()) != n {
		t.Errorf("start: %v, %d requests more", err, len(f.requests())-n)
	}
}

// signalr-core client, requests, SkipNegotiation: an upgrade without id; there is no connection id, also after a reconnect.
func TestClientSpecSkipNegotiation(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	back := make(chan string, 1)
	opts := signalr.ClientOptions{Transports: signalr.WebSockets, SkipNegotiation: true, Token: (&tokens{}).next}
	opts.Reconnect = hubbub.RetryDelays(0)
	opts.OnReconnected = func(id string) { back <- id }
	c, p := f.connect(opts, nil)
	if id := c.ID(); id != "" {
		t.Errorf("id %q, want none", id)
	}
	p.cut()
	if id := receive(t, "the reconnect", back); id != "" || c.ID() != "" {
		t.Errorf("after the reconnect: id %q, %q, want none", id, c.ID())
	}
	f.accept()
	if got := paths(f.requests()); !slices.Equal(got, []string{"GET /hub", "GET /hub"}) {
		t.Errorf("requests %q", got)
	}
	if got := bearers(f.requests()); !slices.Equal(got, []string{"T1", "T2"}) {
		t.Errorf("tokens %q, want a fresh one each time", got)
	}
}

// signalr-core client, start and fall back: negotiation can be skipped only with WebSockets alone.
func TestClientSpecSkipRefused(t *testing.T) {
	t.Parallel()
	for _, tr := range []signalr.Transport{0, signalr.LongPolling, signalr.WebSockets | signalr.ServerSentEvents} {
		f := newFake(t)
		err := f.refused(f.client(signalr.ClientOptions{Transports: tr, SkipNegotiation: true}))
		if !strings.Contains(err.Error(), "negotiation can only be skipped") || len(f.requests()) != 0 {
			t.Errorf("transports %v: %v, %d requests", tr, err, len(f.requests()))
		}
	}
}

// signalr-core client, requests, and stateful reconnect, switching on: asked for in the query, only on if the server agrees and
// WebSockets are used, which is then said in the handshake.
func TestClientSpecStatefulAsked(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, members string
		opts          signalr.ClientOptions
		query         string
		version       int
	}{
		{"agreed", `"useStatefulReconnect":true,`, signalr.ClientOptions{Transports: signalr.WebSockets, StatefulReconnect: true}, "negotiateVersion=1&useStatefulReconnect=true", 2},
		{"not agreed", ``, signalr.ClientOptions{Transports: signalr.WebSockets, StatefulReconnect: true}, "negotiateVersion=1&useStatefulReconnect=true", 1},
		{"event stream", `"useStatefulReconnect":true,`, signalr.ClientOptions{Transports: signalr.ServerSentEvents, StatefulReconnect: true}, "negotiateVersion=1&useStatefulReconnect=true", 1},
		{"long polling", `"useStatefulReconnect":true,`, signalr.ClientOptions{Transports: signalr.LongPolling, StatefulReconnect: true}, "negotiateVersion=1&useStatefulReconnect=true", 1},
		{"not asked for", `"useStatefulReconnect":true,`, signalr.ClientOptions{Transports: signalr.WebSockets}, "negotiateVersion=1", 1},
		{"skipped negotiation", ``, signalr.ClientOptions{Transports: signalr.WebSockets, SkipNegotiation: true, StatefulReconnect: true}, "", 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.members = x.members
			_, p := f.connect(x.opts, nil)
			if want := fmt.Sprintf(`{"protocol":"json","version":%d}`, x.version); p.handshake != want {
				t.Errorf("handshake %s, want %s", p.handshake, want)
			}
			for _, r := range f.requests("negotiate") {
				if want := "/hub/negotiate?" + x.query; r.url != want {
					t.Errorf("negotiate at %s, want %s", r.url, want)
				}
			}
		})
	}
}
