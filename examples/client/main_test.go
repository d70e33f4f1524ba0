package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// A person at the terminal is heard, hears that the server went and came back, and is still heard then.
func TestChat(t *testing.T) {
	t.Parallel()
	hub, gone, url := serve(t)
	ctx, leave := context.WithTimeout(t.Context(), patience)
	defer leave()
	in, keyboard := io.Pipe()
	screen, out := io.Pipe()
	defer screen.Close() // writes that nobody reads any more fail
	result := make(chan error, 1)
	go func() { result <- chat(ctx, url, "ann", in, out) }()

	lines := bufio.NewScanner(screen)
	wantLine := func(prefix string) {
		t.Helper()
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), prefix) {
			t.Fatalf("the screen shows %q, want %q (%v)", lines.Text(), prefix, lines.Err())
		}
	}
	say := func(line string) {
		t.Helper()
		if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	say("hello")
	wantLine("ann: hello")

	if n := hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "restarting", true); n != 1 {
		t.Fatalf("%d connections closed, want 1", n)
	}
	wantLine("lost the server: the server closed the connection with the following error: restarting")
	wantLine("the server is back, this is connection ")
	<-gone
	say("still here")
	wantLine("ann: still here")

	keyboard.Close()
	if err := <-result; err != nil {
		t.Errorf("at the end of the input: %v, want no error", err)
	}
	if err := <-gone; err != nil {
		t.Errorf("the server saw the client end with %v, want a proper goodbye", err)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(hub *hubbub.Hub, interrupt func())
		want string
	}{
		"Ctrl-C": {func(_ *hubbub.Hub, interrupt func()) { interrupt() }, ""},
		"closed for good": {func(hub *hubbub.Hub, _ func()) {
			hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "you are banned", false)
		}, "you are banned"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub, gone, url := serve(t)
			ctx, interrupt := context.WithTimeout(t.Context(), patience)
			defer interrupt()
			in, keyboard := io.Pipe()
			defer keyboard.Close() // ends the reading of lines
			screen, out := io.Pipe()
			defer screen.Close()
			result := make(chan error, 1)
			go func() { result <- chat(ctx, url, "ann", in, out) }()
			if _, err := io.WriteString(keyboard, "hello\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(screen).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, screen) // the call may not have ended when its message is there, and then fails
			tt.end(hub, interrupt)
			switch err := <-result; {
			case tt.want == "" && err != nil:
				t.Errorf("chat: %v, want no error", err)
			case tt.want != "" && (!errors.Is(err, hubbub.ErrClosed) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("chat: %v, want an ErrClosed with %q", err, tt.want)
			}
			<-gone
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	err := chat(t.Context(), server.URL, "ann", strings.NewReader(""), io.Discard)
	if status, ok := errors.AsType[*signalr.HTTPError](err); !ok || status.Status != http.StatusNotFound {
		t.Errorf("chat: %v, want an HTTPError with status 404", err)
	}
}

// serve serves a chat that tells of each connection that ends.
func serve(t *testing.T) (hub *hubbub.Hub, gone chan error, url string) {
	t.Helper()
	hub, gone = hubbub.NewHub("chat", nil), make(chan error, 2)
	hub.Handle("SendMessage", hubbub.Action2(func(ctx context.Context, user, message string) error {
		return hub.All().Send(ctx, "ReceiveMessage", user, message)
	}))
	hub.OnDisconnected(func(_ context.Context, err error) { gone <- err })
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/chat", hub, nil)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return hub, gone, server.URL + "/chat"
}
