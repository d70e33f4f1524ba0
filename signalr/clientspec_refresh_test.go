package signalr_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// renewal is a server whose credentials can be refreshed, and what its client tells of it.
type renewal struct {
	f      *fakeServer
	source *tokens
	events chan string

	mu      sync.Mutex
	status  int      // of the next answers
	answers []string // the last one is repeated
}

// renewing prepares a server, and the options of its client.
func renewing(f *fakeServer, opts *signalr.ClientOptions, answers ...string) *renewal {
	r := &renewal{f: f, source: &tokens{}, events: make(chan string, 64), status: http.StatusOK, answers: answers}
	f.hook = r.answer
	opts.Token = r.source.next
	opts.OnAuthenticationRefreshed = func(d time.Duration) { r.events <- "refreshed " + d.String() }
	opts.OnAuthenticationRefreshFailed = func(err error) { r.events <- "failed " + err.Error() }
	return r
}

func (r *renewal) answer(w http.ResponseWriter, req *http.Request) bool {
	if purpose(req) != "refresh" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, a)
	return true
}

func (r *renewal) set(status int, answers ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.answers = status, answers
}

func (r *renewal) wantEvent(t *testing.T, prefix string) {
	t.Helper()
	if got := receive(t, "an event", r.events); !strings.HasPrefix(got, prefix) {
		t.Errorf("event %q, want %q", got, prefix)
	}
}

// signalr-core client, authentication refresh by hand: address, headers and token of the request; what comes behind goes with the new
// token, over every transport.
func TestClientSpecRefresh(t *testing.T) {
	t.Parallel()
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		f.url += "?q=1"
		opts.Header = http.Header{"X-Custom": {"1"}}
		r := renewing(f, &opts, `{"tokenLifetimeSeconds":119,"x":1}`)
		c, p := f.connect(opts, nil)
		if opts.Transports == signalr.LongPolling {
			f.await("poll", 3) // the one that waits keeps its token
		} else {
			p.any() // so does the ping
		}
		before := r.source.n.Load()
		lifetime, err := c.RefreshAuthentication(t.Context())
		if err != nil || lifetime != 119*time.Second {
			t.Fatalf("refresh: %v, %v, want 119 s", lifetime, err)
		}
		r.wantEvent(t, "refreshed 1m59s")
		req := f.requests("refresh")[0]
		if req.method != "POST" || req.url != "/hub/refresh?q=1" || req.length != 0 {
			t.Errorf("%s %s with %d bytes, want an empty POST of /hub/refresh?q=1", req.method, req.url, req.length)
		}
		token := fmt.Sprintf("T%d", before+1)
		for name, want := range map[string]string{
			"X-SignalR-Connection-Token": "tok1", "Authorization": "Bearer " + token, "X-Requested-With": "XMLHttpRequest", "X-Custom": "1",
		} {
			if got := req.header.Get(name); got != want {
				t.Errorf("header %s is %q, want %q", name, got, want)
			}
		}
		n := len(f.requests())
		if err := c.Send(t.Context(), "Hi"); err != nil {
			t.Fatal(err)
		}
		p.want(`{"type":1,"target":"Hi","arguments":[]}`)
		if opts.Transports == signalr.LongPolling {
			p.say(ping)
			f.await("poll", 4)
		}
		c.Close()
		for _, r := range f.requests()[n:] {
			if got := r.header.Get("Authorization"); got != "Bearer "+token {
				t.Errorf("after the refresh, %s with %q, want %s", r.what, got, token)
			}
		}
		if _, err := c.RefreshAuthentication(t.Context()); err == nil || !strings.Contains(err.Error(), "the connection is not active") || len(r.events) != 0 {
			t.Errorf("refresh after Close: %v, %d events, want an error and no event", err, len(r.events))
		}
	})
}

