package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

// The tests of this file keep out defects that were found in another server. The numbers are those of that list.

// TestD03CallerIsTheCaller: with one hub for all, what a method sends to its caller never reaches another.
func TestD03CallerIsTheCaller(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.Handle("Back", hubbub.Action1(func(ctx context.Context, who string) error {
			return hubbub.CallerFrom(ctx).Send(ctx, "You", who)
		}))
	}})
	var wg sync.WaitGroup
	for i := range 8 {
		c := s.connect(t, rawclient.Options{Way: rawclient.Ways[i%len(rawclient.Ways)]})
		wg.Go(func() {
			for range 100 {
				if err := c.TrySend(fmt.Sprintf(`{"type":1,"target":"Back","arguments":["%d"]}`, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for n := range 100 {
				r, ok := c.NextWithin(rawclient.Patience)
				if want := fmt.Sprintf(`{"type":1,"target":"You","arguments":["%d"]}`, i); !ok || r != want {
					t.Errorf("client %d, message %d: %s", i, n, r)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestD04OrderToClient: 2,000 sends of one method arrive in their order.
func TestD04OrderToClient(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.Handle("Burst", hubbub.Action1(func(ctx context.Context, n int) error {
			for i := range n {
				if err := hubbub.CallerFrom(ctx).Send(ctx, "N", i); err != nil {
					return err
				}
			}
			return nil
		}))
	}})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"invocationId":"1","target":"Burst","arguments":[2000]}`)
		for i := range 2000 {
			c.Expect(fmt.Sprintf(`{"type":1,"target":"N","arguments":[%d]}`, i))
		}
		c.Expect(`{"type":3,"invocationId":"1","result":null}`)
	})
}

// TestD05OrderToServer: 2,000 sends of one client run in their order.
func TestD05OrderToServer(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.Handle("N", hubbub.Action1(func(ctx context.Context, n int) error {
			last, _ := hubbub.CallerFrom(ctx).Items().Swap("last", n)
			if want, _ := last.(int); n != 0 && n != want+1 {
				t.Errorf("%d ran after %d", n, want)
			}
			return nil
		}))
	}})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		for i := 0; i < 2000; {
			var records []string
			for n := 1 + i%37; n > 0 && i < 2000; n-- {
				records = append(records, fmt.Sprintf(`{"type":1,"target":"N","arguments":[%d]}`, i))
				i++
			}
			c.Send(records...)
		}
		c.ExpectNothing(fence, fenced)
	})
}

// TestD06StoppedReader: a client that stops reading while 20,000 messages of 4 KiB go to all is closed, alone, and memory stays small.
// It is not parallel, because it measures the heap.
func TestD06StoppedReader(t *testing.T) {
	s := start(t, setup{hub: &hubbub.Options{KeepAliveInterval: time.Hour}})
	var others []*rawclient.Conn
	for _, way := range rawclient.Transports {
		others = append(others, s.connect(t, rawclient.Options{Way: way}))
	}
	stopped := rawclient.DialSocket(t, s.url)
	stopped.SetReadBuffer(4096)
	stopped.Send(`{"protocol":"json","version":1}` + "\x1e")
	stopped.ExpectText("{}\x1e")
	await(t, "all", func() bool { return s.hub.Stats().Connections == 4 })
	before, most := heap(), uint64(0)
	text := strings.Repeat("x", 4096)
	const total, batch = 20_000, 100
	for first := 0; first < total; first += batch {
		for i := first; i < first+batch; i++ {
			if err := s.hub.All().Send(t.Context(), "M", i, text); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range others {
			for i := first; i < first+batch; i++ {
				if r := c.Next(); !strings.HasPrefix(r, fmt.Sprintf(`{"type":1,"target":"M","arguments":[%d,"xxx`, i)) || len(r) < 4096 {
					t.Fatalf("message %d: %.60s", i, r)
				}
			}
		}
		if first%2000 == 0 {
			most = max(most, heap())
		}
	}
	if grown := int64(most) - int64(before); grown > 12<<20 {
		t.Errorf("the heap grew by %d KiB, want at most 12 MiB", grown>>10)
	}
	await(t, "the end of the stopped reader", func() bool { return s.hub.Stats().Connections == 3 })
	if st := s.hub.Stats(); st.Closed["slow"] != 1 || len(st.Closed) != 1 {
		t.Errorf("closed: %v, want one for being slow", st.Closed)
	}
}

// TestD07OnlyMethods: nothing is callable that was not registered.
func TestD07OnlyMethods(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.OnDisconnected(func(context.Context, error) {})
	}})
	c := s.connect(t, rawclient.Options{})
	for _, name := range []string{"OnConnected", "onDisconnected", "OnAuthenticationRefreshed", "initialize", "close", "items", "connectionID", "Handle", "Send",
		"All", "Shutdown", "CloseWhere", "ToString", "GetHashCode", "Dispose", "", " Echo"} {
		c.Send(`{"type":1,"invocationId":"1","target":"` + name + `","arguments":[]}`)
		c.Expect(`{"type":3,"invocationId":"1","error":"Failed to invoke '` + name + `' due to an error on the server. HubException: Method does not exist."}`)
	}
}

