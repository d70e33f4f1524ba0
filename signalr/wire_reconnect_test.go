package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

// stateful starts a server with stateful reconnect; s may hold more.
func stateful(t *testing.T, s setup) *server {
	t.Helper()
	opts := signalr.Options{}
	if s.signalr != nil {
		opts = *s.signalr
	}
	opts.AllowStatefulReconnects = true
	s.signalr = &opts
	return start(t, s)
}

// bothProtocols runs a test with both protocols over WebSockets.
func bothProtocols(t *testing.T, f func(t *testing.T, o rawclient.Options)) {
	for _, way := range rawclient.Ways[:2] {
		t.Run(way.Protocol, func(t *testing.T) {
			t.Parallel()
			f(t, rawclient.Options{Way: way, Stateful: true})
		})
	}
}

func sequence(n int) string { return fmt.Sprintf(`{"type":9,"sequenceId":%d}`, n) }
func ack(n int) string      { return fmt.Sprintf(`{"type":8,"sequenceId":%d}`, n) }

// refused wants a resume to be refused with one of the statuses.
func refused(t *testing.T, c *rawclient.Conn, statuses ...int) {
	t.Helper()
	n, answer := c.TryResume()
	if n != nil {
		t.Fatal("resumed, want a refusal")
	}
	for _, s := range statuses {
		if answer.Status == s {
			return
		}
	}
	t.Fatalf("resume: status %d %q, want one of %v", answer.Status, answer.Body, statuses)
}

// TestReconnectReplay: what was not acknowledged comes again behind a Sequence, and what the client says again is not done twice.
func TestReconnectReplay(t *testing.T) {
	t.Parallel()
	bothProtocols(t, func(t *testing.T, o rawclient.Options) {
		for _, reset := range []bool{false, true} {
			var calls atomic.Int32
			s := stateful(t, setup{methods: func(h *hubbub.Hub) {
				h.Handle("Once", hubbub.Func0(func(context.Context) (int, error) { return int(calls.Add(1)), nil }))
			}})
			c := s.connect(t, o)
			const call = `{"type":1,"invocationId":"0","target":"Once","arguments":[]}`
			c.Send(ping)
			c.Send(call)
			c.Expect(`{"type":3,"invocationId":"0","result":1}`)
			if reset {
				c.Reset()
			} else {
				c.Drop()
			}
			for range 2 { // nothing was acknowledged, so it all comes again and again
				c = c.Resume()
				c.Send(sequence(1), call, `{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}`)
				c.Expect(sequence(1), `{"type":3,"invocationId":"0","result":1}`)
				var acked bool
				for answered := false; !answered || !acked; {
					switch r := c.Next(); r {
					case `{"type":3,"invocationId":"1","result":"x"}`:
						answered = true
					case ack(2), ack(1):
						acked = acked || r == ack(2)
					default:
						t.Fatalf("record %s", r)
					}
				}
				c.Drop()
				// The second round says both calls again; neither runs.
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("the call ran %d times, want once", n)
			}
			c = c.Resume()
			c.Send(sequence(3), ack(2))
			c.Expect(sequence(1), `{"type":3,"invocationId":"0","result":1}`, `{"type":3,"invocationId":"1","result":"x"}`)
			c.Send(`{"type":1,"invocationId":"2","target":"Void","arguments":[]}`)
			for r := ""; r != `{"type":3,"invocationId":"2","result":null}`; {
				if r = c.Next(); strings.HasPrefix(r, `{"type":3`) && !strings.Contains(r, `"2"`) {
					t.Fatalf("record %s", r)
				}
			}
			c.Drop()
			c = c.Resume() // the first two are acknowledged
			c.Expect(sequence(3), `{"type":3,"invocationId":"2","result":null}`)
		}
	})
}

// TestReconnectAway: what is sent to a client while it is away arrives in order when it is back, and nobody else waits.
func TestReconnectAway(t *testing.T) {
	t.Parallel()
	bothProtocols(t, func(t *testing.T, o rawclient.Options) {
		s := stateful(t, setup{})
		c, other := s.connect(t, o), s.connect(t, o)
		c.Send(ping)
		other.Send(ping)
		c.Reset()
		for i := range 100 {
			if err := s.hub.All().Send(t.Context(), "M", i); err != nil {
				t.Fatal(err)
			}
			other.Expect(fmt.Sprintf(`{"type":1,"target":"M","arguments":[%d]}`, i))
		}
		c = c.Resume()
		c.Send(sequence(1))
		c.Expect(sequence(1))
		for i := range 100 {
			c.Expect(fmt.Sprintf(`{"type":1,"target":"M","arguments":[%d]}`, i))
		}
	})
}

