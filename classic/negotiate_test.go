package classic_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
)

// TestNegotiate looks at the whole answer (SignalR 2.x, "Negotiate").
func TestNegotiate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := &client{s: s, t: t, hubs: refHub, protocol: "2.1"}
	res := c.request(http.MethodGet, "negotiate", nil, nil)
	status, body := whole(t, res)
	if status != 200 || res.Header.Get("Content-Type") != "application/json; charset=UTF-8" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("status %d, headers %v", status, res.Header)
	}
	var a map[string]any
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	token, id := a["ConnectionToken"].(string), a["ConnectionId"].(string)
	if len(id) != 36 || strings.ToLower(id) != id || token == "" || url.QueryEscape(token) != token {
		t.Errorf("id %q, token %q: want a GUID in lower case and a token that needs no escapes", id, token)
	}
	want := `{"Url":"/signalr","ConnectionToken":"` + token + `","ConnectionId":"` + id + `","KeepAliveTimeout":20.0,"DisconnectTimeout":30.0,` +
		`"ConnectionTimeout":110.0,"TryWebSockets":true,"ProtocolVersion":"2.0","TransportConnectTimeout":5.0,"LongPollDelay":0.0}`
	if body != want {
		t.Errorf("answer\n%s, want\n%s", body, want)
	}
}

// TestNegotiateVersions: the server answers the version nearest to the client's, from 1.2 to 2.0.
func TestNegotiateVersions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for asked, want := range map[string]string{
		"1.1": "1.2", "1.2": "1.2", "1.3": "1.3", "1.4": "1.4", "1.5": "1.5", "2.0": "2.0", "2.1": "2.0", "3.0": "2.0",
		"abc": "1.2", "2": "1.2", "": "1.2",
	} {
		c := &client{s: s, t: t, hubs: refHub, protocol: asked}
		if _, body := c.get("negotiate", nil); !strings.Contains(body, `"ProtocolVersion":"`+want+`"`) {
			t.Errorf("clientProtocol %q: %s, want version %s", asked, body, want)
		}
	}
}

