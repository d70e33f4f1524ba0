package signalr_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

const (
	transportsAll = `"availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]},` +
		`{"transport":"ServerSentEvents","transferFormats":["Text"]},{"transport":"LongPolling","transferFormats":["Text","Binary"]}]`
	shortID = `[A-Za-z0-9_-]{22}`
	longID  = `[A-Za-z0-9_-]{22,}`
)

// matches wants the whole of text to be the pattern, in which «» stand for regular expressions.
func matches(t *testing.T, text, pattern string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("^")
	for i, part := range strings.FieldsFunc(pattern, func(r rune) bool { return r == '«' || r == '»' }) {
		if i%2 == 0 {
			part = regexp.QuoteMeta(part)
		}
		b.WriteString(part)
	}
	b.WriteString("$")
	if !regexp.MustCompile(b.String()).MatchString(text) {
		t.Errorf("got  %s\nwant %s", text, pattern)
	}
}

// TestNegotiateAnswers has every query of "negotiate", with the order of members in the answer.
func TestNegotiateAnswers(t *testing.T) {
	t.Parallel()
	const (
		zero   = `{"negotiateVersion":0,"connectionId":"«` + longID + `»",` + transportsAll + `}`
		one    = `{"negotiateVersion":1,"connectionId":"«` + shortID + `»","connectionToken":"«` + longID + `»",` + transportsAll + `}`
		state  = `{"useStatefulReconnect":true,"negotiateVersion":1,"connectionId":"«` + shortID + `»","connectionToken":"«` + longID + `»",` + transportsAll + `}`
		state0 = `{"useStatefulReconnect":true,"negotiateVersion":0,"connectionId":"«` + longID + `»",` + transportsAll + `}`
		noInt  = `{"error":"The client requested a non-integer protocol version."}`
		low    = `{"error":"The client requested version '-1', but the server does not support this version."}`
	)
	plain := start(t, setup{})
	stateful := start(t, setup{signalr: &signalr.Options{AllowStatefulReconnects: true}})
	for _, tc := range []struct {
		s           *server
		query, want string
	}{
		{plain, "", zero},
		{plain, "?negotiateVersion=0", zero},
		{plain, "?negotiateVersion=1", one},
		{plain, "?negotiateVersion=2", one},
		{plain, "?negotiateVersion=2147483647", one},
		{plain, "?NEGOTIATEVERSION=1", one},
		{plain, "?negotiateVersion=%201%20", one},
		{plain, "?negotiateVersion=%2B1", one},
		{plain, "?negotiateVersion=1&other=2", one},
		{plain, "?negotiateVersion=", noInt},
		{plain, "?negotiateVersion", noInt},
		{plain, "?negotiateVersion=1.0", noInt},
		{plain, "?negotiateVersion=one", noInt},
		{plain, "?negotiateVersion=2147483648", noInt},
		{plain, "?negotiateVersion=99999999999999999999", noInt},
		{plain, "?negotiateVersion=1&negotiateVersion=1", noInt},
		{plain, "?negotiateVersion=1&NegotiateVersion=1", noInt},
		{plain, "?negotiateVersion=-1", low},
		{plain, "?negotiateVersion=1&useStatefulReconnect=true", one}, // not allowed on the endpoint
		{stateful, "?negotiateVersion=1", one},                        // not asked for
		{stateful, "?negotiateVersion=1&useStatefulReconnect=true", state},
		{stateful, "?negotiateVersion=1&usestatefulreconnect=True", state},
		{stateful, "?negotiateVersion=1&useStatefulReconnect=%20true%20", state},
		{stateful, "?negotiateVersion=1&useStatefulReconnect=1", one},
		{stateful, "?negotiateVersion=1&useStatefulReconnect=", one},
		{stateful, "?negotiateVersion=1&useStatefulReconnect=false", one},
		{stateful, "?negotiateVersion=1&useStatefulReconnect=true&useStatefulReconnect=true", one},
		{stateful, "?useStatefulReconnect=true", state0},
	} {
		t.Run(tc.query, func(t *testing.T) {
			t.Parallel()
			a := rawclient.Do(t, "POST", tc.s.url+"/negotiate"+tc.query, nil, "a body is ignored")
			matches(t, a.Body, tc.want)
			if a.Status != http.StatusOK || kindOf(a) != "application/json" || a.Header.Get("Content-Length") == "" {
				t.Errorf("status %d, header %v, want 200, application/json and a length", a.Status, a.Header)
			}
			for _, name := range []string{"Cache-Control", "Pragma", "Expires"} {
				if v := a.Header.Get(name); v != "" {
					t.Errorf("%s: %s, want none", name, v)
				}
			}
		})
	}
	if n := plain.hub.Stats().Opened; n != 0 {
		t.Errorf("%d connections opened, want 0", n)
	}
}