// TestReconnectHold: until the client's first frame after its handshake it hears nothing that is counted; a short timer helps clients
// that say nothing.
func TestReconnectHold(t *testing.T) {
	t.Parallel()
	s := stateful(t, setup{methods: func(h *hubbub.Hub) {
		h.OnConnected(func(ctx context.Context) error { return hubbub.CallerFrom(ctx).Send(ctx, "Welcome") })
	}})
	const welcome = `{"type":1,"target":"Welcome","arguments":[]}`
	c := s.connect(t, rawclient.Options{Stateful: true})
	begun := time.Now()
	if r, ok := c.NextWithin(100 * time.Millisecond); ok && time.Since(begun) < 400*time.Millisecond {
		t.Errorf("record %s before the client's first frame", r)
	}
	c.Send(ping)
	c.Expect(welcome)
	mute := s.connect(t, rawclient.Options{Stateful: true})
	mute.Expect(welcome)
}

// TestReconnectBound: not more than the limit goes out unacknowledged; acknowledgements let the next go. Control messages do not wait.
func TestReconnectBound(t *testing.T) {
	t.Parallel()
	bothProtocols(t, func(t *testing.T, o rawclient.Options) {
		s := stateful(t, setup{hub: &hubbub.Options{StatefulReconnectBufferSize: 2000}})
		c := s.connect(t, o)
		c.Send(ping)
		text := strings.Repeat("x", 200)
		want := func(i int) string { return fmt.Sprintf(`{"type":1,"target":"M","arguments":[%d,"%s"]}`, i, text) }
		for i := range 100 {
			if err := s.hub.All().Send(t.Context(), "M", i, text); err != nil {
				t.Fatal(err)
			}
		}
		got := 0
		for got < 100 {
			burst := 0
			for {
				r, ok := c.NextWithin(100 * time.Millisecond)
				if !ok {
					break
				}
				if r != want(got) {
					t.Fatalf("record %.60s, want %d", r, got)
				}
				got++
				burst++
			}
			if burst > 12 {
				t.Fatalf("%d messages of over 200 bytes without an acknowledgement, want 2000 bytes", burst)
			}
			if got == 0 {
				continue
			}
			if got > 50 { // full again: a Close is answered nevertheless
				break
			}
			c.Send(ack(got))
		}
		c.Send(`{"type":7}`)
		for r := ""; r != `{"type":7}`; {
			r = c.Next()
		}
		c.ExpectEnd(1000)
	})
}

// TestReconnectFull: a client that is away too long for its queue is given up, alone.
func TestReconnectFull(t *testing.T) {
	t.Parallel()
	gone := make(ends, 2)
	s := stateful(t, setup{methods: gone.register, hub: &hubbub.Options{MaximumQueuedBytes: 20_000, StatefulReconnectBufferSize: 10_000}})
	c, other := s.connect(t, rawclient.Options{Stateful: true}), s.connect(t, rawclient.Options{})
	c.Send(ping)
	c.Reset()
	for i := range 500 {
		if err := s.hub.All().Send(t.Context(), "M", strings.Repeat("x", 100), i); err != nil {
			t.Fatal(err)
		}
		if r := other.Next(); !strings.HasSuffix(r, fmt.Sprintf(`,%d]}`, i)) {
			t.Fatalf("record %s", r)
		}
	}
	if err := receive(t, "OnDisconnected", gone); !errors.Is(err, hubbub.ErrSlow) {
		t.Errorf("OnDisconnected got %v, want ErrSlow", err)
	}
	await(t, "404", func() bool {
		return rawclient.Do(t, "POST", s.url+"?id="+c.ConnectionToken, nil, "").Status == http.StatusNotFound
	})
	refused(t, c, 404)
	if n := s.hub.Stats().Closed["slow"]; n != 1 {
		t.Errorf("%d closed as slow, want 1", n)
	}
}

// TestReconnectSequence: a Sequence that cannot be ends the connection; an Ack of the future does not.
func TestReconnectSequence(t *testing.T) {
	t.Parallel()
	s := stateful(t, setup{hub: &hubbub.Options{EnableDetailedErrors: true}})
	for _, n := range []int{2, 1000, 0, -1} {
		c := s.connect(t, rawclient.Options{Stateful: true})
		c.Send(ping)
		c.Send(sequence(n))
		c.Expect(`{"type":7,"error":"Connection closed with an error. InvalidOperationException: Sequence ID greater than amount of messages we've received.","allowReconnect":true}`)
		c.ExpectEnd(1000)
		refused(t, c, 409, 404)
	}
	c := s.connect(t, rawclient.Options{Stateful: true})
	c.Send(ack(77), fence)
	c.Expect(fenced)
	c.Drop()
	c = c.Resume()
	c.Expect(sequence(1), fenced)
}

