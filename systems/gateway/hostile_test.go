package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// rogue serves f, and ends with the test whatever f is at.
func rogue(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// negotiated lets clients come as far as the WebSocket, where f goes on after the handshake.
func negotiated(f func(r *http.Request, c *websocket.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/negotiate") {
			fmt.Fprint(w, `{"negotiateVersion":1,"connectionId":"a","connectionToken":"b","availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]}]}`)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		if _, _, err := c.Read(r.Context()); err != nil {
			return
		}
		f(r, c)
	}
}

// endless says b until nobody listens any more.
func endless(w io.Writer, b []byte) {
	for {
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// TestHostileHubs: whatever a hub downstream says, a call of it has its status in time and is counted, and the next hub is not
// concerned.
func TestHostileHubs(t *testing.T) {
	t.Parallel()
	filler := bytes.Repeat([]byte("x"), 64<<10)
	say := func(kind websocket.MessageType, texts ...string) http.HandlerFunc {
		return negotiated(func(r *http.Request, c *websocket.Conn) {
			for _, text := range texts {
				if c.Write(r.Context(), kind, []byte(text)) != nil {
					return
				}
			}
			for {
				if _, _, err := c.Read(r.Context()); err != nil {
					return
				}
			}
		})
	}
	const shaken = "{}\x1e"
	for name, tt := range map[string]struct {
		hub    http.HandlerFunc
		status []int
	}{
		"no JSON":              {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, []int{503}},
		"negotiate never ends": {func(w http.ResponseWriter, _ *http.Request) { endless(w, filler) }, []int{503}},
		"redirects for ever": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, []int{503}},
		"negotiates for ever": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"url":"http://%s/again","accessToken":"x"}`, r.Host)
		}, []int{503}},
		"no answer":            {func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }, []int{503, 504}},
		"no handshake":         {say(websocket.MessageText), []int{503, 504}},
		"handshake of garbage": {say(websocket.MessageText, "\x00\x01\x1e"), []int{503}},
		// These are connected for a moment: a call gets as far as that, or no further than the pause before the next attempt.
		"garbage":       {say(websocket.MessageText, shaken, "{{{\x1e"), []int{502, 503}},
		"binary":        {say(websocket.MessageBinary, shaken, "\xff\xff\xff"), []int{502, 503, 504}},
		"giant message": {say(websocket.MessageText, shaken, strings.Repeat("x", 2<<20)), []int{502, 503}},
		"closes":        {negotiated(func(r *http.Request, c *websocket.Conn) { c.Write(r.Context(), websocket.MessageText, []byte(shaken)) }), []int{502, 503}},
		"never answers": {say(websocket.MessageText, shaken), []int{504}},
		"unwanted":      {say(websocket.MessageText, shaken, `{"type":3,"invocationId":"99","result":1}`+"\x1e"+`{"type":1,"target":"ReceiveMessage","arguments":{}}`+"\x1e"), []int{502, 503, 504}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, "")
			s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
				bad := gateway.Hub{URL: rogue(t, tt.hub) + "/hub", Dialect: gateway.Core, ConnectTimeout: time.Second, InvokeTimeout: 300 * time.Millisecond}
				bad.CoreOptions.MaximumReceiveMessageSize = 1 << 20
				if name == "never answers" { // this one is connected, however slow the machine is
					bad.ConnectTimeout = patience
				}
				g.AddHub("bad", bad).AddRoute("room", room)
				g.AddHub("good", c.as(gateway.Core)).AddRoute("room", room)
			})
			eventually(t, "the good hub connected", func() bool { return s.Health()[1].Connected })
			l := s.listen("ReceiveMessage")
			for i := range 2 {
				status, header, body := s.do("POST", "/api/Gateway/hub/bad/room", `[{"name":"a","message":"b"}]`)
				ok := false
				for _, want := range tt.status {
					ok = ok || status == want
				}
				if !ok || header.Get("Content-Type") != "application/problem+json; charset=utf-8" {
					t.Errorf("status %d, body %.200q, want one of %v and a problem", status, body, tt.status)
				}
				s.post("good/room", fmt.Sprintf(`[{"name":"n","message":"%d"}]`, i), 200, "")
				l.hears(fmt.Sprintf(`ReceiveMessage[["n","%d"],{}]`, i))
			}
			if h := s.Health(); h[0].Failed != 2 || h[1].Failed != 0 || h[1].Connects != 1 {
				t.Errorf("health %+v, want 2 failures of the bad hub, none of the good one", h)
			}
		})
	}
}

// TestHostileServices: a service that does not keep to its word breaks its own answer off, and no other.
func TestHostileServices(t *testing.T) {
	t.Parallel()
	filler := bytes.Repeat([]byte("x"), 64<<10)
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, text)
		}
	}
	good := rogue(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "well") })
	for name, tt := range map[string]struct {
		service http.HandlerFunc
		status  int // or 504, if the time is over first; 0: the answer begins and is broken off
	}{
		"no HTTP": {raw("what?\r\n\r\n"), 502},
		"header without an end": {func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				defer c.Close()
				io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
				endless(c, filler)
			}
		}, 502},
		"too short":           {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), 0},
		"body without an end": {func(w http.ResponseWriter, _ *http.Request) { endless(w, filler) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
				g.AddAPI("bad", gateway.API{BaseURLs: []string{rogue(t, tt.service)}, Timeout: 500 * time.Millisecond}).AddRoute("r", gateway.Route{})
				g.AddAPI("good", gateway.API{BaseURLs: []string{good}}).AddRoute("r", gateway.Route{})
			})
			res, err := http.Get(s.url + "/api/Gateway/bad/r")
			if err == nil {
				var n int64
				n, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if tt.status != 0 && res.StatusCode != tt.status && res.StatusCode != http.StatusGatewayTimeout || tt.status == 0 && err == nil {
					t.Errorf("status %d, %d bytes, %v, want status %d, and with 0 an answer that is broken off", res.StatusCode, n, err, tt.status)
				}
			} else if tt.status != 0 {
				t.Errorf("%v, want status %d", err, tt.status)
			}
			if status, _, body := s.do("GET", "/api/Gateway/good/r", ""); status != 200 || body != "well" {
				t.Errorf("the good service: status %d, body %q", status, body)
			}
		})
	}
}
