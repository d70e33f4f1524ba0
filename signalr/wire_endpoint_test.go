package signalr_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

const (
	sseAccept   = "text/event-stream"
	unknownText = "No Connection with that ID"
	changeText  = "Cannot change transports mid-connection"
)

// row is one request and its whole answer.
type row struct {
	name   string
	method string
	path   string // behind the base
	header http.Header
	body   string
	status int
	kind   string // content type, "-" for none
	text   string
}

func (r row) check(t *testing.T, base string) rawclient.Answer {
	t.Helper()
	a := rawclient.Do(t, r.method, base+r.path, r.header, r.body)
	if a.Status != r.status || a.Body != r.text || kindOf(a) != r.kind {
		t.Errorf("%s %s: status %d, content type %s, body %q\nwant status %d, content type %s, body %q",
			r.method, r.path, a.Status, kindOf(a), a.Body, r.status, r.kind, r.text)
	}
	return a
}

func kindOf(a rawclient.Answer) string {
	if v, ok := a.Header["Content-Type"]; ok {
		return strings.Join(v, ",")
	}
	return "-"
}

func upgrade() http.Header {
	return http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AQIDBAUGBwgJCgsMDQ4PEC=="},
	}
}

func accept(v string) http.Header { return http.Header{"Accept": {v}} }

func without(h http.Header, name string) http.Header { h.Del(name); return h }
func with(h http.Header, name, value string) http.Header {
	h.Set(name, value)
	return h
}

// TestEndpointWithoutConnection has the rows of "the endpoint: methods and status codes" that need no connection.
func TestEndpointWithoutConnection(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	const plain = "text/plain"
	rows := []row{
		{name: "negotiate by GET", method: "GET", path: "/negotiate", status: 405, kind: plain},
		{name: "negotiate by PUT", method: "PUT", path: "/negotiate", status: 405, kind: plain},
		{name: "negotiate by DELETE", method: "DELETE", path: "/negotiate", status: 405, kind: plain},
		{name: "negotiate by OPTIONS", method: "OPTIONS", path: "/negotiate", status: 405, kind: plain},
		{name: "negotiate by HEAD", method: "HEAD", path: "/negotiate", status: 405, kind: plain},
		{name: "negotiate with a slash by GET", method: "GET", path: "/negotiate/", status: 405, kind: plain},
		{name: "HEAD", method: "HEAD", path: "?id=x", status: 405, kind: plain},
		{name: "PUT", method: "PUT", path: "", status: 405, kind: plain},
		{name: "PATCH", method: "PATCH", path: "?id=x", status: 405, kind: plain},
		{name: "OPTIONS", method: "OPTIONS", path: "?id=x", status: 405, kind: plain},
		{name: "poll without id", method: "GET", path: "", status: 400, kind: plain, text: "Connection ID required"},
		{name: "poll with an empty id", method: "GET", path: "?id=", status: 400, kind: plain, text: "Connection ID required"},
		{name: "events without id", method: "GET", path: "", header: accept(sseAccept), status: 400, kind: plain, text: "Connection ID required"},
		{name: "events with an empty id", method: "GET", path: "?id=", header: accept(sseAccept), status: 400, kind: plain, text: "Connection ID required"},
		{name: "POST without id", method: "POST", path: "", status: 400, kind: plain, text: "Connection ID required"},
		{name: "POST with an empty id", method: "POST", path: "?id=", status: 400, kind: plain, text: "Connection ID required"},
		{name: "DELETE without id", method: "DELETE", path: "", status: 400, kind: plain, text: "Connection ID required"},
		{name: "DELETE with an empty id", method: "DELETE", path: "?id=", status: 400, kind: plain, text: "Connection ID required"},
		{name: "poll of an unknown id", method: "GET", path: "?id=nobody", status: 404, kind: plain, text: unknownText},
		{name: "events of an unknown id", method: "GET", path: "?id=nobody", header: accept(sseAccept), status: 404, kind: plain, text: unknownText},
		{name: "POST to an unknown id", method: "POST", path: "?id=nobody", status: 404, kind: plain, text: unknownText},
		{name: "DELETE of an unknown id", method: "DELETE", path: "?id=nobody", status: 404, kind: plain, text: unknownText},
		{name: "upgrade of an unknown id", method: "GET", path: "?id=nobody", header: upgrade(), status: 404, kind: "-", text: unknownText},
		{name: "slash", method: "GET", path: "/?id=nobody", status: 404, kind: plain, text: unknownText},
		{name: "upgrade without key is a poll", method: "GET", path: "", header: without(upgrade(), "Sec-Websocket-Key"), status: 400, kind: plain, text: "Connection ID required"},
		{name: "upgrade with a short key is a poll", method: "GET", path: "", header: with(upgrade(), "Sec-Websocket-Key", "AQID"), status: 400, kind: plain, text: "Connection ID required"},
		{name: "upgrade without version is a poll", method: "GET", path: "", header: without(upgrade(), "Sec-Websocket-Version"), status: 400, kind: plain, text: "Connection ID required"},
		{name: "upgrade with version 8 is a poll", method: "GET", path: "?id=nobody", header: with(upgrade(), "Sec-Websocket-Version", "8"), status: 404, kind: plain, text: unknownText},
		{name: "events before upgrade", method: "GET", path: "?id=nobody", header: with(upgrade(), "Accept", sseAccept), status: 404, kind: plain, text: unknownText},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.check(t, s.url)
		})
	}
	t.Run("below and beside", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/other", "/negotiate/more", "bub", "/refresh"} {
			if a := rawclient.Do(t, "POST", s.url+path, nil, ""); a.Status != http.StatusNotFound {
				t.Errorf("POST %s: status %d, want 404", path, a.Status)
			}
		}
	})
}