// TestReconnectCounts: every message counts by its type, whether or not anybody wanted it.
func TestReconnectCounts(t *testing.T) {
	t.Parallel()
	bothProtocols(t, func(t *testing.T, o rawclient.Options) {
		s := stateful(t, setup{methods: dialogueMethods})
		c := s.connect(t, o)
		c.Send(
			`{"type":2,"invocationId":"nobody","item":1}`,                                   // 1
			`{"type":3,"invocationId":"nobody"}`,                                            // 2
			`{"type":5,"invocationId":"nobody"}`,                                            // 3
			`{"type":1,"target":"Nope","arguments":[]}`,                                     // 4
			`{"type":1,"target":"Add","arguments":["x"]}`,                                   // 5
			`{"type":1,"invocationId":"1","target":"Sum","arguments":[],"streamIds":["u"]}`, // 6
			`{"type":2,"invocationId":"u","item":"no number"}`,                              // 7
			ping,
			`{"type":3,"invocationId":"u"}`, // 8
		)
		for r := ""; r != ack(8); {
			r = c.Next()
		}
		c.Drop()
		c = c.Resume()
		c.Send(sequence(9), fence)
		c.Expect(sequence(1))
		for r := ""; r != fenced; {
			r = c.Next()
			if strings.HasPrefix(r, `{"type":7`) {
				t.Fatalf("record %s", r)
			}
		}
	})
}

// TestReconnectHalfRecord: half a record of a cut socket is forgotten, since it comes again whole.
func TestReconnectHalfRecord(t *testing.T) {
	t.Parallel()
	s := stateful(t, setup{})
	c := s.connect(t, rawclient.Options{Stateful: true})
	c.Send(fence)
	c.Expect(fenced)
	c.SendText(`{"type":1,"invocationId":"1","target":"Echo","argu`)
	c.Reset()
	c = c.Resume()
	c.Send(sequence(2), `{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}`)
	c.Expect(sequence(1), fenced, `{"type":3,"invocationId":"1","result":"x"}`)
}

// TestReconnectTakeover: a new socket takes over at once while the old one is half open; what the old one still says is not heard.
func TestReconnectTakeover(t *testing.T) {
	t.Parallel()
	s := stateful(t, setup{})
	n := rawclient.Negotiate(t, s.url, "negotiateVersion=1&useStatefulReconnect=true", nil)
	url := s.url + "?id=" + n.ConnectionToken
	old := rawclient.DialSocket(t, url)
	old.Send(`{"protocol":"json","version":2}` + "\x1e")
	old.ExpectText("{}\x1e")
	old.Send(fence + "\x1e")
	old.ExpectText(fenced + "\x1e")
	begun := time.Now()
	c, refusal := rawclient.TryOpen(t, s.url, rawclient.Options{Token: n.ConnectionToken, Raw: true})
	if refusal != nil {
		t.Fatalf("takeover: %+v, want 101", refusal)
	}
	next := records(c)
	for _, want := range []string{sequence(1), fenced} {
		if got := next(); got != want {
			t.Fatalf("record %s, want %s", got, want)
		}
	}
	if d := time.Since(begun); d > 4*time.Second {
		t.Errorf("taken over after %v, want at once", d)
	}
	old.Send(`{"type":7}` + "\x1e" + `{"type":1,"invocationId":"old","target":"Echo","arguments":["old"]}` + "\x1e")
	for {
		op, p := old.Read()
		if op == rawclient.OpClose {
			if p != "\x03\xe8" {
				t.Errorf("close frame %q, want 1000", p)
			}
			break
		}
		if strings.Contains(p, "old") {
			t.Errorf("the old socket hears %q", p)
		}
	}
	old.Write(rawclient.Frame(true, rawclient.OpClose, "\x03\xe8"))
	c.SendText(sequence(1) + "\x1e" + fence + "\x1e" + `{"type":1,"invocationId":"2","target":"Echo","arguments":["x"]}` + "\x1e")
	for r := ""; r != `{"type":3,"invocationId":"2","result":"x"}`; {
		if r = next(); r != ack(1) && r != ack(2) && r != `{"type":3,"invocationId":"2","result":"x"}` {
			t.Fatalf("record %s", r)
		}
	}
	if n := s.hub.Stats().Opened; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// records cuts chunks of a raw connection into records.
func records(c *rawclient.Conn) func() string {
	var rest []string
	return func() string {
		for len(rest) == 0 {
			rest = strings.Split(strings.TrimSuffix(c.Next(), "\x1e"), "\x1e")
		}
		r := rest[0]
		rest = rest[1:]
		return r
	}
}

// TestReconnectRefusedAfterClose: once the end is decided there is no way back: 409 while the connection exists, then 404.
func TestReconnectRefusedAfterClose(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *server, sock *rawclient.Socket){
		"Close": func(_ *server, sock *rawclient.Socket) { sock.Send(`{"type":7}` + "\x1e") },
		"Abort": func(_ *server, sock *rawclient.Socket) {
			sock.Send(`{"type":1,"target":"Abort","arguments":[]}` + "\x1e")
		},
		"Shutdown": func(s *server, _ *rawclient.Socket) { go s.hub.Shutdown(context.Background(), 0) },
		"garbage":  func(_ *server, sock *rawclient.Socket) { sock.Send("garbage\x1e") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stateful(t, setup{})
			n := rawclient.Negotiate(t, s.url, "negotiateVersion=1&useStatefulReconnect=true", nil)
			url := s.url + "?id=" + n.ConnectionToken
			sock := rawclient.DialSocket(t, url)
			sock.Send(`{"protocol":"json","version":2}` + "\x1e")
			sock.ExpectText("{}\x1e")
			sock.Send(ping + "\x1e")
			end(s, sock)
			for op := byte(0); op != rawclient.OpClose; {
				op, _ = sock.Read()
			}
			// The client has not answered the close frame, so the connection still exists.
			row{method: "GET", path: "?id=" + n.ConnectionToken, header: upgrade(), status: 409, kind: "text/plain"}.check(t, s.url)
			sock.Write(rawclient.Frame(true, rawclient.OpClose, "\x03\xe8"))
			sock.Close()
			await(t, "404", func() bool { return rawclient.Do(t, "GET", url, upgrade(), "").Status == 404 })
		})
	}
}