// TestNegotiateSlash: the route is also there with one trailing slash.
func TestNegotiateSlash(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	a := rawclient.Do(t, "POST", s.url+"/negotiate/?negotiateVersion=1", nil, "")
	tok := a.Body[strings.Index(a.Body, `"connectionToken":"`)+len(`"connectionToken":"`):]
	tok = tok[:strings.IndexByte(tok, '"')]
	c := s.connect(t, rawclient.Options{Token: tok})
	c.ExpectNothing(fence, fenced)
}

// TestNegotiateMinimumVersion refuses clients that are too old.
func TestNegotiateMinimumVersion(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{MinimumProtocolVersion: 1}})
	for query, version := range map[string]string{"": "0", "?negotiateVersion=0": "0", "?negotiateVersion=-7": "-7"} {
		a := rawclient.Do(t, "POST", s.url+"/negotiate"+query, nil, "")
		want := `{"error":"The client requested version '` + version + `', but the server does not support this version."}`
		if a.Status != 200 || a.Body != want || kindOf(a) != "application/json" {
			t.Errorf("%q: %d %s, want 200 %s", query, a.Status, a.Body, want)
		}
	}
	s.connect(t, rawclient.Options{}).ExpectNothing(fence, fenced)
}

// TestNegotiateTransports lists what the endpoint allows, in the order of fallback.
func TestNegotiateTransports(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		t    signalr.Transport
		want []string
	}{
		{signalr.AllTransports, []string{"WebSockets", "ServerSentEvents", "LongPolling"}},
		{signalr.WebSockets | signalr.LongPolling, []string{"WebSockets", "LongPolling"}},
		{signalr.ServerSentEvents, []string{"ServerSentEvents"}},
		{signalr.LongPolling, []string{"LongPolling"}},
	} {
		s := start(t, setup{signalr: &signalr.Options{Transports: tc.t}})
		n := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil)
		var got []string
		for _, a := range n.AvailableTransports {
			got = append(got, a.Transport)
		}
		if strings.Join(got, " ") != strings.Join(tc.want, " ") {
			t.Errorf("transports %v: got %v, want %v", tc.t, got, tc.want)
		}
	}
}

// TestNegotiateVersion0: one string is both id and token, on every transport.
func TestNegotiateVersion0(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way, Version0: true})
		c.Send(`{"type":1,"invocationId":"1","target":"ID","arguments":[]}`)
		c.Expect(`{"type":3,"invocationId":"1","result":"` + c.ConnectionID + `"}`)
	})
}