// signalr-core client, authentication refresh, answers: an object with or without a lifetime is good; anything else fails, is told first
// to the event and then to the caller, and the connection goes on. A failed refresh is not repeated by itself after a call by hand.
func TestClientSpecRefreshAnswers(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		status int
		body   string
		want   time.Duration
		fails  string
	}{
		{200, `{"tokenLifetimeSeconds":60}`, time.Minute, ""},
		{202, `{"tokenLifetimeSeconds":60}`, time.Minute, ""},
		{200, `{}`, 0, ""},
		{200, `{"tokenLifetimeSeconds":null}`, 0, ""},
		{200, `{"tokenLifetimeSeconds":"60"}`, 0, ""},
		{200, `{"tokenLifetimeSeconds":0}`, 0, ""},
		{200, `{"tokenLifetimeSeconds":-5}`, 0, ""},
		{200, `{"tokenLifetimeSeconds":1.5}`, 0, ""},        // the server has taken the token: .NET fails
		{200, `{"tokenLifetimeSeconds":2147483648}`, 0, ""}, // the same
		{200, ``, 0, "invalid answer"},
		{204, ``, 0, "invalid answer"},
		{200, `[]`, 0, "invalid answer"},
		{200, `<html>`, 0, "invalid answer"},
		{400, `{"error":"missing_connection_token"}`, 0, "status 400 (Bad Request): {\"error\":\"missing_connection_token\"}"},
		{401, ``, 0, "status 401 (Unauthorized)"},
		{403, `{"error":"user_changed"}`, 0, "user_changed"},
		{404, ``, 0, "status 404 (Not Found)"},
		{500, ``, 0, "status 500"},
	} {
		t.Run(fmt.Sprint(x.status, " ", x.body), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			var opts signalr.ClientOptions
			r := renewing(f, &opts, x.body)
			r.status = x.status
			c, p := f.connect(opts, nil)
			lifetime, err := c.RefreshAuthentication(t.Context())
			if lifetime != x.want || (err == nil) != (x.fails == "") || (err != nil && !strings.Contains(err.Error(), x.fails)) {
				t.Errorf("refresh: %v, %v, want %v, %s", lifetime, err, x.want, x.fails)
			}
			if len(r.events) != 1 {
				t.Errorf("%d events before the caller is told, want 1", len(r.events))
			}
			want := "refreshed " + x.want.String()
			if x.fails != "" {
				want = "failed refresh authentication: "
			}
			r.wantEvent(t, want)
			if n := len(f.requests("refresh")); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if err := c.Send(t.Context(), "Hi"); err != nil {
				t.Errorf("after the refresh: %v", err)
			}
			p.want(`{"type":1,"target":"Hi","arguments":[]}`)
		})
	}
}

// signalr-core client, authentication refresh, URL and token: after a redirection the address and the provider of the user, the
// connection token of the last negotiation; an accessToken of the answer becomes that of the transport.
func TestClientSpecRefreshRedirected(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	opts := signalr.ClientOptions{Transports: signalr.LongPolling}
	r := renewing(f, &opts, `{"accessToken":"NEW"}`, `{}`)
	f.hook = func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/hub/negotiate" {
			fmt.Fprintf(w, `{"url":"http://%s/r/hub?k=v","accessToken":"REDIR"}`, req.Host)
			return true
		}
		return r.answer(w, req)
	}
	c, p := f.connect(opts, nil)
	for i, want := range []string{"NEW", "T3"} {
		if _, err := c.RefreshAuthentication(t.Context()); err != nil {
			t.Fatal(err)
		}
		req := f.requests("refresh")[i]
		if got := req.url + " " + req.header.Get("X-SignalR-Connection-Token") + " " + req.header.Get("Authorization"); got != fmt.Sprintf("/hub/refresh tok1 Bearer T%d", i+2) {
			t.Errorf("refresh %d: %s", i, got)
		}
		n := len(f.requests("POST"))
		if err := c.Send(t.Context(), "Hi"); err != nil {
			t.Fatal(err)
		}
		p.want(`{"type":1,"target":"Hi","arguments":[]}`)
		if got := bearers(f.requests("POST")[n:]); !slices.Equal(got, []string{want}) {
			t.Errorf("after refresh %d a POST with %q, want %s", i, got, want)
		}
	}
}

// signalr-core client, authentication refresh, rows not connected and skipNegotiation: the first without an event, the second with one.
func TestClientSpecRefreshImpossible(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var opts signalr.ClientOptions
	r := renewing(f, &opts, `{}`)
	if _, err := f.client(opts).RefreshAuthentication(t.Context()); err == nil || len(r.events) != 0 {
		t.Errorf("refresh before the start: %v, %d events", err, len(r.events))
	}
	opts.Transports, opts.SkipNegotiation = signalr.WebSockets, true
	c, _ := f.connect(opts, nil)
	if _, err := c.RefreshAuthentication(t.Context()); err == nil || !strings.Contains(err.Error(), "was not negotiated") {
		t.Errorf("refresh: %v", err)
	}
	r.wantEvent(t, "failed refresh authentication: the connection was not negotiated")
	if n := len(f.requests("refresh")); n != 0 {
		t.Errorf("%d requests", n)
	}
	opts.SkipNegotiation = false
	opts.Token = nil
	c, _ = f.connect(opts, nil)
	if _, err := c.RefreshAuthentication(t.Context()); err != nil {
		t.Errorf("refresh without a provider: %v", err)
	}
}