// TestReconnectGraceful: a close frame of any code, or a broken protocol, is an end for good.
func TestReconnectGraceful(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := stateful(t, setup{methods: gone.register})
	for _, frame := range [][]byte{
		rawclient.Frame(true, rawclient.OpClose, "\x03\xe8"),
		rawclient.Frame(true, rawclient.OpClose, "\x03\xe9"),
		rawclient.Frame(true, rawclient.OpClose, ""),
		rawclient.Frame(true, 3, "x"),
	} {
		n := rawclient.Negotiate(t, s.url, "negotiateVersion=1&useStatefulReconnect=true", nil)
		sock := rawclient.DialSocket(t, s.url+"?id="+n.ConnectionToken)
		sock.Send(`{"protocol":"json","version":2}` + "\x1e" + ping + "\x1e")
		sock.ExpectText("{}\x1e")
		sock.Write(frame)
		receive(t, "OnDisconnected", gone)
		sock.Close()
		await(t, "404", func() bool {
			return rawclient.Do(t, "GET", s.url+"?id="+n.ConnectionToken, upgrade(), "").Status == 404
		})
	}
}

// TestReconnectTooLate: a client that does not come back in time is gone.
func TestReconnectTooLate(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := stateful(t, setup{methods: gone.register, signalr: &signalr.Options{DisconnectTimeout: 500 * time.Millisecond}})
	c := s.connect(t, rawclient.Options{Stateful: true})
	c.Send(ping)
	c.Reset()
	if err := receive(t, "OnDisconnected", gone); err != nil {
		t.Errorf("OnDisconnected got %v, want nil", err)
	}
	await(t, "404", func() bool {
		_, refusal := c.TryResume()
		return refusal != nil && refusal.Status == 404
	})
}

// TestReconnectRate: a client that comes back again and again without end is refused at some point.
func TestReconnectRate(t *testing.T) {
	t.Parallel()
	s := stateful(t, setup{})
	c := s.connect(t, rawclient.Options{Stateful: true})
	c.Send(ping)
	for i := range 500 {
		c.Drop()
		n, refusal := c.TryResume()
		if refusal != nil {
			if refusal.Status != 404 || i < 20 {
				t.Errorf("resume %d: %d, want 404 after some quick ones", i, refusal.Status)
			}
			return
		}
		c = n
	}
	t.Error("500 quick reconnects were accepted, want a limit")
}