// TestEndpointTwoIDs: an id that comes twice is joined by a comma, and so unknown.
func TestEndpointTwoIDs(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	row{method: "GET", path: "?id=" + tok + "&id=" + tok, status: 404, kind: "text/plain", text: unknownText}.check(t, s.url)
	row{method: "GET", path: "?ID=" + tok, status: 200, kind: "application/octet-stream"}.check(t, s.url)
	row{method: "DELETE", path: "?Id=" + tok, status: 202, kind: "text/plain"}.check(t, s.url)
}

// TestEndpointDisabledTransports: the look-up comes before the check of the transport.
func TestEndpointDisabledTransports(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		t      signalr.Transport
		name   string
		header http.Header
	}{
		{signalr.WebSockets, "WebSockets", upgrade()},
		{signalr.ServerSentEvents, "ServerSentEvents", accept(sseAccept)},
		{signalr.LongPolling, "LongPolling", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, setup{signalr: &signalr.Options{Transports: signalr.AllTransports &^ tc.t}})
			tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
			text := tc.name + " transport not supported by this end point type"
			row{method: "GET", path: "?id=" + tok, header: tc.header, status: 404, kind: "text/plain", text: text}.check(t, s.url)
			kind := "text/plain"
			if tc.t == signalr.WebSockets {
				kind = "-"
				row{method: "GET", path: "", header: tc.header, status: 404, kind: "text/plain", text: text}.check(t, s.url)
			}
			row{method: "GET", path: "?id=nobody", header: tc.header, status: 404, kind: kind, text: unknownText}.check(t, s.url)
		})
	}
}

// TestEndpointTokenIsExact: a token is good in the spelling that negotiate gave, and in no other that decodes to the same bytes.
func TestEndpointTokenIsExact(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	token := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	for _, spelling := range []string{token + "%0A", "%0D" + token, token[:8] + "%0D%0A" + token[8:]} {
		row{method: "GET", path: "?id=" + spelling, status: 404, kind: "text/plain", text: "No Connection with that ID"}.check(t, s.url)
	}
}

// TestEndpointBoundConnection has the rows about a connection that has a transport.
func TestEndpointBoundConnection(t *testing.T) {
	t.Parallel()
	const deleteText = "Cannot terminate this connection using the DELETE endpoint."
	get := map[string]http.Header{
		rawclient.WebSockets: upgrade(), rawclient.ServerSentEvents: accept(sseAccept), rawclient.LongPolling: nil,
	}
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		s := start(t, setup{})
		c := s.connect(t, rawclient.Options{Way: way})
		id := "?id=" + c.ConnectionToken
		for other, header := range get {
			if other != way.Transport {
				row{method: "GET", path: id, header: header, status: 400, kind: "text/plain", text: changeText}.check(t, s.url)
			}
		}
		switch way.Transport {
		case rawclient.LongPolling: // a poll may follow; its rows are in the tests of polls
		default:
			row{method: "GET", path: id, header: get[way.Transport], status: 409, kind: "text/plain"}.check(t, s.url)
			row{method: "DELETE", path: id, status: 400, kind: "text/plain", text: deleteText}.check(t, s.url)
		}
		if way.Transport == rawclient.WebSockets {
			row{method: "POST", path: id, body: fence + rawclient.Separator, status: 405, kind: "text/plain",
				text: "POST requests are not allowed for WebSocket connections."}.check(t, s.url)
		} else {
			row{method: "POST", path: id, body: fence + rawclient.Separator, status: 200, kind: "text/plain"}.check(t, s.url)
			c.Expect(fenced)
			row{method: "POST", path: id, header: http.Header{"Content-Type": {"image/png"}}, body: fence + rawclient.Separator,
				status: 200, kind: "text/plain"}.check(t, s.url)
			c.Expect(fenced)
			row{method: "POST", path: id, body: "", status: 200, kind: "text/plain"}.check(t, s.url)
		}
		// The connection id is not the token.
		row{method: "POST", path: "?id=" + c.ConnectionID, status: 404, kind: "text/plain", text: unknownText}.check(t, s.url)
		c.ExpectNothing(fence, fenced)
		if way.Transport == rawclient.LongPolling {
			row{method: "DELETE", path: id, status: 202, kind: "text/plain"}.check(t, s.url)
		} else {
			c.Close()
		}
		await(t, "end", func() bool { return rawclient.Do(t, "POST", s.url+id, nil, "").Status == http.StatusNotFound })
		for _, r := range []row{
			{method: "POST", path: id, body: fence, status: 404, kind: "text/plain", text: unknownText},
			{method: "DELETE", path: id, status: 404, kind: "text/plain", text: unknownText},
			{method: "GET", path: id, status: 404, kind: "text/plain", text: unknownText},
			{method: "GET", path: id, header: accept(sseAccept), status: 404, kind: "text/plain", text: unknownText},
			{method: "GET", path: id, header: upgrade(), status: 404, kind: "-", text: unknownText},
		} {
			r.check(t, s.url)
		}
	})
}

