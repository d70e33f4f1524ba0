package ws_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/internal/ws"
)

func TestIsUpgrade(t *testing.T) {
	t.Parallel()
	set := func(k string, v ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(k)] = v }
	}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   bool
	}{
		{"as browsers send it", func(*http.Request) {}, true},
		{"tokens in another case", set("Connection", "UPGRADE"), true},
		{"tokens on several lines", set("Connection", "keep-alive", "foo , upgrade"), true},
		{"several upgrades offered", set("Upgrade", "h2c, WebSocket"), true},
		{"a POST", func(r *http.Request) { r.Method = "POST" }, false},
		{"HTTP/1.0", func(r *http.Request) { r.ProtoMinor = 0 }, false},
		{"HTTP/2", func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, false},
		{"no Connection", set("Connection"), false},
		{"Connection with part of the token", set("Connection", "upgrades"), false},
		{"no Upgrade", set("Upgrade"), false},
		{"another Upgrade", set("Upgrade", "websockets"), false},
		{"no version", set("Sec-WebSocket-Version"), false},
		{"version 8", set("Sec-WebSocket-Version", "8"), false},
		{"no key", set("Sec-WebSocket-Key"), false},
		{"two keys", set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="), false},
		{"key of 15 bytes", set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA"), false},
		{"key of 17 bytes", set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAA="), false},
		{"key of 18 bytes", set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAAA"), false},
		{"key that is no base64", set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ!=="), false},
		{"long key", set("Sec-WebSocket-Key", strings.Repeat("A", 400)), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := upgrade(t)
			tt.change(r)
			if got := ws.IsUpgrade(r); got != tt.want {
				t.Errorf("IsUpgrade is %v, want %v", got, tt.want)
			}
		})
	}
}

// wrapped hides everything of its writer but Unwrap, as middleware does.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestAcceptAnswer(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Of-Handler", "a\r\nB: c")
		h.Set("Content-Type", "text/plain")
		h.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		c, err := ws.Accept(wrapped{w}, r, "chat\r\nX-Injected: 1")
		if err != nil {
			t.Error(err)
			return
		}
		c.Close(0, "", time.Second)
	}))
	defer s.Close()
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	io.WriteString(nc, strings.Replace(upgradeRequest, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1))
	br := bufio.NewReader(nc)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("status %d, want 101", res.StatusCode)
	}
	for k, want := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"Sec-WebSocket-Protocol": "chatX-Injected: 1", "Sec-WebSocket-Extensions": "", "Content-Type": "",
		"X-Of-Handler": "a  B: c", "B": "", "X-Injected": "",
	} {
		if got := res.Header.Get(k); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	if b, err := br.ReadByte(); err != io.EOF {
		t.Errorf("behind the answer: %#x, %v, want EOF", b, err)
	}
}

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	broken, far := net.Pipe()
	far.Close()
	for _, tt := range []struct {
		name   string
		w      *hijackable
		change func(*http.Request)
		status int
	}{
		{"no upgrade", &hijackable{}, func(r *http.Request) { r.Header.Del("Upgrade") }, 400},
		{"no socket", &hijackable{err: errors.New("gone")}, func(*http.Request) {}, 500},
		{"peer that is gone", &hijackable{nc: broken}, func(*http.Request) {}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.w.ResponseRecorder = httptest.NewRecorder()
			r := upgrade(t)
			tt.change(r)
			c, err := ws.Accept(tt.w, r, "")
			if c != nil || err == nil {
				t.Errorf("Accept gave %v, %v, want an error", c, err)
			}
			if tt.w.Code != tt.status {
				t.Errorf("status %d, want %d", tt.w.Code, tt.status)
			}
			if tt.w.nc != nil {
				if _, err := tt.w.nc.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("write on the socket: %v, want it closed", err)
				}
			}
		})
	}
}

func TestRemoteAddr(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	if got, want := c.RemoteAddr().String(), cl.LocalAddr().String(); got != want {
		t.Errorf("remote address %s, want %s", got, want)
	}
}