// TestReconnectOff: without one of its four conditions there is no stateful reconnect, and no Ack.
func TestReconnectOff(t *testing.T) {
	t.Parallel()
	on, off := stateful(t, setup{}), start(t, setup{})
	for _, tc := range []struct {
		name string
		s    *server
		o    rawclient.Options
	}{
		{"endpoint", off, rawclient.Options{Stateful: true}},
		{"not asked", on, rawclient.Options{HandshakeVersion: 2}},
		{"version 1", on, rawclient.Options{Stateful: true, HandshakeVersion: 1}},
		{"no negotiate", on, rawclient.Options{SkipNegotiation: true, HandshakeVersion: 2}},
		{"events", on, rawclient.Options{Way: rawclient.Ways[2], Stateful: true}},
		{"polls", on, rawclient.Options{Way: rawclient.Ways[3], Stateful: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := tc.s.connect(t, tc.o)
			c.Send(fence)
			c.Expect(fenced)
			if r, ok := c.NextWithin(1200 * time.Millisecond); ok {
				t.Errorf("record %s, want none", r)
			}
			if tc.o.SkipNegotiation {
				return
			}
			if tc.o.Transport == "" {
				refused(t, c, 409)
				c.Drop()
				await(t, "404", func() bool {
					_, refusal := c.TryResume()
					return refusal != nil && refusal.Status == 404
				})
			}
		})
	}
}

// TestReconnectChaos: with the socket cut at any moment, both sides get every message once and in order.
func TestReconnectChaos(t *testing.T) {
	t.Parallel()
	bothProtocols(t, func(t *testing.T, o rawclient.Options) {
		const total = 400
		var expect atomic.Int32
		s := stateful(t, setup{methods: func(h *hubbub.Hub) {
			h.Handle("Next", hubbub.Action1(func(ctx context.Context, n int32) error {
				if want := expect.Add(1) - 1; n != want {
					t.Errorf("server: message %d, want %d", n, want)
				}
				return hubbub.CallerFrom(ctx).Send(ctx, "Next", n)
			}))
		}})
		c := s.connect(t, o)
		c.Send(ping)
		p := &peer{t: t, c: c}
		rng := rand.New(rand.NewPCG(1, 2))
		for cuts := 0; p.got < total; {
			for range rng.IntN(20) {
				if p.said < total {
					p.send(fmt.Sprintf(`{"type":1,"target":"Next","arguments":[%d]}`, p.said))
				}
			}
			for n := rng.IntN(20); n > 0 && p.got < p.said; n-- {
				p.read()
			}
			if cuts < 40 && rng.IntN(3) == 0 {
				cuts++
				p.cut(rng.IntN(2) == 0)
			}
			if p.said == total && p.got < total {
				p.read()
			}
		}
		if n := expect.Load(); n != total {
			t.Errorf("server got %d messages, want %d", n, total)
		}
	})
}

// peer is a client that counts.
type peer struct {
	t         *testing.T
	c         *rawclient.Conn
	said, got int
	unacked   []string // what the server has not acknowledged
	first     int      // id of unacked[0], minus one
	next      int      // id of the next message, minus one
}

func (p *peer) send(r string) {
	p.unacked = append(p.unacked, r)
	p.said++
	_ = p.c.TrySend(r) // a cut socket is noticed when it is read
}

func (p *peer) read() {
	r, end := p.c.NextOrEnd()
	if end != nil {
		p.t.Fatalf("%v", end)
	}
	var n int
	switch {
	case strings.HasPrefix(r, `{"type":8`):
		fmt.Sscanf(r, `{"type":8,"sequenceId":%d}`, &n)
		if n > p.first {
			p.unacked = p.unacked[n-p.first:]
			p.first = n
		}
	case strings.HasPrefix(r, `{"type":9`):
		fmt.Sscanf(r, `{"type":9,"sequenceId":%d}`, &n)
		if n-1 > p.next {
			p.t.Fatalf("sequence %d, but only %d have come", n, p.next)
		}
		p.next = n - 1
	case r == ping:
	default:
		if p.next++; p.next <= p.got {
			return // a duplicate
		}
		if want := fmt.Sprintf(`{"type":1,"target":"Next","arguments":[%d]}`, p.got); r != want {
			p.t.Fatalf("client: record %s, want %s", r, want)
		}
		if p.got++; p.got%7 == 0 {
			_ = p.c.TrySend(ack(p.got))
		}
	}
}

// cut ends the socket and goes on with a new one.
func (p *peer) cut(reset bool) {
	if reset {
		p.c.Reset()
	} else {
		p.c.Drop()
	}
	p.c = p.c.Resume()
	p.c.Send(append([]string{sequence(p.first + 1)}, p.unacked...)...)
}