// TestEndpointBeforeTransport: POST and DELETE before a transport is bound (.NET 11 refuses the POST).
func TestEndpointBeforeTransport(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	row{method: "POST", path: "?id=" + tok, body: "x", status: 400, kind: "text/plain"}.check(t, s.url)
	row{method: "DELETE", path: "?id=" + tok, status: 400, kind: "text/plain",
		text: "Cannot terminate this connection using the DELETE endpoint."}.check(t, s.url)
	c := s.connect(t, rawclient.Options{Token: tok}) // neither has cost anything
	c.ExpectNothing(fence, fenced)
}

// TestEndpointUpgradeWithoutID makes a connection whose id is its token, which nobody is told.
func TestEndpointUpgradeWithoutID(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	for _, query := range []string{"", "?id=", "?other=1"} {
		sock := rawclient.DialSocket(t, s.url+query)
		if sock.Head.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%q: status %d, want 101", query, sock.Head.StatusCode)
		}
		sock.Send(`{"protocol":"json","version":1}` + rawclient.Separator)
		sock.ExpectText("{}" + rawclient.Separator)
		sock.Send(`{"type":1,"invocationId":"1","target":"ID","arguments":[]}` + rawclient.Separator)
		_, text := sock.Read()
		id, ok := strings.CutPrefix(text, `{"type":3,"invocationId":"1","result":"`)
		id, ok2 := strings.CutSuffix(id, `"}`+rawclient.Separator)
		if !ok || !ok2 || len(id) != 22 {
			t.Fatalf("answer %q, want a connection id of 22 characters", text)
		}
		row{method: "POST", path: "?id=" + id, status: 405, kind: "text/plain",
			text: "POST requests are not allowed for WebSocket connections."}.check(t, s.url)
		sock.Close()
	}
}

// TestEndpointAccept: only an element of Accept without parameters asks for an event stream.
func TestEndpointAccept(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	for _, tc := range []struct {
		accept string
		events bool
	}{
		{"text/event-stream", true},
		{"TEXT/Event-Stream", true},
		{"text/html, text/event-stream", true},
		{"text/event-stream ,*/*;q=0.1", true},
		{"text/event-stream;q=0.9", false},
		{"text/event-stream; charset=utf-8", false},
		{"text/*", false},
		{"*/*", false},
	} {
		t.Run(tc.accept, func(t *testing.T) {
			t.Parallel()
			tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			req, err := http.NewRequestWithContext(ctx, "GET", s.url+"?id="+tok, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", tc.accept)
			res, err := s.srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			want := "application/octet-stream"
			if tc.events {
				want = sseAccept
			}
			if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != want {
				t.Errorf("status %d, content type %q, want 200, %q", res.StatusCode, got, want)
			}
			if !tc.events {
				row{method: "DELETE", path: "?id=" + tok, status: 202, kind: "text/plain"}.check(t, s.url)
			}
		})
	}
}

// TestEndpointAuthorization: 401 and 403 have an empty body and no content type, on every route.
func TestEndpointAuthorization(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		hub:     &hubbub.Options{RequireUser: true, Require: []hubbub.Rule{hubbub.RequireRole("member")}},
		signalr: &signalr.Options{Auth: toy, EnableAuthenticationRefresh: true},
	})
	for _, tc := range []struct {
		who    string
		tok    string
		status int
	}{
		{"anonymous", "", 401}, {"bad token", "nonsense", 401}, {"stranger", token("ann", 0, "guest"), 403},
	} {
		for _, r := range []row{
			{name: "negotiate", method: "POST", path: "/negotiate?negotiateVersion=1"},
			{name: "poll", method: "GET", path: "?id=x"},
			{name: "events", method: "GET", path: "?id=x", header: accept(sseAccept)},
			{name: "upgrade", method: "GET", path: "", header: upgrade()},
			{name: "POST", method: "POST", path: "?id=x"},
			{name: "DELETE", method: "DELETE", path: "?id=x"},
			{name: "refresh", method: "POST", path: "/refresh"},
		} {
			t.Run(tc.who+"/"+r.name, func(t *testing.T) {
				t.Parallel()
				r.status, r.kind = tc.status, "-"
				if r.header = r.header.Clone(); r.header == nil {
					r.header = http.Header{}
				}
				for k, v := range bearer(tc.tok) {
					r.header[k] = v
				}
				r.check(t, s.url)
				if tc.tok != "" { // the query is as good as the header
					r.header.Del("Authorization")
					sep := "?"
					if strings.Contains(r.path, "?") {
						sep = "&"
					}
					r.path += sep + "access_token=" + tc.tok
					r.check(t, s.url)
				}
			})
		}
	}
	c := s.connect(t, rawclient.Options{Header: bearer(token("ann", 0, "member"))})
	c.ExpectNothing(`{"type":1,"invocationId":"1","target":"Me","arguments":[]}`, `{"type":3,"invocationId":"1","result":"ann/member"}`)
}

