package signalr_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

const closedText = "Connection closed with an error."

// TestEndReasons has the rows of the table of ends that work over every transport: what the client hears last, and what OnDisconnected
// gets.
func TestEndReasons(t *testing.T) {
	t.Parallel()
	const again = `,"allowReconnect":true}`
	failed := func(details string) (off, on string) {
		return `{"type":7,"error":"` + closedText + `"` + again, `{"type":7,"error":"` + closedText + details + `"` + again
	}
	sizeOff, sizeOn := failed(` InvalidDataException: The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions.`)
	badOff, badOn := failed(` InvalidDataException: Error reading JSON.`)
	silentOff, silentOn := failed(` OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.`)
	plain := `{"type":7}`
	for _, tc := range []struct {
		name    string
		act     func(s *server, c *rawclient.Conn)
		off, on string // last words, without and with detailed errors
		reason  string // what OnDisconnected gets
		not     string // a transport on which it does not happen
	}{
		{"Close", func(_ *server, c *rawclient.Conn) { c.Send(`{"type":7}`) }, plain, plain, "nil", ""},
		{"Close with an error", func(_ *server, c *rawclient.Conn) { c.Send(`{"type":7,"error":"gone"}`) }, plain, plain, "HubException: gone", ""},
		{"Close that allows to reconnect", func(_ *server, c *rawclient.Conn) { c.Send(`{"type":7,"allowReconnect":true}`) }, plain, plain, "nil", ""},
		{"Abort", func(_ *server, c *rawclient.Conn) { c.Send(`{"type":1,"target":"Abort","arguments":[]}`) }, plain, plain, "nil", ""},
		{"Shutdown", func(s *server, _ *rawclient.Conn) { go s.hub.Shutdown(context.Background(), 0) },
			`{"type":7` + again, `{"type":7` + again, "nil", ""},
		{"CloseWhere", func(s *server, _ *rawclient.Conn) {
			s.hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "for a reason", true)
		}, `{"type":7,"error":"for a reason"` + again, `{"type":7,"error":"for a reason"` + again, "nil", ""},
		{"parse error", func(_ *server, c *rawclient.Conn) { c.SendText("nonsense\x1e") }, badOff, badOn, "InvalidDataException: Error reading JSON.", ""},
		{"size limit", func(_ *server, c *rawclient.Conn) { c.SendText(sized(32769)) }, sizeOff, sizeOn,
			"InvalidDataException: The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions.", ""},
		{"silence", func(_ *server, c *rawclient.Conn) { c.Send(`{"type":6}`) }, silentOff, silentOn,
			"OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.", rawclient.LongPolling},
	} {
		for _, details := range []bool{false, true} {
			for _, way := range rawclient.Transports {
				if way.Transport == tc.not {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/details=%v", tc.name, way.Transport, details), func(t *testing.T) {
					t.Parallel()
					gone := make(ends, 1)
					s := start(t, setup{
						hub:     &hubbub.Options{EnableDetailedErrors: details, ClientTimeoutInterval: 200 * time.Millisecond},
						methods: gone.register,
					})
					c := s.connect(t, rawclient.Options{Way: way})
					tc.act(s, c)
					want := tc.off
					if details {
						want = tc.on
					}
					c.Expect(want)
					c.ExpectEnd(1000)
					if got := class(receive(t, "OnDisconnected", gone)); got != tc.reason {
						t.Errorf("OnDisconnected got %s, want %s", got, tc.reason)
					}
				})
			}
		}
	}
}

// sized is a call of n bytes with its separator.
func sized(n int) string {
	const head, tail = `{"type":1,"invocationId":"big","target":"Echo","arguments":["`, `"]}` + "\x1e"
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

// TestEndSizeLimit: the largest message passes, in one piece or in many.
func TestEndSizeLimit(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way})
		big := sized(32768)
		for _, pieces := range [][]string{{big}, {big[:100], big[100:20000], big[20000:]}, {big[:32767], big[32767:]}} {
			for _, p := range pieces {
				c.SendText(p)
			}
			if r := c.Next(); !strings.HasPrefix(r, `{"type":3,"invocationId":"big","result":"xxx`) {
				t.Fatalf("answer %.100s", r)
			}
		}
	})
}

