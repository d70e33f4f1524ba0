package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub/signalr"
)

// probe is what one check asks a server with.
type probe struct {
	*session
	ctx   context.Context
	http  *http.Client
	after []func()
}

func (p *probe) end() {
	for i := len(p.after) - 1; i >= 0; i-- {
		p.after[i]()
	}
	p.http.CloseIdleConnections()
}

// hub is the address of a path of the server.
func (p *probe) hub(path string) string {
	path, query, _ := strings.Cut(path, "?")
	u := *p.url
	u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(u.Path, "/")+path, "", query
	return u.String()
}

// response of a raw request.
type response struct {
	status int
	header http.Header
	body   string
}

// do sends a raw request to a path of the server; header has pairs of name and value.
func (p *probe) do(method, path, body string, header ...string) (response, error) {
	res, err := p.start(method, path, body, header...)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, string(b)}, err
}

// start is do for an answer that does not end.
func (p *probe) start(method, path, body string, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(p.ctx, method, p.hub(path), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := p.http.Do(req)
	return res, cause(p.ctx, err)
}

// want compares an answer: its status, the media type ("" is not looked at), and the body.
func (r response) want(status int, mediaType, body string) error {
	got, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if r.status != status || mediaType != "" && got != mediaType || r.body != body {
		return fmt.Errorf("status %d, type %q, body %q, want %d, %q, %q", r.status, got, shorten(r.body, 200), status, mediaType, body)
	}
	return nil
}

// token negotiates at a hub and returns the connection's secret, escaped for a query.
func (p *probe) token(path string) (string, error) {
	o, err := p.offered(path, "negotiateVersion=1")
	if err != nil {
		return "", err
	}
	return url.QueryEscape(o.ConnectionToken), nil
}

// offered negotiates at a hub with a query.
func (p *probe) offered(path, query string) (*offer, error) {
	r, err := p.do(http.MethodPost, path+"/negotiate?"+query, "")
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusOK {
		return nil, fmt.Errorf("negotiate: status %d, want 200", r.status)
	}
	o := &offer{}
	if err := json.Unmarshal([]byte(r.body), o); err != nil {
		return nil, fmt.Errorf("negotiate: %q: %w", shorten(r.body, 200), err)
	}
	return o, nil
}

// wire is a raw WebSocket to a hub.
type wire struct {
	p    *probe
	conn *websocket.Conn
	typ  websocket.MessageType // of the last message
	rest []byte
}

// dial opens a WebSocket with an id that was negotiated, or without one.
func (p *probe) dial(path, id string) (*wire, error) {
	if id != "" {
		path += "?id=" + id
	}
	conn, res, err := websocket.Dial(p.ctx, p.hub(path), &websocket.DialOptions{HTTPClient: p.http, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		if res != nil {
			return nil, fmt.Errorf("WebSocket: status %d, want 101", res.StatusCode)
		}
		return nil, err
	}
	conn.SetReadLimit(1 << 24)
	p.after = append(p.after, func() { _ = conn.CloseNow() })
	return &wire{p: p, conn: conn}, nil
}

// connect opens a WebSocket to a hub and finishes the handshake.
func (p *probe) connect(path string) (*wire, error) {
	id, err := p.token(path)
	if err != nil {
		return nil, err
	}
	w, err := p.dial(path, id)
	if err != nil {
		return nil, err
	}
	return w, w.talk([]string{`{"protocol":"json","version":1}`}, `{}`)
}

// say sends records in one message.
func (w *wire) say(records ...string) error {
	text := ""
	for _, r := range records {
		text += r + "\x1e"
	}
	return w.conn.Write(w.p.ctx, websocket.MessageText, []byte(text))
}

// next returns the next record that is no ping.
func (w *wire) next() (string, error) {
	for {
		if i := bytes.IndexByte(w.rest, recordSeparator); i >= 0 {
			record := string(w.rest[:i])
			w.rest = w.rest[i+1:]
			if record == `{"type":6}` {
				continue
			}
			return record, nil
		}
		typ, b, err := w.conn.Read(w.p.ctx)
		if err != nil {
			return "", fmt.Errorf("read, after %q: %w", w.rest, err)
		}
		w.typ = typ
		w.rest = append(w.rest, b...)
	}
}

// hear compares what comes next with records, member by member.
func (w *wire) hear(records ...string) error {
	for _, want := range records {
		got, err := w.next()
		if err != nil {
			return fmt.Errorf("want %s: %w", want, err)
		}
		if err := same(got, want); err != nil {
			return err
		}
	}
	return nil
}

// talk says records and compares what comes.
func (w *wire) talk(say []string, hear ...string) error {
	if err := w.say(say...); err != nil {
		return err
	}
	return w.hear(hear...)
}

// closed wants the server to close the WebSocket with that status next.
func (w *wire) closed(status websocket.StatusCode) error {
	got, err := w.next()
	if err == nil {
		return fmt.Errorf("got %s, want the WebSocket to be closed", got)
	}
	if code := websocket.CloseStatus(err); code != status {
		return fmt.Errorf("closed with %v (%w), want %v", code, err, status)
	}
	return nil
}

// same compares two JSON values, whatever their order and escapes. In want "…" at the end of a text stands for any rest.
func same(got, want string) error {
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return fmt.Errorf("got %q, want %s: %w", shorten(got, 300), want, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return err
	}
	if !equal(g, w) {
		return fmt.Errorf("got %s, want %s", shorten(got, 400), want)
	}
	return nil
}

func equal(got, want any) bool {
	switch w := want.(type) {
	case string:
		if start, any := strings.CutSuffix(w, "…"); any {
			g, ok := got.(string)
			return ok && strings.HasPrefix(g, start)
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k, v := range w {
			if other, ok := g[k]; !ok || !equal(other, v) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

// client connects a client of the library to a path of the server. It is closed behind the check.
func (p *probe) client(path string, t signalr.Transport, protocol string, setup func(c *signalr.Client, o *signalr.ClientOptions)) (*signalr.Client, error) {
	o := &signalr.ClientOptions{Transports: t, Protocol: protocol, HTTPClient: p.http}
	o.Logger = p.opts.Logger
	if setup != nil {
		setup(nil, o)
	}
	c := signalr.NewClient(p.hub(path), o)
	if setup != nil {
		setup(c, o)
	}
	if err := c.Start(p.ctx); err != nil {
		return nil, err
	}
	p.after = append(p.after, func() { _ = c.Close() })
	return c, nil
}

// all runs checks of a table and joins what is wrong.
func all(errs ...error) error { return errors.Join(errs...) }
