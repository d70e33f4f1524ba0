package rawclient

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

type webSocket struct {
	conn   *websocket.Conn
	net    *netConn
	binary bool
	read   chan struct{} // closed when the reader has ended
	once   sync.Once
}

// netConn remembers the socket that was dialled.
type netConn struct {
	mu sync.Mutex
	c  net.Conn
}

func (n *netConn) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	n.mu.Lock()
	n.c = c
	n.mu.Unlock()
	return c, err
}

// dial opens a WebSocket.
func (c *Conn) dial() (link, error) {
	ctx, stop := context.WithTimeout(context.Background(), Patience)
	defer stop()
	w := &webSocket{net: &netConn{}, binary: c.opts.Binary || c.opts.Protocol == "messagepack", read: make(chan struct{})}
	own := &http.Client{Transport: &http.Transport{DialContext: w.net.dial, DisableKeepAlives: true}}
	conn, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.URL(), "http"), &websocket.DialOptions{
		HTTPClient: own, HTTPHeader: c.opts.Header, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if res == nil {
			return nil, err
		}
		body, _ := io.ReadAll(res.Body)
		return nil, &Refused{Answer{res.StatusCode, res.Header, string(body)}}
	}
	w.conn = conn
	conn.SetReadLimit(-1)
	go w.run(c.in)
	return w, nil
}

func (w *webSocket) run(in *inbox) {
	defer close(w.read)
	for {
		kind, p, err := w.conn.Read(context.Background())
		if err != nil {
			code := int(websocket.CloseStatus(err))
			if code < 0 {
				code = 1006
			}
			in.finish(End{Code: code, Err: err})
			w.conn.CloseNow()
			return
		}
		in.chunk(p, kind == websocket.MessageBinary)
	}
}

func (w *webSocket) send(ctx context.Context, p []byte) error {
	kind := websocket.MessageText
	// The handshake is text; a client may send it in either kind of frame.
	if w.binary && (len(p) == 0 || p[0] != '{') {
		kind = websocket.MessageBinary
	}
	return w.conn.Write(ctx, kind, p)
}

func (w *webSocket) close() {
	w.once.Do(func() { w.conn.Close(websocket.StatusNormalClosure, "") })
	<-w.read
}

func (w *webSocket) drop(reset bool) {
	w.once.Do(func() {
		w.net.mu.Lock()
		if tcp, ok := w.net.c.(*net.TCPConn); ok && reset {
			tcp.SetLinger(0)
			tcp.Close()
		}
		w.net.mu.Unlock()
		w.conn.CloseNow()
	})
	<-w.read
}