// signalr-core client, automatic refresh, when: B before the end if the lifetime is longer than twice that, else half-way; a tenth of
// the time earlier at most. After a success the new lifetime counts; without one there is no more.
func TestClientSpecRefreshWhen(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		for _, x := range []struct {
			lifetime int
			before   time.Duration
			want     time.Duration
		}{
			{7, 2 * time.Second, 5 * time.Second}, {4, 0, 2 * time.Second}, {1200, 0, 15 * time.Minute}, {600, 0, 5 * time.Minute},
		} {
			t.Run(fmt.Sprint(kind, " ", x.lifetime), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T, f *fakeServer) {
					f.offers = []string{kind}
					lifetime := fmt.Sprintf(`"tokenLifetimeSeconds":%d`, x.lifetime)
					f.members = lifetime + ","
					opts := signalr.ClientOptions{RefreshBeforeExpiration: x.before}
					r := renewing(f, &opts, "{"+lifetime+"}", "{"+lifetime+"}", `{}`)
					c, p := f.connect(opts, nil)
					every(t, 20*time.Second, func() { p.say(ping) })
					last := time.Now()
					for range 3 {
						for ev := range r.events { // the time does not run while the test waits for it
							if !strings.HasPrefix(ev, "refreshed") {
								t.Errorf("event %q", ev)
							}
							break
						}
						if d := time.Since(last); d > x.want || d < x.want*9/10 {
							t.Errorf("refresh after %v, want %v or a tenth less", d, x.want)
						}
						last = time.Now()
					}
					time.Sleep(time.Hour)
					if n := len(f.requests("refresh")); n != 3 {
						t.Errorf("%d refreshes, want 3: the last answer had no lifetime", n)
					}
					if c.State() != hubbub.Connected {
						t.Errorf("the client is %v", c.State())
					}
				})
			})
		}
	}
}

// signalr-core client, automatic refresh, timer: a refresh by hand sets it, also where negotiate told no lifetime; it dies with the
// connection, is set anew from the negotiation of a reconnect, and there is none where it is disabled.
func TestClientSpecRefreshTimer(t *testing.T) {
	t.Parallel()
	start := func(f *fakeServer, opts signalr.ClientOptions, answers ...string) (*signalr.Client, *fakePeer, *renewal) {
		opts.Transports = signalr.LongPolling
		r := renewing(f, &opts, answers...)
		c, p := f.connect(opts, nil)
		every(f.t.(*testing.T), 60*time.Second, func() { p.send("") })
		return c, p, r
	}
	count := func(t *testing.T, f *fakeServer, d time.Duration, want int) {
		t.Helper()
		time.Sleep(d)
		if n := len(f.requests("refresh")); n != want {
			t.Errorf("%d refreshes, want %d", n, want)
		}
	}
	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, f *fakeServer) {
			c, _, _ := start(f, signalr.ClientOptions{}, `{"tokenLifetimeSeconds":100}`, `{"tokenLifetimeSeconds":100}`, `{}`)
			count(t, f, time.Hour, 0)
			for range 2 {
				if _, err := c.RefreshAuthentication(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			count(t, f, 44*time.Second, 2) // one timer, not two
			count(t, f, 7*time.Second, 3)
			count(t, f, time.Hour, 3)
		})
	})
	t.Run("stopped by hand", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, f *fakeServer) {
			f.members = `"tokenLifetimeSeconds":100,`
			c, _, _ := start(f, signalr.ClientOptions{}, `{}`)
			if _, err := c.RefreshAuthentication(t.Context()); err != nil {
				t.Fatal(err)
			}
			count(t, f, time.Hour, 1)
		})
	})
	t.Run("disabled", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, f *fakeServer) {
			f.members = `"tokenLifetimeSeconds":100,`
			c, _, _ := start(f, signalr.ClientOptions{DisableAuthenticationRefresh: true}, `{"tokenLifetimeSeconds":100}`)
			count(t, f, time.Hour, 0)
			if _, err := c.RefreshAuthentication(t.Context()); err != nil {
				t.Fatal(err)
			}
			count(t, f, time.Hour, 1)
		})
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, f *fakeServer) {
			f.members = `"tokenLifetimeSeconds":100,`
			c, _, _ := start(f, signalr.ClientOptions{}, `{}`)
			c.Close()
			count(t, f, time.Hour, 0)
		})
	})
	t.Run("reconnect", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, f *fakeServer) {
			f.members = `"tokenLifetimeSeconds":100,`
			opts := signalr.ClientOptions{}
			opts.Reconnect = hubbub.RetryDelays(0)
			_, p, _ := start(f, opts, `{}`)
			time.Sleep(40 * time.Second)
			f.mu.Lock()
			f.members = `"tokenLifetimeSeconds":40,`
			f.mu.Unlock()
			p.end(1000)
			p = f.accept()
			every(t, 60*time.Second, func() { p.send("") })
			count(t, f, 17*time.Second, 0)
			count(t, f, 4*time.Second, 1)
			if got := f.requests("refresh")[0].header.Get("X-SignalR-Connection-Token"); got != "tok2" {
				t.Errorf("refresh of %s, want tok2", got)
			}
		})
	})
}

