package signalr_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

const userChanged = "The user associated with this connection changed."

const me = `{"type":1,"invocationId":"me","target":"Me","arguments":[]}`

func iAm(name string) string { return `{"type":3,"invocationId":"me","result":"` + name + `"}` }

// refreshing starts a server with authentication refresh and toy tokens.
func refreshing(t *testing.T, s setup) *server {
	t.Helper()
	opts := signalr.Options{}
	if s.signalr != nil {
		opts = *s.signalr
	}
	opts.EnableAuthenticationRefresh, opts.Auth = true, toy
	s.signalr = &opts
	return start(t, s)
}

// refresh posts a credential for a connection.
func refresh(t *testing.T, url, connection, tok string) rawclient.Answer {
	t.Helper()
	h := http.Header{}
	if connection != "" {
		h.Set("X-SignalR-Connection-Token", connection)
	}
	for k, v := range bearer(tok) {
		h[k] = v
	}
	return rawclient.Do(t, "POST", url+"/refresh", h, "a body is ignored")
}

// answers wants an answer in JSON. A body that ends in a number N: any lifetime from N-15 to N.
func answers(t *testing.T, what string, a rawclient.Answer, status int, body string) {
	t.Helper()
	got, want := a.Body, body
	number := regexp.MustCompile(`[0-9]+}$`)
	if n := number.FindString(want); n != "" {
		high, _ := strconv.Atoi(strings.TrimSuffix(n, "}"))
		low, err := strconv.Atoi(strings.TrimSuffix(number.FindString(got), "}"))
		if err != nil || low > high || low < high-15 {
			t.Errorf("%s: body %s, want %s or a little less", what, got, want)
			return
		}
		got, want = number.ReplaceAllString(got, ""), number.ReplaceAllString(want, "")
	}
	if a.Status != status || got != want || kindOf(a) != "application/json" || a.Header.Get("Content-Length") != strconv.Itoa(len(a.Body)) {
		t.Errorf("%s: %d %s %q, want %d application/json %q", what, a.Status, kindOf(a), a.Body, status, body)
	}
	if a.Header.Get("Cache-Control") != "" {
		t.Errorf("%s: has cache headers", what)
	}
}