// TestEndOfSocket: whatever the code of the client's close frame, the answer is 1000 without a reason, and the end is ordinary.
func TestEndOfSocket(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := start(t, setup{methods: gone.register})
	code := func(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }
	for _, tc := range []struct {
		name    string
		frame   []byte
		answer  int // 0: none
		reason  bool
		abandon func(*rawclient.Socket)
	}{
		{name: "1000", frame: rawclient.Frame(true, rawclient.OpClose, code(1000)+"bye"), answer: 1000},
		{name: "1001", frame: rawclient.Frame(true, rawclient.OpClose, code(1001)), answer: 1000},
		{name: "3001", frame: rawclient.Frame(true, rawclient.OpClose, code(3001)), answer: 1000},
		{name: "none", frame: rawclient.Frame(true, rawclient.OpClose, ""), answer: 1000},
		{name: "unmasked", frame: []byte{0x81, 4, 'a', 'b', 'c', 'd'}, answer: 1002, reason: true},
		{name: "reserved bit", frame: append([]byte{0xc1}, rawclient.Frame(true, rawclient.OpText, "x")[1:]...), answer: 1002, reason: true},
		{name: "opcode", frame: rawclient.Frame(true, 3, ""), answer: 1002, reason: true},
		{name: "close code", frame: rawclient.Frame(true, rawclient.OpClose, code(1005)), answer: 1002, reason: true},
		{name: "no UTF-8", frame: rawclient.Frame(true, rawclient.OpText, "\xff\xfe"), answer: 1007, reason: true},
		{name: "TCP end", abandon: func(s *rawclient.Socket) { s.CloseWrite() }},
		{name: "TCP reset", abandon: func(s *rawclient.Socket) { s.Reset() }},
	} {
		sock := rawclient.DialSocket(t, s.url)
		sock.Send(`{"protocol":"json","version":1}` + "\x1e")
		sock.ExpectText("{}\x1e")
		if tc.abandon != nil {
			tc.abandon(sock)
		} else {
			sock.Write(tc.frame)
			sock.ExpectClose(tc.answer)
		}
		if err := receive(t, tc.name+": OnDisconnected", gone); (err != nil) != tc.reason {
			t.Errorf("%s: OnDisconnected got %v, want an error: %v", tc.name, err, tc.reason)
		}
	}
}

// TestEndWithoutAnswer: a client that does not answer the server's close frame is cut after the close time-out.
func TestEndWithoutAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{CloseTimeout: 100 * time.Millisecond}})
	sock := rawclient.DialSocket(t, s.url)
	sock.Send(`{"protocol":"json","version":1}` + "\x1e" + `{"type":1,"target":"Abort","arguments":[]}` + "\x1e")
	var text string
	for !strings.HasSuffix(text, `{"type":7}`+"\x1e") {
		_, p := sock.Read()
		text += p
	}
	sock.ExpectClose(1000)
	begun := time.Now()
	sock.ExpectEOF()
	if d := time.Since(begun); d > 4*time.Second {
		t.Errorf("cut after %v, want about 100 ms", d)
	}
}

// TestEndStuck: a send that hangs ends TCP without a close frame. Nobody else waits.
func TestEndStuck(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := start(t, setup{
		hub:     &hubbub.Options{SendTimeout: 200 * time.Millisecond, MaximumQueuedBytes: 64 << 20},
		methods: gone.register,
	})
	sock := rawclient.DialSocket(t, s.url)
	sock.SetReadBuffer(4096)
	sock.Send(`{"protocol":"json","version":1}` + "\x1e")
	sock.ExpectText("{}\x1e")
	if err := s.hub.All().Send(t.Context(), "M", strings.Repeat("x", 32<<20)); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, "OnDisconnected", gone); err != nil && !errors.Is(err, hubbub.ErrSlow) {
		t.Errorf("OnDisconnected got %v, want nil or ErrSlow", err)
	}
	for {
		op, _, err := sock.TryRead(rawclient.Patience)
		if err != nil {
			return
		}
		if op == rawclient.OpClose {
			t.Fatal("a close frame came, want the end of TCP")
		}
	}
}

