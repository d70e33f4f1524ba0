package signalr_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

// TestPromiseTokenRace: of 20 requests at once with the same token one makes the connection, whatever the transports.
func TestPromiseTokenRace(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	for name, headers := range map[string][]http.Header{
		"upgrades": {upgrade()},
		"streams":  {accept(sseAccept)},
		"polls":    {nil},
		"mixed":    {upgrade(), accept(sseAccept), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := s.url + "?id=" + rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
			type answer struct {
				transport string
				status    int
			}
			begin, answers := make(chan struct{}), make(chan answer, 20)
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for i := range 20 {
				header := headers[i%len(headers)]
				req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
				if err != nil {
					t.Fatal(err)
				}
				transport := rawclient.LongPolling
				for k, v := range header {
					req.Header[k] = v
					switch k {
					case "Upgrade":
						transport = rawclient.WebSockets
					case "Accept":
						transport = rawclient.ServerSentEvents
					}
				}
				wg.Go(func() {
					<-begin
					res, err := s.srv.Client().Transport.RoundTrip(req)
					if err != nil {
						return // a second poll, which waits until the end of the test
					}
					answers <- answer{transport, res.StatusCode}
					<-ctx.Done()
					res.Body.Close()
				})
			}
			close(begin)
			made := map[string]int{}
			count := func(a answer) {
				switch {
				case a.status == 101 && a.transport == rawclient.WebSockets, a.status == 200 && a.transport != rawclient.WebSockets:
					made[a.transport]++
				case a.status != 409 && a.status != 400 && (a.status != 204 || a.transport != rawclient.LongPolling):
					t.Errorf("%s: status %d", a.transport, a.status)
				}
			}
			for range 19 { // a poll behind the first may wait
				count(receive(t, "an answer", answers))
			}
			rawclient.Do(t, "DELETE", url, nil, "")
			stop()
			wg.Wait()
			close(answers)
			for a := range answers {
				count(a)
			}
			if len(made) != 1 || made[rawclient.WebSockets] > 1 || made[rawclient.ServerSentEvents] > 1 {
				t.Errorf("connections made: %v, want one", made)
			}
		})
	}
}

// TestPromiseNegotiateIsFree: negotiating costs no memory, however often. It is not parallel, because it measures the heap.
func TestPromiseNegotiateIsFree(t *testing.T) {
	h := hubbub.NewHub("free", nil)
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/hub", h, nil)
	negotiate := func(n int) {
		for range n {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("POST", "/hub/negotiate?negotiateVersion=1", nil))
			if w.Code != http.StatusOK {
				t.Fatalf("status %d", w.Code)
			}
		}
	}
	negotiate(100)
	before := heap()
	negotiate(20_000)
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("20,000 negotiates keep %d KiB, want nothing", grown>>10)
	}
}

// TestPromiseAnySplit: records may come merged in any number and split at any byte, on every transport.
func TestPromiseAnySplit(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := rawclient.Open(t, s.url, rawclient.Options{Way: way})
		for _, b := range []byte(c.Hello()) {
			c.SendText(string([]byte{b}))
		}
		c.Expect("{}")
		var calls []string
		for i := range 20 {
			calls = append(calls, fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Echo","arguments":["é%d"]}`, i, i))
		}
		expect := func(n int) {
			t.Helper()
			for i := range n {
				c.Expect(fmt.Sprintf(`{"type":3,"invocationId":"%d","result":"é%d"}`, i, i))
			}
		}
		c.Send(calls...)
		expect(20)
		send := c.TrySendBytes
		if way.Transport == rawclient.WebSockets && way.Protocol == "json" {
			// A text message is UTF-8 as a whole, so its pieces are cut between characters.
			send = func(b []byte) error {
				for _, r := range string(b) {
					if err := c.TrySendBytes([]byte(string(r))); err != nil {
						return err
					}
				}
				return nil
			}
		}
		for _, b := range pieces(c.Encoded(calls[:3]...), send) {
			if b != nil {
				t.Fatal(b)
			}
		}
		expect(3)
		all := c.Encoded(calls...)
		for cut := 1; cut < len(all); cut += 97 {
			if way.Transport == rawclient.WebSockets && way.Protocol == "json" && all[cut]&0xc0 == 0x80 {
				cut++
			}
			for _, part := range [][]byte{all[:cut], all[cut:]} {
				if err := c.TrySendBytes(part); err != nil {
					t.Fatal(err)
				}
			}
			expect(20)
		}
	})
}

// pieces sends single bytes; send gets the whole of a text that it cuts itself.
func pieces(b []byte, send func([]byte) error) []error {
	if b[0] == '{' {
		return []error{send(b)}
	}
	var errs []error
	for i := range b {
		errs = append(errs, send(b[i:i+1]))
	}
	return errs
}