// TestRefreshAnswers has the rows of `POST {path}/refresh`, before a transport is bound and over every transport.
func TestRefreshAnswers(t *testing.T) {
	t.Parallel()
	s := refreshing(t, setup{signalr: &signalr.Options{OnAuthenticationRefresh: func(_ context.Context, r signalr.Refresh) (bool, error) {
		switch r.New.Claim("role") {
		case "no":
			return false, nil
		case "fail":
			return true, errors.New("secret")
		case "panic":
			panic("secret")
		}
		return true, nil
	}}})
	signalr.MapHub(s.mux, "/other", s.hub, &signalr.Options{Auth: toy, EnableAuthenticationRefresh: true})
	check := func(t *testing.T, tok, id string, unchanged func()) {
		answers(t, "no header", refresh(t, s.url, "", token("ann", 0, "a")), 400, `{"error":"missing_connection_token"}`)
		answers(t, "id in the query", rawclient.Do(t, "POST", s.url+"/refresh?id="+tok, bearer(token("ann", 0, "a")), ""), 400, `{"error":"missing_connection_token"}`)
		for name, unknown := range map[string]string{"unknown": "nobody", "connection id": id, "other case": strings.ToUpper(tok)} {
			answers(t, name, refresh(t, s.url, unknown, token("ann", 0, "a")), 404, `{"error":"connection_not_found"}`)
		}
		answers(t, "other endpoint", refresh(t, s.srv.URL+"/other", tok, token("ann", 0, "a")), 404, `{"error":"connection_not_found"}`)
		answers(t, "other user", refresh(t, s.url, tok, token("bob", time.Hour, "a")), 403, `{"error":"user_changed"}`)
		answers(t, "nobody", refresh(t, s.url, tok, ""), 403, `{"error":"user_changed"}`)
		answers(t, "refused", refresh(t, s.url, tok, token("ann", time.Hour, "no")), 403, `{"error":"permission_change_rejected"}`)
		for _, note := range []string{"fail", "panic"} {
			if a := refresh(t, s.url, tok, token("ann", time.Hour, note)); a.Status != 500 || a.Body != "" || kindOf(a) != "-" {
				t.Errorf("%s: %d %s %q, want 500 without a body", note, a.Status, kindOf(a), a.Body)
			}
		}
		if a := refresh(t, s.url, tok, "bad token"); a.Status != 401 {
			t.Errorf("bad token: status %d, want 401", a.Status)
		}
		for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS"} {
			row{method: method, path: "/refresh", header: bearer(token("ann", 0, "a")), status: 405, kind: "text/plain"}.check(t, s.url)
		}
		unchanged()
		answers(t, "accepted", refresh(t, s.url, tok, token("ann", 2*time.Minute, "b")), 200, `{"tokenLifetimeSeconds":119}`)
		answers(t, "slash", rawclient.Do(t, "POST", s.url+"/refresh/?q=1",
			http.Header{"X-Signalr-Connection-Token": {tok}, "Authorization": {"Bearer " + token("ann", 3*time.Minute, "b")}}, ""), 200, `{"tokenLifetimeSeconds":179}`)
	}
	t.Run("before a transport", func(t *testing.T) {
		t.Parallel()
		n := rawclient.Negotiate(t, s.url, "negotiateVersion=1", bearer(token("ann", time.Minute, "a")))
		check(t, n.ConnectionToken, n.ConnectionID, func() {})
	})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way, Header: bearer(token("ann", time.Minute, "a"))})
		check(t, c.ConnectionToken, c.ConnectionID, func() { c.ExpectNothing(me, iAm("ann/a")) })
		c.ExpectNothing(me, iAm("ann/b"))
		answers(t, "stale", refresh(t, s.url, c.ConnectionToken, token("ann", 30*time.Second, "c")), 200, `{"tokenLifetimeSeconds":29}`)
		c.ExpectNothing(me, iAm("ann/b"))
		if way.Transport != rawclient.LongPolling { // whose next poll would bring its own credential
			answers(t, "no expiry", refresh(t, s.url, c.ConnectionToken, token("ann", 0, "d")), 200, `{}`)
			c.ExpectNothing(me, iAm("ann/d"))
			// Without an expiry nothing is stale.
			answers(t, "expiry again", refresh(t, s.url, c.ConnectionToken, token("ann", 30*time.Second, "e")), 200, `{"tokenLifetimeSeconds":29}`)
			c.ExpectNothing(me, iAm("ann/e"))
		}

		anonymous := s.connect(t, rawclient.Options{Way: way})
		answers(t, "anonymous", refresh(t, s.url, anonymous.ConnectionToken, ""), 200, `{}`)
		answers(t, "anonymous with a user", refresh(t, s.url, anonymous.ConnectionToken, token("ann", 0, "a")), 403, `{"error":"user_changed"}`)
		anonymous.ExpectNothing(me, iAm("(nobody)"))

		old := s.connect(t, rawclient.Options{Way: way, Version0: true, Header: bearer(token("ann", time.Minute, "a"))})
		answers(t, "version 0", refresh(t, s.url, old.ConnectionID, token("ann", time.Hour, "b")), 400, `{"error":"unsupported_negotiate_version"}`)
		old.ExpectNothing(me, iAm("ann/a"))

		c.Close()
		await(t, "404", func() bool { return refresh(t, s.url, c.ConnectionToken, token("ann", 0, "a")).Status == 404 })
	})
}

// TestRefreshSkippedNegotiate: a connection without negotiate cannot refresh.
func TestRefreshSkippedNegotiate(t *testing.T) {
	t.Parallel()
	s := refreshing(t, setup{})
	c := s.connect(t, rawclient.Options{SkipNegotiation: true, Header: bearer(token("ann", time.Minute, "a"))})
	c.Send(`{"type":1,"invocationId":"1","target":"ID","arguments":[]}`)
	id := strings.Split(c.Next(), `"`)[9]
	answers(t, "no negotiate", refresh(t, s.url, id, token("ann", time.Hour, "b")), 400, `{"error":"unsupported_negotiate_version"}`)
}