// TestEndExpired: with CloseOnAuthenticationExpiration the end of the credential is the end of the connection.
func TestEndExpired(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		gone := make(ends, 1)
		s := start(t, setup{methods: gone.register, signalr: &signalr.Options{
			Auth: toy, CloseOnAuthenticationExpiration: true, DisconnectTimeout: time.Second}})
		c := s.connect(t, rawclient.Options{Way: way, Header: bearer(token("ann", 3*time.Second, "a"))})
		c.ExpectNothing(fence, fenced)
		c.Expect(`{"type":7,"allowReconnect":true}`)
		if end := c.Ended(); way.Transport == rawclient.WebSockets && end.Code != 1000 {
			t.Errorf("%v, want 1000", end)
		}
		if err := receive(t, "OnDisconnected", gone); err != nil {
			t.Errorf("OnDisconnected got %v, want nil", err)
		}
		fresh := bearer(token("ann", time.Minute, "a"))
		await(t, "404", func() bool { // at once, or when a client without a valid token cannot fetch the end of its polls
			return rawclient.Do(t, "POST", s.url+"?id="+c.ConnectionToken, fresh, "").Status == http.StatusNotFound
		})
	})
}

// TestEndNotExpired: without the option a connection outlives its credential.
func TestEndNotExpired(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{Auth: toy}})
	tok := token("ann", time.Second, "a")
	c := s.connect(t, rawclient.Options{Header: bearer(tok)})
	await(t, "the end of the token", func() bool {
		return rawclient.Do(t, "POST", s.url+"/negotiate?negotiateVersion=1", bearer(tok), "").Status == http.StatusUnauthorized
	})
	c.ExpectNothing(fence, fenced)
}

// TestEndOnConnected: a failure there ends the connection for good, without OnDisconnected.
func TestEndOnConnected(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		connect func(context.Context) error
		off, on string // behind the sentence
	}{
		{"error", func(context.Context) error { return errors.New("secret") }, "", " Exception: secret"},
		{"HubException", func(context.Context) error { return hubbub.Errorf("for you") }, " HubException: for you", " HubException: for you"},
		{"panic", func(context.Context) error { panic("secret") }, "", " PanicException: secret"},
		{"client result", func(ctx context.Context) error {
			_, err := hubbub.Invoke[string](ctx, hubbub.CallerFrom(ctx), "Q")
			return err
		}, "", " InvalidOperationException: Client results inside OnConnectedAsync Hub methods are not allowed."},
	} {
		for _, details := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/details=%v", tc.name, details), func(t *testing.T) {
				t.Parallel()
				s := start(t, setup{hub: &hubbub.Options{EnableDetailedErrors: details}, methods: func(h *hubbub.Hub) {
					h.OnConnected(tc.connect)
					h.OnDisconnected(func(context.Context, error) { t.Error("OnDisconnected ran") })
				}})
				everyTransport(t, func(t *testing.T, way rawclient.Way) {
					c := s.connect(t, rawclient.Options{Way: way})
					want := tc.off
					if details {
						want = tc.on
					}
					c.Expect(`{"type":7,"error":"` + closedText + want + `"}`)
					c.ExpectEnd(1000)
				})
			})
		}
	}
}

// TestEndAbortWhileConnecting: Abort inside OnConnected is an ordinary end.
func TestEndAbortWhileConnecting(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.OnConnected(func(ctx context.Context) error {
			hubbub.CallerFrom(ctx).Abort()
			return nil
		})
		gone.register(h)
	}})
	c := s.connect(t, rawclient.Options{})
	c.Expect(`{"type":7}`)
	c.ExpectEnd(1000)
	if err := receive(t, "OnDisconnected", gone); err != nil {
		t.Errorf("OnDisconnected got %v, want nil", err)
	}
}