// TestD08PanicStays: a panic for one client costs nobody else anything.
func TestD08PanicStays(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		methods: func(h *hubbub.Hub) {
			h.OnConnected(func(ctx context.Context) error {
				if hubbub.CallerFrom(ctx).Request().Query.Get("panic") == "connect" {
					panic("on connecting")
				}
				return nil
			})
			h.OnDisconnected(func(ctx context.Context, _ error) {
				if hubbub.CallerFrom(ctx).Request().Query.Get("panic") == "disconnect" {
					panic("on disconnecting")
				}
			})
			h.Handle("Panic", hubbub.Action0(func(context.Context) error { panic("in a method") }))
			h.Handle("PanicNil", hubbub.Action0(func(ctx context.Context) error {
				var nobody *hubbub.Hub
				return nobody.All().Send(ctx, "Never")
			}))
		}})
	healthy := s.connect(t, rawclient.Options{})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		bad := s.connect(t, rawclient.Options{Way: way, Query: "panic=connect"})
		bad.Expect(`{"type":7,"error":"Connection closed with an error."}`)
		bad.ExpectEnd(1000)
		last := s.connect(t, rawclient.Options{Way: way, Query: "panic=disconnect"})
		last.Close()
		c := s.connect(t, rawclient.Options{Way: way})
		for _, target := range []string{"Panic", "PanicNil"} {
			c.Send(`{"type":1,"invocationId":"1","target":"`+target+`","arguments":[]}`, `{"type":1,"target":"`+target+`","arguments":[]}`)
			c.Expect(`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking '` + target + `' on the server."}`)
		}
		c.ExpectNothing(fence, fenced)
	})
	healthy.ExpectNothing(fence, fenced)
	s.connect(t, rawclient.Options{}).ExpectNothing(fence, fenced)
}

// TestD09NoConnectLimit: a thousand clients may negotiate and connect as fast as they can.
func TestD09NoConnectLimit(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	for i := range 1010 {
		n := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil)
		sock := rawclient.DialSocket(t, s.url+"?id="+n.ConnectionToken)
		if sock.Head.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("connection %d: status %d, want 101", i, sock.Head.StatusCode)
		}
		sock.Close()
	}
}

// TestD10OneConnectionPerToken: a token makes one connection, however it is tried.
func TestD10OneConnectionPerToken(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	c := s.connect(t, rawclient.Options{Token: tok})
	for range 3 {
		if n, _ := rawclient.TryOpen(t, s.url, rawclient.Options{Token: tok}); n != nil {
			t.Error("a second connection with the same token")
		}
	}
	c.ExpectNothing(fence, fenced)
	c.Close()
	await(t, "the end", func() bool { return s.hub.Stats().Connections == 0 })
	everyTransport(t, func(t *testing.T, way rawclient.Way) { // nor afterwards
		if _, refusal := rawclient.TryOpen(t, s.url, rawclient.Options{Way: way, Token: tok}); refusal == nil || refusal.Status != 404 && refusal.Status != 409 {
			t.Errorf("after the end: %+v, want a refusal", refusal)
		}
	})
}