// TestRefreshOff: without the option the route is not there.
func TestRefreshOff(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{Auth: toy}})
	c := s.connect(t, rawclient.Options{})
	if a := refresh(t, s.url, c.ConnectionToken, ""); a.Status != 404 {
		t.Errorf("status %d, want 404", a.Status)
	}
}

// TestRefreshCap: the cap counts for refreshes too.
func TestRefreshCap(t *testing.T) {
	t.Parallel()
	s := refreshing(t, setup{signalr: &signalr.Options{MaximumAuthenticationExpiration: time.Minute}})
	c := s.connect(t, rawclient.Options{Header: bearer(token("ann", 30*time.Second, "a"))})
	answers(t, "capped", refresh(t, s.url, c.ConnectionToken, token("ann", time.Hour, "b")), 200, `{"tokenLifetimeSeconds":60}`)
	answers(t, "capped without expiry", refresh(t, s.url, c.ConnectionToken, token("ann", 0, "c")), 200, `{"tokenLifetimeSeconds":60}`)
	c.ExpectNothing(me, iAm("ann/c"))
}

// TestRefreshEffects: roles count at once, running calls keep their user, addresses and groups stay, and the hub hears of it in turn.
func TestRefreshEffects(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		goOn := make(chan struct{})
		heard := make(chan string, 10)
		asked := make(chan signalr.Refresh, 10)
		s := refreshing(t, setup{
			signalr: &signalr.Options{OnAuthenticationRefresh: func(_ context.Context, r signalr.Refresh) (bool, error) {
				asked <- r
				return true, nil
			}},
			methods: func(h *hubbub.Hub) {
				h.OnConnected(func(ctx context.Context) error {
					hubbub.CallerFrom(ctx).Items().Store("k", "v")
					return hubbub.CallerFrom(ctx).Join(ctx, "room")
				})
				h.Handle("Admin", hubbub.Func0(func(ctx context.Context) (any, error) {
					v, _ := hubbub.CallerFrom(ctx).Items().Load("k")
					return v, nil
				}), hubbub.RequireRole("admin"))
				h.Handle("Long", hubbub.Func0(func(ctx context.Context) (string, error) {
					<-goOn
					return nameOf(hubbub.CallerFrom(ctx).User()) + nameOf(hubbub.UserFrom(ctx)), nil
				}))
				h.Handle("Names", hubbub.Func0(func(ctx context.Context) (hubbub.Seq[string], error) {
					return func(yield func(string, error) bool) {
						for yield(nameOf(hubbub.CallerFrom(ctx).User()), nil) {
							<-goOn
						}
					}, nil
				}))
				h.OnAuthenticationRefreshed(func(ctx context.Context) error {
					heard <- nameOf(hubbub.CallerFrom(ctx).User())
					return errors.New("this is only logged")
				})
			}})
		c := s.connect(t, rawclient.Options{Way: way, Header: bearer(token("ann", time.Minute, "guest"))})
		const admin = `{"type":1,"invocationId":"a","target":"Admin","arguments":[]}`
		c.ExpectNothing(admin, `{"type":3,"invocationId":"a","error":"Failed to invoke 'Admin' because user is unauthorized"}`)
		c.Send(`{"type":4,"invocationId":"n","target":"Names","arguments":[]}`)
		c.Expect(`{"type":2,"invocationId":"n","item":"ann/guest"}`)
		c.Send(`{"type":1,"invocationId":"l","target":"Long","arguments":[]}`)
		await(t, "the call", func() bool { return s.hub.Stats().Invocations == 3 })
		answers(t, "refresh", refresh(t, s.url, c.ConnectionToken, token("ann", time.Hour, "admin")), 200, `{"tokenLifetimeSeconds":3599}`)
		r := receive(t, "OnAuthenticationRefresh", asked)
		if nameOf(r.Previous) != "ann/guest" || nameOf(r.New) != "ann/admin" || r.ConnectionID != c.ConnectionID ||
			r.Request.URL.Path != "/hub/refresh" || time.Until(r.Expires) < 50*time.Minute {
			t.Errorf("OnAuthenticationRefresh got %+v", r)
		}
		still(t, "the event before the running call has ended", heard, 20*time.Millisecond)
		close(goOn)
		for long, item := false, false; !long || !item; {
			switch r := c.Next(); r {
			case `{"type":3,"invocationId":"l","result":"ann/guestann/guest"}`:
				long = true
			case `{"type":2,"invocationId":"n","item":"ann/guest"}`:
				item = true
			default:
				t.Fatalf("record %s", r)
			}
		}
		if name := receive(t, "OnAuthenticationRefreshed", heard); name != "ann/admin" {
			t.Errorf("the event has user %s, want ann/admin", name)
		}
		c.Send(`{"type":5,"invocationId":"n"}`)
		for r := ""; r != `{"type":3,"invocationId":"n"}`; {
			r = c.Next()
		}
		c.ExpectNothing(admin, `{"type":3,"invocationId":"a","result":"v"}`)
		for _, who := range []hubbub.Clients{s.hub.User("ann"), s.hub.Group("room"), s.hub.Clients(c.ConnectionID)} {
			if err := who.Send(t.Context(), "M"); err != nil {
				t.Fatal(err)
			}
			c.Expect(`{"type":1,"target":"M","arguments":[]}`)
		}
	})
}

