package classic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub/internal/sse"
)

// clientStream is what one transport receives over. read is for one goroutine, cut for any.
type clientStream interface {
	// read waits for the next message.
	read() ([]byte, error)
	// cut ends the stream at once.
	cut()
}

// openStream opens a stream of the session's transport with connect or reconnect. It outlives ctx.
func (s *session) openStream(ctx context.Context, command string) (clientStream, error) {
	switch s.transport {
	case WebSockets:
		return s.openSocket(ctx, command)
	case ServerSentEvents:
		return s.openEvents(ctx, command)
	}
	return s.openPolls(ctx, command)
}

// resume is what a request carries to go on where the stream before has ended.
func (s *session) resume() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []string{"messageId", s.cursor, "groupsToken", s.groups}
}

// clientSocket is a WebSocket.
type clientSocket struct {
	conn  *websocket.Conn
	ctx   context.Context
	stop  context.CancelFunc
	out   chan outgoing
	wrote sync.WaitGroup
}

// outgoing is one message on its way to a WebSocket.
type outgoing struct {
	b    []byte
	done chan error
}

func (s *session) openSocket(ctx context.Context, command string) (clientStream, error) {
	opts := &websocket.DialOptions{HTTPClient: s.c.http, HTTPHeader: s.header(), CompressionMode: websocket.CompressionDisabled}
	conn, res, err := websocket.Dial(ctx, s.address(command, s.resume()...), opts)
	switch {
	case err != nil && res != nil && res.StatusCode != http.StatusSwitchingProtocols:
		return nil, httpError("webSockets", res)
	case err != nil:
		return nil, withoutAddress(err)
	}
	conn.SetReadLimit(int64(s.c.opts.MaximumReceiveMessageSize)) // negative is none
	w := &clientSocket{conn: conn, out: make(chan outgoing)}
	w.ctx, w.stop = context.WithCancel(s.ctx)
	w.wrote.Go(w.writeAll)
	return w, nil
}

func (w *clientSocket) read() ([]byte, error) {
	_, p, err := w.conn.Read(w.ctx)
	if err != nil {
		_ = w.conn.CloseNow()
		w.stop()
		w.wrote.Wait()
	}
	if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
		return nil, io.EOF
	}
	return p, err
}

// writeAll writes what is sent, message by message, so that nobody who stops waiting tears one in two.
func (w *clientSocket) writeAll() {
	for {
		select {
		case <-w.ctx.Done():
			return
		case o := <-w.out:
			o.done <- w.conn.Write(w.ctx, websocket.MessageText, o.b)
		}
	}
}

func (w *clientSocket) write(ctx context.Context, b []byte) error {
	o := outgoing{b, make(chan error, 1)}
	select {
	case w.out <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.ctx.Done():
		return errWaiting
	}
	select {
	case err := <-o.done:
		if err != nil && w.ctx.Err() != nil {
			return errWaiting
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *clientSocket) cut() {
	w.stop()
	_ = w.conn.CloseNow()
	w.wrote.Wait()
}

// clientEvents is an event stream.
type clientEvents struct {
	body   io.ReadCloser
	events *sse.Reader
	cancel context.CancelFunc
}

func (s *session) openEvents(ctx context.Context, command string) (clientStream, error) {
	life, cancel := context.WithCancel(s.ctx)
	unlink := context.AfterFunc(ctx, cancel)
	req, err := s.request(life, http.MethodGet, command, nil, s.resume()...)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := s.c.do(req)
	if !unlink() && err == nil {
		_ = res.Body.Close()
		err = ctx.Err()
	}
	if err == nil && res.StatusCode/100 != 2 {
		err = httpError("serverSentEvents", res)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &clientEvents{body: res.Body, events: sse.NewReader(res.Body, max(s.c.opts.MaximumReceiveMessageSize, 0)), cancel: cancel}, nil
}

func (e *clientEvents) read() ([]byte, error) {
	for {
		b, err := e.events.Next()
		if err != nil {
			return nil, err
		}
		if string(b) != "initialized" {
			return b, nil
		}
	}
}

func (e *clientEvents) cut() {
	e.cancel()
	_ = e.body.Close()
}

// clientPolls is a chain of polls.
type clientPolls struct {
	s      *session
	ctx    context.Context
	stop   context.CancelFunc
	answer chan pollAnswer // of the poll that is under way, nil if none is
}

type pollAnswer struct {
	body []byte
	err  error
}

// pollProof is how long a poll lives without an answer before it counts as a way back to the server.
const pollProof = 5 * time.Second

// openPolls begins with a request whose answer, with connect, is the first message. A reconnect counts as done when the server has
// sent headers, or after pollProof.
func (s *session) openPolls(ctx context.Context, command string) (clientStream, error) {
	p := &clientPolls{s: s}
	p.ctx, p.stop = context.WithCancel(s.ctx)
	taken := p.begin(command)
	if command == "connect" {
		return p, nil
	}
	timer := time.NewTimer(pollProof)
	defer timer.Stop()
	select {
	case <-taken:
	case <-timer.C:
	case a := <-p.answer:
		p.answer <- a
		if a.err != nil {
			p.stop()
			return nil, a.err
		}
	case <-ctx.Done():
		p.cut()
		<-p.answer
		return nil, ctx.Err()
	}
	return p, nil
}

// begin sends a request. taken is closed when the server has said that it takes it.
func (p *clientPolls) begin(command string) (taken chan struct{}) {
	taken = make(chan struct{})
	p.answer = make(chan pollAnswer, 1)
	go func(answer chan pollAnswer) {
		body, err := p.do(command, taken)
		answer <- pollAnswer{body, err}
	}(p.answer)
	return taken
}

func (p *clientPolls) do(command string, taken chan struct{}) ([]byte, error) {
	req, err := p.s.request(p.ctx, http.MethodPost, command, http.NoBody, p.s.resume()...)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := p.s.c.do(req)
	if err != nil {
		//lint:ignore ST1005 the sentence of the .NET client
		return nil, fmt.Errorf("Long polling request failed. %w", err)
	}
	if res.StatusCode/100 != 2 {
		//lint:ignore ST1005 the sentence of the .NET client
		return nil, fmt.Errorf("Long polling request failed. %w", httpError("longPolling", res))
	}
	close(taken)
	defer res.Body.Close()
	return readBounded(res.Body, p.s.c.opts.MaximumReceiveMessageSize)
}

// readBounded reads all of r; it fails beyond limit bytes, if that is positive.
func readBounded(r io.Reader, limit int) ([]byte, error) {
	if limit <= 0 {
		return io.ReadAll(r)
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("answer of more than %d bytes, the limit", limit)
	}
	return b, err
}

func (p *clientPolls) read() ([]byte, error) {
	if p.answer == nil {
		p.s.mu.Lock()
		delay := p.s.delay
		p.s.mu.Unlock()
		if delay > 0 {
			timer := time.NewTimer(delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-p.ctx.Done():
				return nil, p.ctx.Err()
			}
		}
		p.begin("poll")
	}
	a := <-p.answer
	p.answer = nil
	if a.err == nil && strings.TrimSpace(string(a.body)) == "" {
		a.err = errors.New("poll without an answer")
	}
	return a.body, a.err
}

func (p *clientPolls) cut() { p.stop() }