// signalr-core client, automatic refresh, failures: ours tries a few more times before the credential ends, where .NET gives up at once;
// 404 says that there is no refresh, which is not asked for again. The connection goes on.
func TestClientSpecRefreshFailures(t *testing.T) {
	t.Parallel()
	for status, more := range map[int]bool{404: false, 401: true, 403: true, 500: true} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, f *fakeServer) {
				f.members = `"tokenLifetimeSeconds":100,`
				var opts signalr.ClientOptions
				r := renewing(f, &opts, ``)
				r.status = status
				began := time.Now()
				c, p := f.connect(opts, nil)
				every(t, 20*time.Second, func() { p.say(ping) })
				time.Sleep(time.Hour)
				list := f.requests("refresh")
				if more != (len(list) > 1) || len(list) > 32 {
					t.Errorf("%d attempts, want more than one: %v", len(list), more)
				}
				if d := list[len(list)-1].at.Sub(began); d > 100*time.Second {
					t.Errorf("the last attempt came after %v, when the credential was over", d)
				}
				if len(r.events) != len(list) {
					t.Errorf("%d events for %d attempts", len(r.events), len(list))
				}
				if c.State() != hubbub.Connected {
					t.Errorf("the client is %v", c.State())
				}
			})
		})
	}
	t.Run("then a success", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, f *fakeServer) {
			f.members = `"tokenLifetimeSeconds":100,`
			var opts signalr.ClientOptions
			r := renewing(f, &opts, ``)
			r.status = 503
			_, p := f.connect(opts, nil)
			every(t, 20*time.Second, func() { p.say(ping) })
			if ev := <-r.events; !strings.HasPrefix(ev, "failed") {
				t.Errorf("event %q", ev)
			}
			r.set(200, `{"tokenLifetimeSeconds":100}`, `{}`)
			for _, want := range []string{"refreshed 1m40s", "refreshed 0s"} {
				if ev := <-r.events; ev != want {
					t.Errorf("event %q, want %s", ev, want)
				}
			}
		})
	})
}

// signalr-core client, authentication refresh, Long Polling 409: one refresh without events, and the polls go on; a refresh that fails
// ends the transport, and so does a second 409 in a row.
func TestClientSpecRefreshConflict(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		status, conflicts, refreshes, want int // want is the status that ends the connection, 0 for none
	}{
		"one":            {200, 1, 1, 0},
		"refresh failed": {403, 1, 1, 403},
		"two":            {200, 2, 1, 409},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			closed := make(chan error, 1)
			opts := signalr.ClientOptions{Transports: signalr.LongPolling}
			opts.OnClosed = func(err error) { closed <- err }
			r := renewing(f, &opts, `{"tokenLifetimeSeconds":60}`)
			r.status = x.status
			polls := 0
			f.hook = func(w http.ResponseWriter, req *http.Request) bool {
				if purpose(req) == "poll" { // they do not overlap
					if polls++; polls > 3 && polls <= 3+x.conflicts {
						w.WriteHeader(http.StatusConflict)
						_, _ = io.WriteString(w, `{"error":"authentication_refresh_required"}`)
						return true
					}
				}
				return r.answer(w, req)
			}
			c, p := f.connect(opts, nil)
			call := calling[int](t.Context(), c, "Run")
			p.want(`{"type":1,"invocationId":"1","target":"Run","arguments":[]}`)
			p.say(ping) // the poll that follows is refused
			if x.want == 0 {
				p.say(`{"type":3,"invocationId":"1","result":4}`)
				if a := receive(t, "the answer", call); a.v != 4 || a.err != nil {
					t.Errorf("Run: %d, %v", a.v, a.err)
				}
			} else {
				var e *signalr.HTTPError
				if err := receive(t, "the end", closed); !errors.As(err, &e) || e.Status != x.want {
					t.Errorf("closed with %v, want status %d", err, x.want)
				}
			}
			if n := len(f.requests("refresh")); n != x.refreshes || len(r.events) != 0 {
				t.Errorf("%d refreshes and %d events, want %d and none", n, len(r.events), x.refreshes)
			}
			if last := f.requests("poll"); x.want == 0 && last[len(last)-1].header.Get("Authorization") != "Bearer T2" {
				t.Errorf("the last poll went with %q, want T2", last[len(last)-1].header.Get("Authorization"))
			}
		})
	}
}