// TestRefreshMovesExpiry: an accepted refresh moves the end of the connection.
func TestRefreshMovesExpiry(t *testing.T) {
	t.Parallel()
	s := refreshing(t, setup{signalr: &signalr.Options{CloseOnAuthenticationExpiration: true}})
	h := bearer(token("ann", 2*time.Second, "a"))
	kept, lost := s.connect(t, rawclient.Options{Header: h}), s.connect(t, rawclient.Options{Header: h})
	answers(t, "refresh", refresh(t, s.url, kept.ConnectionToken, token("ann", time.Hour, "b")), 200, `{"tokenLifetimeSeconds":3599}`)
	lost.Expect(`{"type":7,"allowReconnect":true}`)
	lost.ExpectEnd(1000)
	kept.ExpectNothing(me, iAm("ann/b"))
}

// TestBindingFirstRequest: the first request of a transport must come from the user who negotiated; its claims become the connection's.
func TestBindingFirstRequest(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{Auth: toy}})
	free := start(t, setup{signalr: &signalr.Options{Auth: toy, AllowUserChanges: true}})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		for _, tc := range []struct{ negotiates, connects, is string }{
			{token("ann", 0, "a"), token("bob", 0, "a"), ""},
			{token("ann", 0, "a"), "", ""},
			{"", token("ann", 0, "a"), ""},
			{token("ann", 0, "a"), token("Ann", 0, "a"), ""},
			{token("ann", time.Hour, "a"), token("ann", time.Minute, "b"), "ann/b"},
			{"", "", "(nobody)"},
		} {
			n := rawclient.Negotiate(t, s.url, "negotiateVersion=1", bearer(tc.negotiates))
			o := rawclient.Options{Way: way, Token: n.ConnectionToken, Header: bearer(tc.connects)}
			if tc.is == "" {
				_, refusal := rawclient.TryOpen(t, s.url, o)
				if refusal == nil || refusal.Status != 403 || refusal.Body != userChanged || kindOf(*refusal) != "text/plain" {
					t.Errorf("%s then %s: %+v, want 403", tc.negotiates, tc.connects, refusal)
				}
				n = rawclient.Negotiate(t, free.url, "negotiateVersion=1", bearer(tc.negotiates))
				o.Token = n.ConnectionToken
				rawclient.Connect(t, free.url, o).ExpectNothing(fence, fenced)
				continue
			}
			s.connect(t, o).ExpectNothing(me, iAm(tc.is))
		}
	})
	c := s.connect(t, rawclient.Options{SkipNegotiation: true, Header: bearer(token("ann", 0, "a"))})
	c.ExpectNothing(me, iAm("ann/a"))
}