// TestPromiseOthersHear: a broadcast reaches everybody in order, each once, on all transports and protocols together, encoded once a
// protocol.
func TestPromiseOthersHear(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	var all []*rawclient.Conn
	for range 3 {
		for _, way := range rawclient.Ways {
			all = append(all, s.connect(t, rawclient.Options{Way: way}))
		}
	}
	await(t, "all", func() bool { return s.hub.Stats().Connections == len(all) })
	for i := range 500 {
		if err := s.hub.All().Send(t.Context(), "M", i, "text"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range all {
		for i := range 500 {
			c.Expect(fmt.Sprintf(`{"type":1,"target":"M","arguments":[%d,"text"]}`, i))
		}
		c.ExpectNothing(fence, fenced)
	}
	if n := s.hub.Stats().Encoded; n != 1000 {
		t.Errorf("%d encodings for 500 messages and two protocols, want 1000", n)
	}
}

// TestWebSocketFrames: what the framing promises beyond the sentences of the protocol.
func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{SubProtocol: func(offered []string) string {
		for _, o := range offered {
			if o == "second" {
				return o
			}
		}
		return ""
	}}})
	open := func(lines ...string) *rawclient.Socket {
		sock := rawclient.DialSocket(t, s.url, lines...)
		if sock.Head.StatusCode != 101 {
			t.Fatalf("status %d, want 101", sock.Head.StatusCode)
		}
		return sock
	}
	sock := open("Sec-WebSocket-Protocol: first, second", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	if got := sock.Head.Header.Get("Sec-WebSocket-Protocol"); got != "second" {
		t.Errorf("sub-protocol %q, want second", got)
	}
	if got, ok := sock.Head.Header["Sec-Websocket-Extensions"]; ok {
		t.Errorf("extensions %q, want none", got)
	}
	if got, ok := open("Sec-WebSocket-Protocol: other").Head.Header["Sec-Websocket-Protocol"]; ok {
		t.Errorf("sub-protocol %q, want none", got)
	}
	// Either kind of frame is taken; a message may come in fragments with a ping between them.
	sock.Write(rawclient.Frame(true, rawclient.OpBinary, `{"protocol":"json","version":1}`+"\x1e"))
	sock.ExpectText("{}\x1e")
	sock.Write(rawclient.Frame(false, rawclient.OpText, fence[:10]))
	sock.Write(rawclient.Frame(true, rawclient.OpPing, "payload"))
	if op, p := sock.Read(); op != rawclient.OpPong || p != "payload" {
		t.Errorf("frame %d %q, want the pong", op, p)
	}
	sock.Write(rawclient.Frame(false, 0, fence[10:20]))
	sock.Write(rawclient.Frame(true, 0, fence[20:]+"\x1e"))
	sock.ExpectText(fenced + "\x1e")
	for _, b := range rawclient.Frame(true, rawclient.OpBinary, fence+"\x1e") { // a frame in single bytes of TCP
		sock.Write([]byte{b})
	}
	sock.ExpectText(fenced + "\x1e")
	// A large message is one WebSocket message.
	text := strings.Repeat("x", 300_000)
	if err := s.hub.All().Send(t.Context(), "M", text); err != nil {
		t.Fatal(err)
	}
	sock.ExpectText(`{"type":1,"target":"M","arguments":["` + text + `"]}` + "\x1e")
}

// TestWebSocketOrigin: an origin that the endpoint does not like is refused, for WebSockets only.
func TestWebSocketOrigin(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") != "https://evil.example" }}})
	row{method: "GET", path: "", header: with(upgrade(), "Origin", "https://evil.example"), status: 403, kind: "text/plain"}.check(t, s.url)
	c := s.connect(t, rawclient.Options{Header: http.Header{"Origin": {"https://good.example"}}})
	c.ExpectNothing(fence, fenced)
	s.connect(t, rawclient.Options{Way: rawclient.Ways[2], Header: http.Header{"Origin": {"https://evil.example"}}}).ExpectNothing(fence, fenced)
}

// rawServer maps a connection handler and returns its URL.
func rawServer(t *testing.T) string {
	mux := http.NewServeMux()
	signalr.MapConnection(mux, "/echo", func(ctx context.Context, c *signalr.RawConnection) error {
		for {
			p, err := c.Read(ctx)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			switch string(p) {
			case "end":
				return nil
			case "fail":
				return fmt.Errorf("secret")
			case "panic":
				panic("secret")
			case "who":
				p = []byte(c.ID() + " " + c.Request().Transport + " " + nameOf(c.User()))
			}
			if err := c.Write(p); err != nil {
				return err
			}
		}
	}, &signalr.Options{Auth: toy})
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL + "/echo"
}

// TestRawConnection: a connection handler talks in bytes over every transport, and its end is the connection's.
func TestRawConnection(t *testing.T) {
	t.Parallel()
	url := rawServer(t)
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		open := func() *rawclient.Conn {
			return rawclient.Connect(t, url, rawclient.Options{Way: way, Raw: true, Header: bearer(token("ann", 0, "a"))})
		}
		c := open()
		for _, p := range []string{"hello", "two\nlines", "{}\x1e", "é", "ends with\n", "one\r\ntwo", "\nfirst"} {
			c.SendText(p)
			want := p
			if way.Transport == rawclient.ServerSentEvents {
				want = strings.ReplaceAll(p, "\r\n", "\n")
			}
			if got := c.Next(); got != want {
				t.Errorf("echo %q, want %q", got, want)
			}
		}
		c.SendText("who")
		c.Expect(c.ConnectionID + " " + way.Transport + " ann/a")
		c.SendText("end")
		c.ExpectEnd(1000)
		for _, how := range []string{"fail", "panic"} {
			c := open()
			c.SendText("last words")
			c.Expect("last words")
			c.SendText(how)
			end := c.Ended()
			want := map[string]int{rawclient.WebSockets: 1011, rawclient.ServerSentEvents: 200}[way.Transport]
			if way.Transport == rawclient.LongPolling {
				want = end.Code
				if end.Code != 204 && end.Code != 404 {
					t.Errorf("%s: %v, want 204 or 404", how, end)
				}
			}
			if end.Code != want {
				t.Errorf("%s: %v, want %d", how, end, want)
			}
		}
	})
}