// TestEndCallsWaitForConnected: calls that come while OnConnected runs are answered after it, in order, behind what it has sent.
func TestEndCallsWaitForConnected(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, way rawclient.Way) {
		goOn := make(chan struct{})
		s := start(t, setup{methods: func(h *hubbub.Hub) {
			h.OnConnected(func(ctx context.Context) error {
				<-goOn
				return hubbub.CallerFrom(ctx).Send(ctx, "Welcome")
			})
		}})
		c := s.connect(t, rawclient.Options{Way: way})
		for i := range 5 {
			c.Send(fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Echo","arguments":["x"]}`, i))
		}
		await(t, "arrival", func() bool { return s.hub.Stats().Received == 5 })
		close(goOn)
		c.Expect(`{"type":1,"target":"Welcome","arguments":[]}`)
		for i := range 5 {
			c.Expect(fmt.Sprintf(`{"type":3,"invocationId":"%d","result":"x"}`, i))
		}
	})
}

// TestEndOrder: first the context of the connection ends, then OnDisconnected runs, still in the groups and without waiting for running
// methods; then the streams of the client fail, then the groups forget it.
func TestEndOrder(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		var mu sync.Mutex
		var order []string
		note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
		release, uploaded := make(chan struct{}), make(chan error, 1)
		t.Cleanup(func() { close(release) })
		s := start(t, setup{methods: func(h *hubbub.Hub) {
			h.OnConnected(func(ctx context.Context) error { return hubbub.CallerFrom(ctx).Join(ctx, "room") })
			h.OnDisconnected(func(ctx context.Context, _ error) {
				select {
				case <-hubbub.CallerFrom(ctx).Done():
					note("done")
				default:
				}
				note(fmt.Sprintf("disconnected, %d groups", h.Stats().Groups))
			})
			h.Handle("Stay", hubbub.Action0(func(context.Context) error { <-release; return nil }))
			h.Handle("Take", hubbub.Action1(func(_ context.Context, items hubbub.Seq[int]) error {
				for _, err := range items {
					if err != nil {
						note("upload failed")
						uploaded <- err
					}
				}
				return nil
			}))
		}})
		c := s.connect(t, rawclient.Options{Way: way})
		c.Send(`{"type":1,"target":"Take","arguments":[],"streamIds":["u"]}`, `{"type":1,"target":"Stay","arguments":[]}`, `{"type":2,"invocationId":"u","item":1}`)
		await(t, "the calls", func() bool { return s.hub.Stats().Invocations == 2 })
		c.Send(`{"type":7}`)
		c.Expect(`{"type":7}`)
		err := receive(t, "the end of the upload", uploaded)
		if got := class(err); got != "OperationCanceledException: The underlying connection was closed." {
			t.Errorf("upload ended with %s", got)
		}
		await(t, "the end", func() bool { return s.hub.Stats().Connections == 0 && s.hub.Stats().Groups == 0 })
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(order, "; "); got != "done; disconnected, 1 groups; upload failed" {
			t.Errorf("order: %s", got)
		}
	})
}

// TestEndUnheard: messages to a connection that is gone, or never was, are dropped without an error.
func TestEndUnheard(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	c := s.connect(t, rawclient.Options{})
	id := c.ConnectionID
	c.Close()
	await(t, "the end", func() bool { return s.hub.Stats().Connections == 0 })
	for _, id := range []string{id, "nobody", ""} {
		if err := s.hub.Client(id).Send(t.Context(), "M"); err != nil {
			t.Errorf("send to %q: %v", id, err)
		}
		if err := s.hub.Join(t.Context(), id, "room"); err != nil {
			t.Errorf("join %q: %v", id, err)
		}
	}
	if n := s.hub.Stats().Groups; n != 0 {
		t.Errorf("%d groups, want 0", n)
	}
}
