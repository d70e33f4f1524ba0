package ws_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// hijackable is a ResponseWriter whose socket is any net.Conn.
type hijackable struct {
	*httptest.ResponseRecorder
	nc  net.Conn
	err error
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.err != nil {
		return nil, nil, h.err
	}
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

func upgrade(t testing.TB) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgradeRequest)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// acceptOn gives the server's end of a WebSocket connection on nc.
func acceptOn(t testing.TB, nc net.Conn) *ws.Conn {
	t.Helper()
	c, err := ws.Accept(&hijackable{ResponseRecorder: httptest.NewRecorder(), nc: nc}, upgrade(t), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pipe gives both ends of a connection that has no descriptor; the answer is read already.
func pipe(t testing.TB) (*ws.Conn, *client) {
	t.Helper()
	near, far := net.Pipe()
	answered := make(chan error, 1)
	cl := &client{Conn: far, br: bufio.NewReader(far)}
	go func() {
		res, err := http.ReadResponse(cl.br, nil)
		if err == nil && res.StatusCode != http.StatusSwitchingProtocols {
			err = errors.New(res.Status)
		}
		answered <- err
	}()
	c := acceptOn(t, near)
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	return c, cl
}
