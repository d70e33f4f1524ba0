package classic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// session is one connection of a client, from negotiate to abort, over as many streams as it takes. It is the hubbub.ClientConn
// whose calls the client's handlers get.
type session struct {
	c         *Client
	data      string // the hubs
	raw       bool   // somebody wants everything
	transport Transport
	ctx       context.Context // ends with the session
	cancel    context.CancelFunc
	done      chan struct{}  // closed when live is over
	told      sync.WaitGroup // OnReconnected while it runs

	mu        sync.Mutex
	more      *sync.Cond // something has changed
	agreement *agreement
	bearer    string
	cursor    string
	groups    string
	delay     time.Duration // before a poll
	stream    clientStream  // nil while there is none
	queue     []*hubbub.Invocation
	calls     map[string]*clientCall
	closing   bool  // Close was called
	err       error // why it is over
	over      bool
}

// dialer connects a client.
type dialer struct{ c *Client }

// Dial implements hubbub.Dialer.
func (d dialer) Dial(ctx context.Context) (hubbub.ClientConn, error) {
	if d.c.err != nil {
		return nil, d.c.err
	}
	s := &session{c: d.c, calls: make(map[string]*clientCall), done: make(chan struct{})}
	s.more = sync.NewCond(&s.mu)
	s.data, s.raw = d.c.connectionData()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.dial(ctx); err != nil {
		s.cancel()
		d.c.rest()
		return nil, err
	}
	d.c.mu.Lock()
	d.c.session = s
	d.c.mu.Unlock()
	return s, nil
}

func (s *session) dial(ctx context.Context) error {
	if err := s.authorize(ctx); err != nil {
		return err
	}
	a, err := s.c.negotiate(ctx, s)
	if err != nil {
		return err
	}
	s.agree(a)
	failed := &TransportsError{}
	for _, t := range []Transport{WebSockets, ServerSentEvents, LongPolling} {
		if s.c.opts.Transports&t == 0 || t == WebSockets && !a.TryWebSockets {
			continue
		}
		s.transport = t
		first, stream, err := s.connect(ctx)
		if err == nil {
			return s.begin(ctx, first, stream)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed.Failed = append(failed.Failed, TransportError{t, err})
	}
	if len(failed.Failed) == 0 {
		return errors.New("the server offers none of the transports that are allowed")
	}
	return failed
}

// connect opens a stream over the transport and waits until the server says that it is open.
func (s *session) connect(ctx context.Context) (first []received, stream clientStream, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fromSeconds(s.agreed().TransportConnectTimeout)+s.c.opts.TransportConnectTimeout, errNoInit)
	defer cancel()
	stream, err = s.openStream(ctx, "connect")
	if err != nil {
		if context.Cause(ctx) == errNoInit {
			err = errNoInit
		}
		return nil, nil, err
	}
	unlink := context.AfterFunc(ctx, stream.cut)
	for {
		var r received
		if r, err = s.next(stream); err != nil {
			break
		}
		if r.fatal != "" {
			err = &ServerError{r.fatal}
			break
		}
		s.remember(r)
		first = append(first, r)
		if r.initial {
			break
		}
	}
	if !unlink() && err == nil {
		err = errNoInit
	}
	if err != nil {
		stream.cut()
		s.remember(received{cursor: "", groups: new(string)})
		s.mu.Lock()
		s.cursor = ""
		s.mu.Unlock()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, nil, err
	}
	return first, stream, nil
}

// begin makes stream the one of the session and tells the server to start, while what it sends already is read and kept.
func (s *session) begin(ctx context.Context, first []received, stream clientStream) error {
	s.mu.Lock()
	s.stream = stream
	s.mu.Unlock()
	go s.live(stream, first)
	if !s.agreed().needsStart() {
		return nil
	}
	err := s.start(ctx)
	if err == nil {
		return nil
	}
	if _, refused := errors.AsType[*StartError](err); refused {
		_ = s.Close() // the failure is told
	} else {
		s.Cut(err)
	}
	<-s.done
	return err
}

