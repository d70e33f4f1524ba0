package ws_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// echo sends every message back that comes with four bytes of length in front.
func echo(c *ws.Conn) error {
	q := &queue{}
	c.Start(q)
	var got []byte
	err := c.Read(func(p []byte) error {
		got = append(got, p...)
		for len(got) >= 4 {
			n := int(binary.BigEndian.Uint32(got)) + 4
			if len(got) < n {
				break
			}
			q.push(ws.AppendFrame(nil, ws.Binary, got[4:n]))
			c.Wake()
			got = got[n:]
		}
		return nil
	})
	code := 1000
	var closed *ws.CloseError
	if errors.As(err, &closed) {
		code = closed.Code
	}
	c.Close(code, "", 5*time.Second)
	return err
}

func connect(t *testing.T, s *server) (*websocket.Conn, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cl, res, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{HTTPClient: s.Client(), CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	if ext := res.Header.Get("Sec-WebSocket-Extensions"); res.StatusCode != http.StatusSwitchingProtocols || ext != "" {
		t.Errorf("status %d, extensions %q, want 101 and none", res.StatusCode, ext)
	}
	t.Cleanup(func() { cl.CloseNow() })
	cl.SetReadLimit(1 << 20)
	return cl, ctx
}

// TestEcho drives the server with a client of another author, one message after the other
// and many at once.
func TestEcho(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl, ctx := connect(t, s)
		c := s.accepted(t)
		over := make(chan error, 1)
		go func() { over <- echo(c) }()
		var messages [][]byte
		random := rand.NewChaCha8([32]byte{})
		for _, n := range []int{0, 1, 2, 100, 121, 122, 4090, 8192, 16384, 65531, 65532, 100_000, 300_000} {
			p := make([]byte, 4+n)
			random.Read(p)
			binary.BigEndian.PutUint32(p, uint32(n))
			messages = append(messages, p)
		}
		roundTrips(t, ctx, cl, messages)
		if err := cl.Ping(cl.CloseRead(ctx)); err != nil {
			t.Errorf("ping: %v", err)
		}
		cl.CloseNow()
		<-over
		wait(t, "Done", c.Done())
	})
}

func roundTrips(t *testing.T, ctx context.Context, cl *websocket.Conn, messages [][]byte) {
	t.Helper()
	want := func(p []byte) {
		typ, got, err := cl.Read(ctx)
		if err != nil || typ != websocket.MessageBinary || !bytes.Equal(got, p[4:]) {
			t.Fatalf("echo of %d bytes: type %v, %d bytes, %v", len(p)-4, typ, len(got), err)
		}
	}
	for _, p := range messages {
		if err := cl.Write(ctx, websocket.MessageBinary, p); err != nil {
			t.Fatal(err)
		}
		want(p)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for range 5 {
			for _, p := range messages {
				if err := cl.Write(ctx, websocket.MessageBinary, p); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for range 5 {
		for _, p := range messages {
			want(p)
		}
	}
	writer.Wait()
}

func TestHandshakeStartedByClient(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl, _ := connect(t, s)
		c := s.accepted(t)
		over := make(chan error, 1)
		go func() { over <- echo(c) }()
		if err := cl.Close(websocket.StatusGoingAway, "bye"); err != nil {
			t.Errorf("close: %v", err)
		}
		var closed *ws.CloseError
		if err := <-over; !errors.As(err, &closed) || closed.Code != 1001 || closed.Reason != "bye" {
			t.Errorf("Read: %v, want close 1001 bye", err)
		}
		wait(t, "Done", c.Done())
	})
}

func TestHandshakeStartedByServer(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl, ctx := connect(t, s)
		c := s.accepted(t)
		r := read(c)
		c.Start(&queue{})
		if err := cl.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the data", func() bool { return r.len.Load() == 1 })
		c.Close(4000, "enough", patience)
		_, _, err := cl.Read(ctx)
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4000 || closed.Reason != "enough" {
			t.Errorf("client read: %v, want close 4000 enough", err)
		}
		wantClosed(t, r, 4000)
		wait(t, "Done", c.Done())
	})
}