// TestBindingPostAndDelete: they must come from the user of the connection, and change nothing.
func TestBindingPostAndDelete(t *testing.T) {
	t.Parallel()
	s := refreshing(t, setup{})
	for _, way := range rawclient.Transports[1:] {
		c := s.connect(t, rawclient.Options{Way: way, Header: bearer(token("ann", 0, "a"))})
		for _, other := range []string{"", token("bob", 0, "a")} {
			for _, method := range []string{"POST", "DELETE"} {
				row{method: method, path: "?id=" + c.ConnectionToken, header: bearer(other), body: fence + "\x1e", status: 403, kind: "text/plain", text: userChanged}.check(t, s.url)
			}
		}
		row{method: "POST", path: "?id=" + c.ConnectionToken, header: bearer(token("ann", time.Hour, "b")), body: me + "\x1e", status: 200, kind: "text/plain"}.check(t, s.url)
		c.Expect(iAm("ann/a"))
	}
}

// TestBindingPolls has the rows about polls, with and without authentication refresh.
func TestBindingPolls(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		t.Run("refresh="+strconv.FormatBool(on), func(t *testing.T) {
			t.Parallel()
			heard := make(chan string, 20)
			s := start(t, setup{
				signalr: &signalr.Options{Auth: toy, EnableAuthenticationRefresh: on, PollTimeout: 20 * time.Millisecond,
					OnAuthenticationRefresh: func(_ context.Context, r signalr.Refresh) (bool, error) { return r.New.Claim("role") != "no", nil }},
				methods: func(h *hubbub.Hub) {
					h.OnAuthenticationRefreshed(func(ctx context.Context) error {
						heard <- nameOf(hubbub.CallerFrom(ctx).User())
						return nil
					})
				}})
			long := token("ann", time.Hour, "a")
			url := s.url + "?id=" + rawclient.Negotiate(t, s.url, "negotiateVersion=1", bearer(long)).ConnectionToken
			t.Cleanup(func() { rawclient.Request(context.Background(), "DELETE", url, bearer(long), "") })
			poll := func(tok string) rawclient.Answer { return rawclient.Do(t, "GET", url, bearer(tok), "") }
			post := func(r string) {
				t.Helper()
				if a := rawclient.Do(t, "POST", url, bearer(long), r+"\x1e"); a.Status != 200 {
					t.Fatalf("POST: %d %q", a.Status, a.Body)
				}
			}
			is := func(name string) {
				t.Helper()
				post(me)
				for {
					a := poll(long)
					if a.Status != 200 {
						t.Fatalf("poll: %d %q", a.Status, a.Body)
					}
					if a.Body == "" {
						continue
					}
					if want := iAm(name) + "\x1e"; a.Body != want {
						t.Errorf("poll: %s, want %s", a.Body, want)
					}
					return
				}
			}
			poll(long)
			post(`{"protocol":"json","version":1}`)
			if a := poll(long); a.Body != "{}\x1e" {
				t.Fatalf("poll: %d %q", a.Status, a.Body)
			}
			for _, other := range []string{"", token("bob", time.Hour, "a")} {
				a := poll(other)
				uncached(t, "refused", a)
				if on {
					if a.Status != 409 || a.Body != `{"error":"authentication_refresh_required"}` || kindOf(a) != "application/json" {
						t.Errorf("other user: %d %s %q, want 409", a.Status, kindOf(a), a.Body)
					}
				} else if a.Status != 403 || a.Body != userChanged || kindOf(a) != "text/plain" {
					t.Errorf("other user: %d %s %q, want 403", a.Status, kindOf(a), a.Body)
				}
			}
			is("ann/a")
			poll(token("ann", time.Minute, "b")) // ends earlier: nothing is applied
			is("ann/a")
			still(t, "an event", heard, 10*time.Millisecond)
			later := token("ann", 2*time.Hour, "c")
			poll(later)
			if !on {
				is("ann/a")
				still(t, "an event", heard, 10*time.Millisecond)
				return
			}
			if name := receive(t, "the event", heard); name != "ann/c" {
				t.Errorf("event with %s, want ann/c", name)
			}
			poll(later)
			is("ann/c")
			still(t, "an event for the same credential", heard, 10*time.Millisecond)
			a := poll(token("ann", 3*time.Hour, "no"))
			if a.Status != 403 || a.Body != `{"error":"permission_change_rejected"}` {
				t.Errorf("refused: %d %q, want 403", a.Status, a.Body)
			}
			if a := poll(later); a.Status != 404 {
				t.Errorf("after a refused refresh: %d, want 404", a.Status)
			}
		})
	}
}