// TestRequests are the answers to requests without a connection, right and wrong (SignalR 2.x, "URL layout", "Error catalogue").
func TestRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	token := url.QueryEscape(s.negotiated("").token)
	anna := s.negotiated("", func(c *client) { c.user = "anna" })
	const ref = "&connectionData=%5B%7B%22name%22%3A%22refhub%22%7D%5D"
	tests := []struct {
		name, method, path, user string
		status                   int
		body                     string // a star at the end stands for anything
	}{
		{"ping", "GET", "/signalr/ping", "", 200, `{ "Response": "pong" }`},
		{"ping with POST", "POST", "/signalr/ping", "", 200, `{ "Response": "pong" }`},
		{"ping in capitals", "GET", "/signalr/PING", "", 200, `{ "Response": "pong" }`},
		{"negotiate with POST", "POST", "/signalr/negotiate?clientProtocol=2.1", "", 200, `{"Url":"/signalr",*`},
		{"negotiate below", "GET", "/signalr/foo/negotiate?clientProtocol=2.1", "", 200, `{"Url":"/signalr/foo",*`},
		{"negotiate in capitals", "GET", "/signalr/NEGOTIATE?CLIENTPROTOCOL=2.1", "", 200, `{"Url":"/signalr/NEGOTIATE",*`},
		{"negotiate with a slash behind", "GET", "/signalr/negotiate/", "", 400, "Protocol error: Unknown transport."},
		{"unescaped brackets, as .NET sends them", "GET", "/signalr/negotiate?connectionData=[%7B%22Name%22:%22RefHub%22%7D]", "", 200, "*"},
		{"a semicolon between pairs", "GET", "/signalr/negotiate?clientProtocol=1.4;connectionData=[]", "", 200, `*"ProtocolVersion":"1.4"*`},
		{"no transport", "GET", "/signalr/connect?connectionToken=" + token, "", 400, "Protocol error: Unknown transport."},
		{"unknown transport", "GET", "/signalr/connect?transport=pigeon&connectionToken=" + token, "", 400, "Protocol error: Unknown transport."},
		{"no token", "GET", "/signalr/connect?transport=longPolling", "", 400, "Protocol error: Missing connection token."},
		{"a wrong token", "GET", "/signalr/connect?transport=longPolling&connectionToken=abc", "", 400, "The ConnectionId is in the incorrect format."},
		{"no upgrade", "GET", "/signalr/connect?transport=WEBSOCKETS&connectionToken=" + token, "", 400, "Not a valid web socket request."},
		{"another user", "GET", "/signalr/connect?transport=longPolling&connectionToken=" + anna.token, "bob", 403,
			"Unrecognized user identity.  The user identity cannot change during an active SignalR connection."},
		{"nobody any more", "GET", "/signalr/reconnect?transport=longPolling&connectionToken=" + anna.token, "", 403,
			"Unrecognized user identity.  The user identity cannot change during an active SignalR connection."},
		{"JSONP", "GET", "/signalr/negotiate?callback=f", "", 403, "Forbidden: JSONP is disabled."},
		{"connectionData is no JSON", "GET", "/signalr/negotiate?connectionData=x", "", 500, ""},
		{"an unknown hub", "GET", "/signalr/negotiate?connectionData=[%7B%22name%22:%22nohub%22%7D]", "", 500, ""},
		{"a hub twice", "GET", "/signalr/ping?connectionData=[%7B%22name%22:%22refhub%22%7D,%7B%22name%22:%22RefHub%22%7D]", "", 500, ""},
		{"only a forbidden hub, anonymous", "GET", "/signalr/negotiate?connectionData=[%7B%22name%22:%22authhub%22%7D]", "", 401, ""},
		{"only a forbidden hub", "GET", "/signalr/ping?connectionData=[%7B%22name%22:%22authhub%22%7D]", "anna", 403, ""},
		{"a forbidden hub and another", "GET", "/signalr/negotiate?connectionData=[%7B%22name%22:%22authhub%22%7D,%7B%22name%22:%22refhub%22%7D]", "", 200, "*"},
		{"foreverFrame without frameId", "GET", "/signalr/connect?transport=foreverFrame&connectionToken=" + token + ref, "", 500, ""},
		{"send without data", "POST", "/signalr/send?transport=serverSentEvents&connectionToken=" + token + ref, "", 500, ""},
		{"send in the query on event streams", "GET", "/signalr/send?transport=serverSentEvents&data=%7B%7D&connectionToken=" + token + ref, "", 500, ""},
		{"abort of nothing", "POST", "/signalr/abort?transport=webSockets&connectionToken=" + token, "", 200, ""},
		{"options", "OPTIONS", "/signalr/negotiate", "", 204, ""},
	}
	for _, test := range tests {
		r, err := http.NewRequestWithContext(t.Context(), test.method, s.url+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.user != "" {
			r.Header.Set("Authorization", "Bearer "+test.user)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		status, body := whole(t, res)
		if status != test.status || !like(body, test.body) {
			t.Errorf("%s: status %d, body %q, want %d %q", test.name, status, body, test.status, test.body)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", test.name)
		}
	}
}

// like compares a text with a pattern in which a star stands for anything.
func like(text, pattern string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return text == pattern
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		_, rest, ok := strings.Cut(text, p)
		if !ok {
			return false
		}
		text = rest
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// TestOptions: what options say is in the answer to negotiate.
func TestOptions(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *config) {
		c.classic.URL = "/outside/signalr"
		c.classic.DisconnectTimeout = 9 * time.Second
		c.classic.KeepAlive = -1
		c.classic.LongPollDelay = 1500 * time.Millisecond
		c.classic.Transports = 2 | 8
	})
	c := &client{s: s, t: t, hubs: refHub, protocol: "2.0"}
	_, body := c.get("negotiate", nil)
	for _, want := range []string{`"Url":"/outside/signalr"`, `"KeepAliveTimeout":null`, `"DisconnectTimeout":9.0`, `"LongPollDelay":1.5`, `"TryWebSockets":false`} {
		if !strings.Contains(body, want) {
			t.Errorf("answer %s, want %s", body, want)
		}
	}
	c = s.negotiated("webSockets")
	if status, body := c.get("connect", nil); status != 400 || body != "Protocol error: Unknown transport." {
		t.Errorf("a transport that is off: status %d, body %q", status, body)
	}
}

