package main

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What one says, everybody hears.
func TestHello(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	var sockets []*websocket.Conn
	for range 2 {
		c, _, err := websocket.Dial(ctx, server.URL+"/chat", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		write(ctx, t, c, `{"protocol":"json","version":1}`)
		if r := read(ctx, t, c); r != "{}" {
			t.Fatalf("handshake: %s, want {}", r)
		}
		sockets = append(sockets, c)
	}
	write(ctx, t, sockets[0], `{"type":1,"target":"SendMessage","arguments":["ann","hello"]}`)
	for i, c := range sockets {
		if r := read(ctx, t, c); r != `{"type":1,"target":"ReceiveMessage","arguments":["ann","hello"]}` {
			t.Errorf("socket %d: %s, want ReceiveMessage with ann and hello", i, r)
		}
	}
	res, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(text), "SendMessage") {
		t.Errorf("page: %d bytes (%v), want the chat", len(text), err)
	}
}

func write(ctx context.Context, t *testing.T, c *websocket.Conn, record string) {
	t.Helper()
	if err := c.Write(ctx, websocket.MessageText, []byte(record+"\x1e")); err != nil {
		t.Fatal(err)
	}
}

func read(ctx context.Context, t *testing.T, c *websocket.Conn) string {
	t.Helper()
	_, data, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(data), "\x1e")
}