// TestBindingPollUndisturbed: the poll of a stranger does not end the running one.
func TestBindingPollUndisturbed(t *testing.T) {
	t.Parallel()
	s := refreshing(t, setup{})
	c := s.connect(t, rawclient.Options{Way: rawclient.Ways[3], Header: bearer(token("ann", 0, "a"))})
	for range 3 {
		if a := rawclient.Do(t, "GET", c.URL(), bearer(token("bob", 0, "a")), ""); a.Status != 409 {
			t.Errorf("status %d, want 409", a.Status)
		}
		c.ExpectNothing(fence, fenced)
	}
}

// TestBindingCapOnPolls: a cap moves with every request, but that is no refresh.
func TestBindingCapOnPolls(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 20)
	s := refreshing(t, setup{signalr: &signalr.Options{
		MaximumAuthenticationExpiration: time.Minute, PollTimeout: 10 * time.Millisecond,
		OnAuthenticationRefresh: func(context.Context, signalr.Refresh) (bool, error) { asked <- "asked"; return true, nil },
	}})
	c := s.connect(t, rawclient.Options{Way: rawclient.Ways[3], Header: bearer(token("ann", time.Hour, "a"))})
	for range 5 {
		c.ExpectNothing(fence, fenced)
	}
	still(t, "a refresh", asked, 50*time.Millisecond)
}

// TestBindingReconnect has the rows about stateful reconnect, with and without authentication refresh.
func TestBindingReconnect(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		t.Run("refresh="+strconv.FormatBool(on), func(t *testing.T) {
			t.Parallel()
			s := start(t, setup{
				signalr: &signalr.Options{Auth: toy, EnableAuthenticationRefresh: on, AllowStatefulReconnects: true,
					OnAuthenticationRefresh: func(_ context.Context, r signalr.Refresh) (bool, error) { return r.New.Claim("role") != "no", nil }},
				methods: func(h *hubbub.Hub) {
					h.OnAuthenticationRefreshed(func(ctx context.Context) error { return hubbub.CallerFrom(ctx).Send(ctx, "Refreshed") })
				}})
			c := s.connect(t, rawclient.Options{Stateful: true, Header: bearer(token("ann", time.Hour, "a"))})
			c.ExpectNothing(fence, fenced)
			c.Drop()
			again := func(tok string) (*rawclient.Conn, *rawclient.Answer) {
				return rawclient.TryOpen(t, s.url, rawclient.Options{Token: c.ConnectionToken, Raw: true, Header: bearer(tok)})
			}
			for _, other := range []string{"", token("bob", time.Hour, "a")} {
				if _, refusal := again(other); refusal == nil || refusal.Status != 403 || refusal.Body != userChanged {
					t.Errorf("other user: %+v, want 403", refusal)
				}
			}
			n, refusal := again(token("ann", 2*time.Hour, "b"))
			if refusal != nil {
				t.Fatalf("same user: %+v, want 101", refusal)
			}
			next := records(n)
			want := []string{sequence(1), fenced}
			if on {
				want = append(want, `{"type":1,"target":"Refreshed","arguments":[]}`)
			}
			n.SendText(sequence(2) + "\x1e")
			for _, w := range want {
				r := next()
				for strings.HasPrefix(r, `{"type":8`) {
					r = next()
				}
				if r != w {
					t.Fatalf("record %s, want %s", r, w)
				}
			}
			name := "ann/a"
			if on {
				name = "ann/b"
			}
			n.SendText(me + "\x1e")
			for r := ""; r != iAm(name); {
				if r = next(); strings.HasPrefix(r, `{"type":3`) && r != iAm(name) {
					t.Fatalf("record %s, want %s", r, iAm(name))
				}
			}
			if !on {
				return
			}
			n.Drop()
			if _, refusal := again(token("ann", 3*time.Hour, "no")); refusal == nil || refusal.Status != 403 || refusal.Body != `{"error":"permission_change_rejected"}` {
				t.Errorf("refused: %+v, want 403", refusal)
			}
			if _, refusal := again(token("ann", 2*time.Hour, "b")); refusal == nil || refusal.Status != 404 {
				t.Errorf("after a refused refresh: %+v, want 404", refusal)
			}
		})
	}
}