// TestEndpointOtherPath: a token of one endpoint is unknown to another, also of the same hub.
func TestEndpointOtherPath(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	signalr.MapHub(s.mux, "/other", s.hub, nil)
	other := s.srv.URL + "/other"
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
		if _, refused := rawclient.TryOpen(t, other, rawclient.Options{Way: way, Token: tok}); refused == nil || refused.Status != 404 || refused.Body != unknownText {
			t.Errorf("open elsewhere: %+v, want 404", refused)
		}
		c := s.connect(t, rawclient.Options{Way: way, Token: tok})
		row{method: "POST", path: "?id=" + tok, status: 404, kind: "text/plain", text: unknownText}.check(t, other)
		row{method: "DELETE", path: "?id=" + tok, status: 404, kind: "text/plain", text: unknownText}.check(t, other)
		row{method: "GET", path: "?id=" + tok, status: 404, kind: "text/plain", text: unknownText}.check(t, other)
		c.ExpectNothing(fence, fenced)
	})
}

// TestEndpointFoldCase: paths match without regard to case behind FoldCase.
func TestEndpointFoldCase(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	folded := &http.ServeMux{}
	folded.Handle("/", signalr.FoldCase(s.mux, "/hub"))
	s.srv.Config.Handler = folded
	c := rawclient.Connect(t, s.srv.URL+"/HUB", rawclient.Options{})
	c.ExpectNothing(fence, fenced)
	a := rawclient.Do(t, "POST", s.srv.URL+"/Hub/NEGOTIATE/?NegotiateVersion=1", nil, "")
	if a.Status != 200 {
		t.Errorf("negotiate: status %d, want 200", a.Status)
	}
}

// TestEndpointHandler: the plain handler serves all routes of a hub.
func TestEndpointHandler(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	s.mux.Handle("/plain/", signalr.Handler(s.hub, &signalr.Options{EnableAuthenticationRefresh: true}))
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		c := rawclient.Connect(t, s.srv.URL+"/plain/hub", rawclient.Options{Way: way})
		c.ExpectNothing(fence, fenced)
		a := rawclient.Do(t, "POST", s.srv.URL+"/plain/hub/refresh", http.Header{"X-Signalr-Connection-Token": {c.ConnectionToken}}, "")
		if a.Status != 200 || a.Body != "{}" {
			t.Errorf("refresh: %d %q, want 200 {}", a.Status, a.Body)
		}
	})
}

// TestEndpointPostTooLarge: a body over the limit is refused with 400, none of it is taken, and the next POST is fine.
func TestEndpointPostTooLarge(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{MaximumPostSize: 1000}})
	for _, way := range rawclient.Transports[1:] {
		c := s.connect(t, rawclient.Options{Way: way})
		big := strings.Repeat(fence+rawclient.Separator, 50)
		row{method: "POST", path: "?id=" + c.ConnectionToken, body: big, status: 400, kind: "text/plain"}.check(t, s.url)
		c.ExpectNothing(fence, fenced)
	}
}

// TestEndpointPostCutOff: a body whose client goes away is taken whole or not at all.
func TestEndpointPostCutOff(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	c := s.connect(t, rawclient.Options{Way: rawclient.Ways[2]})
	sock := rawclient.DialBytes(t, s.url)
	sock.Write(fmt.Appendf(nil, "POST /hub?id=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n%s", c.ConnectionToken, fence+rawclient.Separator+`{"type":1,`))
	sock.Close()
	c.ExpectNothing(fence, fenced)
}