// TestJSONP: with the option, long polling works with script elements.
func TestJSONP(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *config) { c.classic.EnableJSONP = true })
	c := s.negotiated("longPolling")
	with := func(more url.Values) url.Values {
		if more == nil {
			more = url.Values{}
		}
		more.Set("callback", "jQuery.cb_1")
		return more
	}
	res := c.request(http.MethodGet, "connect", with(nil), nil)
	status, body := whole(t, res)
	if status != 200 || !like(body, `jQuery.cb_1({"C":"*","S":1,"M":[]});`) || res.Header.Get("Content-Type") != "application/javascript; charset=UTF-8" {
		t.Errorf("connect: status %d, type %q, body %q", status, res.Header.Get("Content-Type"), body)
	}
	if _, body := c.get("start", with(nil)); body != `jQuery.cb_1({ "Response": "started" });` {
		t.Errorf("start: %q", body)
	}
	if _, body := c.get("send", with(url.Values{"data": {`{"H":"refhub","M":"Echo","A":["x"],"I":1}`}})); body != `jQuery.cb_1({"R":"x","I":"1"});` {
		t.Errorf("send: %q", body)
	}
	for _, bad := range []string{"", "a b", "1x", "a..b", "x(", "if", "a.new", "é"} {
		if status, _ := c.get("ping", url.Values{"callback": {bad}}); status != http.StatusInternalServerError {
			t.Errorf("callback %q: status %d, want 500", bad, status)
		}
	}
}

// TestProxies: the generated script is there with any slash, says nothing when turned off, and is not sent twice.
func TestProxies(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, path := range []string{"/signalr/hubs", "/signalr/js", "/signalr/hubs/", "/signalr/JS"} {
		res, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_, body := whole(t, res)
		for _, want := range []string{`proxies["refHub"]`, `proxies["authHub"]`, `["ToGroup"]`, `toGroup`, `$.hubConnection("/signalr", { useDefaultPath: false })`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
		r.Header.Set("If-None-Match", res.Header.Get("ETag"))
		again, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := whole(t, again); status != http.StatusNotModified {
			t.Errorf("%s again: status %d, want 304", path, status)
		}
	}
	off := newServer(t, func(c *config) { c.classic.DisableJavaScriptProxies = true })
	res, err := http.Get(off.url + "/signalr/hubs")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := whole(t, res); status != 200 || body != "throw new Error('SignalR: JavaScript Hub proxy generation has been disabled.');" {
		t.Errorf("proxies turned off: status %d, body %q", status, body)
	}
}

// TestStopping: a server that shuts down takes no new clients.
func TestStopping(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("longPolling")
	if err := s.hub.Shutdown(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if status, _ := c.get("negotiate", nil); status != http.StatusServiceUnavailable {
		t.Errorf("negotiate: status %d, want 503", status)
	}
	if status, _ := c.get("connect", nil); status != http.StatusServiceUnavailable {
		t.Errorf("connect: status %d, want 503", status)
	}
}

// TestMapping panics on what cannot work.
func TestMapping(t *testing.T) {
	t.Parallel()
	for name, hubs := range map[string][]string{"a dot": {"a.b"}, "no name": {""}, "twice": {"a", "A"}, "none": nil} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			var list []*hubbub.Hub
			for _, n := range hubs {
				list = append(list, hubbub.NewHub(n, nil))
			}
			classicHandler(list...)
		}()
	}
}