// TestD11CancelAlways: every cancel ends its stream, and the producer is told, any number of times.
func TestD11CancelAlways(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.Handle("Run", hubbub.Func0(func(ctx context.Context) (hubbub.Seq[int], error) {
			return func(yield func(int, error) bool) {
				running.Add(1)
				defer running.Add(-1)
				for i := 0; yield(i, nil); i++ {
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Hour):
					}
				}
			}, nil
		}))
	}})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		for i := range 150 {
			c.Send(fmt.Sprintf(`{"type":4,"invocationId":"%d","target":"Run","arguments":[]}`, i))
			c.Expect(fmt.Sprintf(`{"type":2,"invocationId":"%d","item":0}`, i))
			c.Send(fmt.Sprintf(`{"type":5,"invocationId":"%d"}`, i))
			c.Expect(fmt.Sprintf(`{"type":3,"invocationId":"%d"}`, i))
		}
	})
	t.Cleanup(func() {
		if n := running.Load(); n != 0 {
			t.Errorf("%d producers still run", n)
		}
	})
}

// TestD12StateAtTheEnd: OnDisconnected sees the values of its connection.
func TestD12StateAtTheEnd(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 100)
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.OnConnected(func(ctx context.Context) error {
			hubbub.CallerFrom(ctx).Items().Store("mine", hubbub.CallerFrom(ctx).ID())
			return nil
		})
		h.OnDisconnected(func(ctx context.Context, _ error) {
			v, _ := hubbub.CallerFrom(ctx).Items().Load("mine")
			if v != hubbub.CallerFrom(ctx).ID() {
				t.Errorf("connection %s finds %v", hubbub.CallerFrom(ctx).ID(), v)
			}
			seen <- hubbub.CallerFrom(ctx).ID()
		})
	}})
	ids := map[string]bool{}
	for i := range 50 {
		c := s.connect(t, rawclient.Options{Way: rawclient.Ways[i%len(rawclient.Ways)]})
		ids[c.ConnectionID] = true
		if way := rawclient.Ways[i%len(rawclient.Ways)]; i%2 == 0 && way.Transport != rawclient.LongPolling {
			c.Drop()
		} else {
			c.Close()
		}
	}
	for len(ids) > 0 {
		delete(ids, receive(t, "OnDisconnected", seen))
	}
}

// TestD13NegotiateVersion2 is answered with 1 and a token.
func TestD13NegotiateVersion2(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	n := rawclient.Negotiate(t, s.url, "negotiateVersion=2", nil)
	if n.NegotiateVersion != 1 || n.ConnectionToken == "" || n.ConnectionToken == n.ConnectionID {
		t.Errorf("answer %s, want version 1 with a token", n.Body)
	}
	s.connect(t, rawclient.Options{Token: n.ConnectionToken}).ExpectNothing(fence, fenced)
}

// TestD14HandshakeVersion99 is refused.
func TestD14HandshakeVersion99(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	c := rawclient.Open(t, s.url, rawclient.Options{})
	c.SendText(`{"protocol":"json","version":99}` + "\x1e")
	c.Expect(`{"error":"The server does not support version 99 of the 'json' protocol."}`)
	c.ExpectEnd(1000)
}

// TestD15HandshakeWithCall: what stands behind the handshake in the same frame or POST is not lost.
func TestD15HandshakeWithCall(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := rawclient.Open(t, s.url, rawclient.Options{Way: way, Binary: way.Protocol == "messagepack"})
		both := append([]byte(c.Hello()), c.Encoded(fence, `{"type":1,"invocationId":"2","target":"Void","arguments":[]}`)...)
		if way == rawclient.Ways[1] {
			// A text frame must be UTF-8; a client that does this sends a binary one.
			sock := rawclient.DialSocket(t, s.url)
			sock.Write(rawclient.Frame(true, rawclient.OpBinary, string(both)))
			text := ""
			for !strings.HasSuffix(text, string(c.Encoded(`{"type":3,"invocationId":"2","result":null}`))) {
				_, p := sock.Read()
				text += p
			}
			if want := "{}\x1e" + string(c.Encoded(fenced, `{"type":3,"invocationId":"2","result":null}`)); text != want {
				t.Errorf("got %q, want %q", text, want)
			}
			return
		}
		c.SendText(string(both))
		c.Expect("{}", fenced, `{"type":3,"invocationId":"2","result":null}`)
	})
}

