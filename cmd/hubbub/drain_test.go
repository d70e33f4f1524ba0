package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socket is a SignalR connection over a WebSocket, JSON protocol, after its handshake.
type socket struct {
	conn  *websocket.Conn
	token string // connection token
	rest  [][]byte
}

// dial negotiates and connects as browsers do, with the access token in the query.
func dial(t *testing.T, s *running, access string) *socket {
	t.Helper()
	res, body := s.do(t, "POST", negotiate, access, "")
	var answer struct{ ConnectionToken string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("negotiate: status %d, %s (%v)", res.StatusCode, body, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	address := "ws" + strings.TrimPrefix(s.url, "http") + "/signalr/v1/mainHub?id=" + answer.ConnectionToken + "&access_token=" + access
	c, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: s.client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	ws := &socket{conn: c, token: answer.ConnectionToken}
	ws.write(t, `{"protocol":"json","version":1}`)
	if r := ws.read(t); r != "{}" {
		t.Fatalf("handshake: %s, want {}", r)
	}
	return ws
}

func (w *socket) write(t *testing.T, record string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.conn.Write(ctx, websocket.MessageText, []byte(record+"\x1e")); err != nil {
		t.Fatal(err)
	}
}

// next returns the next record, pings left out.
func (w *socket) next(ctx context.Context) (string, error) {
	for {
		if len(w.rest) == 0 {
			_, data, err := w.conn.Read(ctx)
			if err != nil {
				return "", err
			}
			w.rest = bytes.Split(bytes.TrimSuffix(data, []byte{0x1e}), []byte{0x1e})
		}
		record := string(w.rest[0])
		w.rest = w.rest[1:]
		if record != `{"type":6}` {
			return record, nil
		}
	}
}

func (w *socket) read(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := w.next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantDrained reads what a server says that stops: a Close that allows to reconnect, then the close frame 1000.
func (w *socket) wantDrained(t *testing.T, i int) {
	t.Helper()
	if r := w.read(t); r != `{"type":7,"allowReconnect":true}` {
		t.Errorf("socket %d: %s, want a Close that allows to reconnect", i, r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := w.conn.Read(ctx)
	if code := websocket.CloseStatus(err); code != websocket.StatusNormalClosure {
		t.Errorf("socket %d: close code %d (%v), want 1000", i, code, err)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	token, _ := s.login(t, "demo", s.password(t))
	sockets := []*socket{dial(t, s, token), dial(t, s, token), dial(t, s, token)}
	s.stop <- os.Interrupt
	for i, ws := range sockets {
		ws.wantDrained(t, i)
	}
	if code := s.wait(t); code != exitOK {
		t.Errorf("exit code %d, want 0\n%s", code, s.stderr)
	}
}

// Before connections are closed the server is not ready for some time, and a second signal ends even that at once.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), []string{"HUBBUB_DRAIN_DELAY=1h"})
	token, _ := s.login(t, "demo", s.password(t))
	ws := dial(t, s, token)
	s.stop <- os.Interrupt
	deadline := time.Now().Add(10 * time.Second)
	for {
		res, body := s.do(t, "GET", "/health/ready", "", "")
		if res.StatusCode == http.StatusServiceUnavailable {
			if body != "{\"status\":\"draining\"}\n" {
				t.Errorf("body %q, want draining", body)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still ready: %s", body)
		}
	}
	if res, _ := s.do(t, "GET", "/health/live", "", ""); res.StatusCode != http.StatusOK {
		t.Errorf("live while draining: status %d, want 200", res.StatusCode)
	}
	ws.write(t, `{"type":1,"invocationId":"1","target":"Subscribe","arguments":[{"e":"portos.resources.changed"}]}`)
	if r := ws.read(t); r != `{"type":3,"invocationId":"1","result":null}` && r != `{"type":3,"invocationId":"1"}` {
		t.Errorf("a call while draining: %s, want its completion", r)
	}
	s.stop <- os.Interrupt
	if code := s.wait(t); code != exitKilled {
		t.Errorf("exit code %d, want 6", code)
	}
}

// What does not end by itself is cut when the time is over, and the exit code says so: here a request whose body never ends.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), []string{"HUBBUB_DRAIN_TIMEOUT=200ms"})
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /api/auth HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v; want that the server asks for the body", line, err)
	}
	s.stop <- os.Interrupt
	if code := s.wait(t); code != exitCut {
		t.Errorf("exit code %d, want 5\n%s", code, s.stderr)
	}
}