// start sends the request in which the server runs OnConnected.
func (s *session) start(ctx context.Context) error {
	req, err := s.request(ctx, http.MethodGet, "start", nil)
	if err != nil {
		return &StartError{Err: err}
	}
	res, err := s.c.do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &StartError{Err: err}
	}
	if res.StatusCode/100 != 2 {
		return &StartError{Err: httpError("start", res)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil {
		return &StartError{Err: err}
	}
	var word struct{ Response string }
	if json.Unmarshal(body, &word) != nil || !strings.EqualFold(word.Response, "started") {
		return &StartError{Answer: string(body)}
	}
	return nil
}

// next reads one message. What cannot be read is skipped over a stream that lives.
func (s *session) next(stream clientStream) (received, error) {
	for {
		b, err := stream.read()
		if err != nil {
			return received{}, err
		}
		s.trace(false, b)
		r, err := parseReceived(b, s.c.values)
		if err == nil {
			return r, nil
		}
		s.complain("message of the server cannot be read", err)
	}
}

// trace tells of a message.
func (s *session) trace(sent bool, p []byte) {
	if f := s.c.opts.Trace; f != nil {
		f(sent, s.transport, p)
	}
}

// remember keeps what a reconnect or a poll needs.
func (s *session) remember(r received) {
	if r.answer != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.cursor != "" {
		s.cursor = r.cursor
	}
	if r.groups != nil {
		s.groups = *r.groups
	}
	s.delay = r.delay
}

func (s *session) agree(a *agreement) {
	s.mu.Lock()
	s.agreement = a
	s.mu.Unlock()
}

func (s *session) agreed() *agreement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agreement
}

// away reports whether there is no stream at the moment.
func (s *session) away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream == nil && !s.over
}

// complain tells what went wrong without an end of the connection.
func (s *session) complain(what string, err error) {
	s.c.opts.Logger.Warn(what, "error", err)
	if f := s.c.opts.OnError; f != nil {
		s.hook("OnError", func() { f(fmt.Errorf("classic: %s: %w", what, err)) })
	}
}

// ID implements hubbub.ClientConn.
func (s *session) ID() string { return s.agreed().ConnectionID }

// Protocol implements hubbub.ClientConn.
func (s *session) Protocol() hubbub.Protocol { return &protocol{values: s.c.values} }

// Write implements hubbub.ClientConn: handlers of classic clients cannot answer.
func (s *session) Write(context.Context, hubbub.Message) error { return errResults }

// Read implements hubbub.ClientConn.
func (s *session) Read() (hubbub.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 || s.closing {
		if s.over {
			return nil, s.err
		}
		s.more.Wait()
	}
	in := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.more.Broadcast()
	return in, nil
}

// push queues a call of the server. While too many wait it waits too, and with it all reading, unless a call of this client
// waits for its answer, which comes behind: then the connection ends when far too many wait.
func (s *session) push(in *hubbub.Invocation) {
	s.mu.Lock()
	most := s.c.opts.MaximumPendingInvocations
	for len(s.queue) >= most && !s.closing && !s.over && len(s.calls) == 0 {
		s.more.Wait()
	}
	n, ends := len(s.queue), s.closing || s.over
	if !ends && n < queueRoom*most {
		s.queue = append(s.queue, in)
		s.more.Broadcast()
	}
	s.mu.Unlock()
	if !ends && n >= queueRoom*most {
		s.Cut(fmt.Errorf("%d calls of the server wait for handlers: %w", n, hubbub.ErrSlow))
	}
}

// queueRoom is how many times MaximumPendingInvocations may wait while a call waits for its answer.
const queueRoom = 64

// open registers a call that waits for its answer.
func (s *session) open(id string, call *clientCall) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over || s.closing:
		return hubbub.ErrClosed
	case s.stream == nil && s.transport == WebSockets:
		return errWaiting
	}
	s.calls[id] = call
	s.more.Broadcast()
	return nil
}

// forget drops a call; what still comes for it is ignored.
func (s *session) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, id)
}

// fail ends all calls that wait.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, call := range s.calls {
		delete(s.calls, id)
		call.err = err
		call.answer <- nil
	}
}

// Wait waits until nothing of the session runs any more.
func (s *session) Wait() { <-s.done }

// Close implements hubbub.ClientConn: it tells the server and waits for it to end the stream.
func (s *session) Close() error {
	s.mu.Lock()
	already := s.closing
	s.closing = true
	over := s.over
	s.more.Broadcast()
	s.mu.Unlock()
	if already || over {
		<-s.done
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.c.opts.CloseTimeout)
	defer cancel()
	err := s.abort(ctx)
	if err == nil && !s.away() {
		select {
		case <-s.done:
		case <-ctx.Done():
		}
	}
	s.Cut(hubbub.ErrClosed)
	<-s.done
	return err
}

// abort tells the server that the client does not come back.
func (s *session) abort(ctx context.Context) error {
	req, err := s.request(ctx, http.MethodPost, "abort", nil)
	if err != nil {
		return fmt.Errorf("abort: %w", err)
	}
	res, err := s.c.do(req)
	if err != nil {
		return fmt.Errorf("abort: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return httpError("abort", res)
	}
	return res.Body.Close()
}

// Cut implements hubbub.ClientConn.
func (s *session) Cut(reason error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = reason
	}
	s.closing = true
	stream := s.stream
	s.more.Broadcast()
	s.mu.Unlock()
	s.cancel()
	if stream != nil {
		stream.cut()
	}
}

func loggerOf(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}
