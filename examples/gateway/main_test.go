package main

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What one posts, everybody hears.
func TestGateway(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	down := httptest.NewServer(chat())
	defer down.Close()
	g, handler := front(down.URL)
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	defer func() {
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
	}()

	heard := make(chan string, 10)
	for _, path := range []string{"/gatewayhub", "/GatewayHub"} {
		client := signalr.NewClient(server.URL+path, nil)
		client.On("ReceiveMessage", hubbub.Action2(func(_ context.Context, name, message string) error {
			heard <- name + ": " + message
			return nil
		}))
		if err := client.Start(ctx); err != nil {
			t.Fatal(err)
		}
		defer client.Close()
	}
	res, err := server.Client().Post(server.URL+"/api/Gateway/hub/chatservice/room", "application/json", strings.NewReader(`[{"name":"ann","message":"hello"}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		text, err := io.ReadAll(res.Body)
		t.Fatalf("post: status %d, body %q (%v), want 200", res.StatusCode, text, err)
	}
	for range 2 {
		select {
		case got := <-heard:
			if got != "ann: hello" {
				t.Errorf("heard %q, want ann: hello", got)
			}
		case <-ctx.Done():
			t.Fatal("heard nothing")
		}
	}
	for path, want := range map[string]string{"/": "gatewayhub", "/swagger/v1/swagger.json": "chatservice"} {
		res, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d bytes (%v), want some with %s", path, len(text), err, want)
		}
	}
}