// TestD16IgnoredMessages: unknown types, Ack, Sequence and answers nobody waits for close nothing.
func TestD16IgnoredMessages(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		for _, r := range []string{`{"type":10}`, `{"type":100}`, ack(3), sequence(1), `{"type":3,"invocationId":"nobody","result":1}`,
			`{"type":3,"invocationId":"nobody","error":"e"}`, `{"type":2,"invocationId":"nobody","item":1}`, `{"type":5,"invocationId":"nobody"}`} {
			c.Send(r)
			c.ExpectNothing(fence, fenced)
		}
	})
}

// TestD17UploadError: a client's stream that ends with an error is an error of its method only.
func TestD17UploadError(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.Handle("Take", hubbub.Func1(func(_ context.Context, items hubbub.Seq[int]) (int, error) {
			n := 0
			for v, err := range items {
				if err != nil {
					got <- err
					return -n, nil
				}
				n += v
			}
			return n, nil
		}))
	}})
	for _, way := range rawclient.Ways {
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"invocationId":"1","target":"Take","arguments":[],"streamIds":["u"]}`,
			`{"type":2,"invocationId":"u","item":2}`, `{"type":3,"invocationId":"u","error":"broken"}`)
		c.Expect(`{"type":3,"invocationId":"1","result":-2}`)
		var e *hubbub.Error
		if err := receive(t, "the error", got); !errors.As(err, &e) || e.Message != "broken" {
			t.Errorf("the method got %v, want broken", err)
		}
		c.ExpectNothing(fence, fenced)
	}
}

// TestD18UnknownUnheard: a send to an unknown method is not answered.
func TestD18UnknownUnheard(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"target":"Nope","arguments":[]}`)
		c.ExpectNothing(fence, fenced)
	})
}

// TestD19ParallelPosts: POSTs of an event stream may overlap, go on after one that was too large, and do not sleep.
func TestD19ParallelPosts(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{MaximumPostSize: 10_000}})
	for _, way := range rawclient.Transports[1:] {
		c := s.connect(t, rawclient.Options{Way: way})
		id := "?id=" + c.ConnectionToken
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := c.TrySend(fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Void","arguments":[]}`, i)); err != nil {
					t.Errorf("POST %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		for range 8 {
			if r := c.Next(); !strings.HasSuffix(r, `"result":null}`) {
				t.Errorf("record %s", r)
			}
		}
		row{method: "POST", path: id, body: strings.Repeat("x", 20_000), status: 400, kind: "text/plain"}.check(t, s.url)
		fastest := time.Hour
		for range 20 {
			begun := time.Now()
			c.Send(fence)
			fastest = min(fastest, time.Since(begun))
			c.Expect(fenced)
		}
		if fastest >= 50*time.Millisecond {
			t.Errorf("the fastest of 20 POSTs took %v", fastest)
		}
	}
}

// TestD21OtherMethods: DELETE ends Long Polling; OPTIONS reaches a middleware for CORS on every route, and is 405 without one.
func TestD21OtherMethods(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{EnableAuthenticationRefresh: true, Auth: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			next.ServeHTTP(w, r)
		})
	}}})
	for _, path := range []string{"", "/", "/negotiate", "/negotiate/", "/refresh"} {
		if a := rawclient.Do(t, "OPTIONS", s.url+path, http.Header{"Access-Control-Request-Method": {"POST"}}, ""); a.Status != http.StatusNoContent {
			t.Errorf("preflight of %q: status %d, want 204", path, a.Status)
		}
		row{method: "OPTIONS", path: path, status: 405, kind: "text/plain"}.check(t, s.url)
	}
	c := s.connect(t, rawclient.Options{Way: rawclient.Ways[3]})
	row{method: "DELETE", path: "?id=" + c.ConnectionToken, status: 202, kind: "text/plain"}.check(t, s.url)
	await(t, "the end", func() bool { return s.hub.Stats().Connections == 0 })
}