// TestNegotiateVersion1: the id is public, the token is not it, and every one is new.
func TestNegotiateVersion1(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"invocationId":"1","target":"ID","arguments":[]}`)
		c.Expect(`{"type":3,"invocationId":"1","result":"` + c.ConnectionID + `"}`)
		if _, refused := rawclient.TryOpen(t, s.url, rawclient.Options{Way: way, Token: c.ConnectionID}); refused == nil || refused.Status != 404 {
			t.Errorf("connection id as token: %+v, want 404", refused)
		}
	})
	seen := map[string]bool{}
	for range 100 {
		n := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil)
		if seen[n.ConnectionID] || seen[n.ConnectionToken] || n.ConnectionID == n.ConnectionToken {
			t.Fatalf("id %s, token %s: seen before", n.ConnectionID, n.ConnectionToken)
		}
		seen[n.ConnectionID], seen[n.ConnectionToken] = true, true
	}
}

// TestNegotiateLifetime has the rows of "negotiate" of authentication refresh.
func TestNegotiateLifetime(t *testing.T) {
	t.Parallel()
	refresh := start(t, setup{signalr: &signalr.Options{Auth: toy, EnableAuthenticationRefresh: true}})
	capped := start(t, setup{signalr: &signalr.Options{Auth: toy, EnableAuthenticationRefresh: true, MaximumAuthenticationExpiration: 30 * time.Second}})
	off := start(t, setup{signalr: &signalr.Options{Auth: toy, MaximumAuthenticationExpiration: 30 * time.Second}})
	ending := func(in time.Duration) *server {
		return start(t, setup{signalr: &signalr.Options{EnableAuthenticationRefresh: true, Auth: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				u := &hubbub.User{ID: "ann", Expires: time.Now().Add(in)}
				next.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), u)))
			})
		}}})
	}
	nobody := func() string { return "" }
	for _, tc := range []struct {
		name     string
		s        *server
		tok      func() string
		query    string
		min, max int64 // 0: the member must be missing
	}{
		{"expiry", refresh, func() string { return token("ann", time.Minute, "a") }, "negotiateVersion=1", 50, 60},
		{"version 0", refresh, func() string { return token("ann", time.Minute, "a") }, "", 50, 60},
		{"no expiry", refresh, func() string { return token("ann", 0, "a") }, "negotiateVersion=1", 0, 0},
		{"anonymous", refresh, nobody, "negotiateVersion=1", 0, 0},
		{"far away", refresh, func() string { return token("ann", 100*365*24*time.Hour, "a") }, "negotiateVersion=1", 2147483647, 2147483647},
		{"less than a second", ending(900 * time.Millisecond), nobody, "negotiateVersion=1", 0, 0},
		{"cap before expiry", capped, func() string { return token("ann", time.Minute, "a") }, "negotiateVersion=1", 25, 30},
		{"cap behind expiry", capped, func() string { return token("ann", 20*time.Second, "a") }, "negotiateVersion=1", 15, 20},
		{"cap without expiry", capped, func() string { return token("ann", 0, "a") }, "negotiateVersion=1", 25, 30},
		{"cap, anonymous", capped, nobody, "negotiateVersion=1", 0, 0},
		{"off", off, func() string { return token("ann", time.Minute, "a") }, "negotiateVersion=1", 0, 0},
		{"past", ending(-time.Second), nobody, "negotiateVersion=1", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := rawclient.Negotiate(t, tc.s.url, tc.query, bearer(tc.tok()))
			if tc.max == 0 {
				if n.TokenLifetimeSeconds != nil {
					t.Errorf("lifetime %d, want none: %s", *n.TokenLifetimeSeconds, n.Body)
				}
				return
			}
			if n.TokenLifetimeSeconds == nil || *n.TokenLifetimeSeconds < tc.min || *n.TokenLifetimeSeconds > tc.max {
				t.Errorf("lifetime of %s, want %d to %d", n.Body, tc.min, tc.max)
			}
			before := `"connectionToken":"«` + longID + `»",`
			if tc.query == "" {
				before = ""
			}
			matches(t, n.Body, `{"negotiateVersion":«[01]»,"connectionId":"«`+longID+`»",`+before+`"tokenLifetimeSeconds":«[0-9]+»,`+transportsAll+`}`)
		})
	}
}

// TestNegotiateLate: a token that was not used in time is unknown.
func TestNegotiateLate(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{DisconnectTimeout: 50 * time.Millisecond}})
	tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	await(t, "the end of the token", func() bool {
		return rawclient.Do(t, "POST", s.url+"?id="+tok, nil, "").Status == http.StatusNotFound
	})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		_, refused := rawclient.TryOpen(t, s.url, rawclient.Options{Way: way, Token: tok})
		if refused == nil || refused.Status != 404 || refused.Body != unknownText {
			t.Errorf("got %+v, want 404", refused)
		}
	})
}

// TestNegotiateStopping: a hub that stops takes no new connections, whatever the way.
func TestNegotiateStopping(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	if err := s.hub.Shutdown(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for _, r := range []row{
		{method: "POST", path: "/negotiate?negotiateVersion=1"},
		{method: "GET", path: "?id=" + tok},
		{method: "GET", path: "?id=" + tok, header: accept(sseAccept)},
		{method: "GET", path: "?id=" + tok, header: upgrade()},
		{method: "GET", path: "", header: upgrade()},
	} {
		r.status, r.kind = http.StatusServiceUnavailable, "text/plain"
		r.check(t, s.url)
	}
}
