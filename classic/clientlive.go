package classic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/hubbub-go/hubbub"
)

const retryDelay = 2 * time.Second // of the .NET client

// live reads the streams of a session until it is over.
func (s *session) live(stream clientStream, first []received) {
	defer close(s.done)
	var err error
	for _, r := range first {
		if err = s.take(r, nil); err != nil {
			break
		}
	}
	for err == nil {
		var lost error
		lost, err = s.follow(stream)
		stream.cut()
		if err == nil && !s.leave() {
			err = io.EOF
		}
		if err == nil {
			stream, err = s.comeBack(lost)
		}
	}
	if stream := s.finish(err); stream != nil {
		stream.cut()
	}
	s.fail(s.end())
	s.told.Wait()
	s.c.rest()
}

// end is what calls fail with that wait when the session is over.
func (s *session) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing && !errors.Is(s.err, hubbub.ErrSlow) {
		return hubbub.ErrClosed
	}
	return fmt.Errorf("%w: %w", hubbub.ErrConnectionLost, s.err)
}

// hook runs code of the user that must not take the client with it.
func (s *session) hook(name string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.c.opts.Logger.Error("panic in a hook", "hook", name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// reconnected runs OnReconnected beside the reading, as it may call the server.
func (s *session) reconnected() {
	if f := s.c.opts.OnReconnected; f != nil {
		s.told.Go(func() { s.hook("OnReconnected", func() { f(s.ID()) }) })
	}
}

// leave takes the lost stream away, and reports whether another is wanted.
func (s *session) leave() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream = nil
	return !s.closing
}

// finish marks the session as over.
func (s *session) finish(err error) clientStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.over = true
	s.cancel()
	stream := s.stream
	s.stream = nil
	s.more.Broadcast()
	return stream
}

// follow reads one stream until it is lost, or until the server ends the connection (err).
func (s *session) follow(stream clientStream) (lost, err error) {
	w := newWatch(s, stream)
	defer w.stop()
	for {
		r, lost := s.next(stream)
		if lost != nil {
			return w.reason(lost), nil
		}
		if err := s.take(r, w); err != nil {
			return nil, err
		}
		if r.restart && s.transport == LongPolling {
			return errRestart, nil
		}
	}
}

var errRestart = fmt.Errorf("the server asks to reconnect: %w", io.EOF)

// take does what a message of the server says. Its cursor counts only when all its elements are queued.
func (s *session) take(r received, w *watch) error {
	w.pause()
	defer w.resume()
	if r.answer != nil {
		s.mu.Lock()
		call := s.calls[r.answer.id]
		delete(s.calls, r.answer.id)
		s.mu.Unlock()
		if call != nil {
			call.answer <- r.answer
		}
		return nil
	}
	for _, raw := range r.elements {
		s.element(raw)
	}
	s.remember(r)
	switch {
	case r.fatal != "":
		return &ServerError{r.fatal}
	case r.disconnect:
		return &hubbub.CloseError{}
	}
	return nil
}

// element queues one element of an envelope for its handlers.
func (s *session) element(raw []byte) {
	e, err := parseElement(raw)
	if err != nil {
		s.complain("element of the server cannot be read", err)
		return
	}
	if e != nil && e.P != nil {
		if id := idText(e.P.I); id != nil {
			s.mu.Lock()
			call := s.calls[*id]
			s.mu.Unlock()
			if call != nil {
				call.tell(hubbub.RawValue(e.P.D, s.c.values), s.c.opts.Logger)
			}
		}
		return
	}
	if s.raw {
		s.push(&hubbub.Invocation{Target: rawTarget, Args: hubbub.RawArgs([][]byte{raw}, s.c.values)})
	}
	if e == nil {
		return
	}
	if p := s.c.proxy(e.H); p != nil {
		p.state.merge(e.S)
		args := make([][]byte, len(e.A))
		for i, a := range e.A {
			args[i] = a
		}
		s.push(&hubbub.Invocation{Target: targetOf(e.H, e.M), Args: hubbub.RawArgs(args, s.c.values)})
	}
}

// comeBack opens a new stream after one was lost, for as long as the server remembers the client.
func (s *session) comeBack(lost error) (clientStream, error) {
	if s.transport == WebSockets {
		s.fail(errLost)
	}
	s.told.Wait()
	if f := s.c.opts.OnReconnecting; f != nil {
		reason := lost
		if lost == io.EOF || lost == errRestart { // the server has ended the stream as it should
			reason = nil
		}
		s.hook("OnReconnecting", func() { f(reason) })
	}
	began := time.Now()
	window := fromSeconds(s.agreed().DisconnectTimeout)
	ctx, cancel := context.WithDeadline(s.ctx, began.Add(window))
	defer cancel()
	last := lost
	for attempt := 0; ; attempt++ {
		wait, again := s.retry(hubbub.Retry{Attempt: attempt, Elapsed: time.Since(began), Reason: last})
		if !again {
			return nil, fmt.Errorf("reconnect: given up after %d failed attempts: %w", attempt, last)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		var stream clientStream
		err := ctx.Err()
		if err == nil {
			stream, err = s.reopen(ctx)
		}
		switch {
		case err == nil && s.adopt(stream):
			s.reconnected()
			return stream, nil
		case err == nil:
			stream.cut()
			return nil, io.EOF
		case s.ctx.Err() != nil:
			return nil, io.EOF
		case ctx.Err() != nil:
			return nil, &ReconnectTimeoutError{Timeout: window, Last: last}
		}
		last = err
		s.complain("reconnect failed", err)
	}
}

// adopt makes stream the one of the session, unless that is being closed.
func (s *session) adopt(stream clientStream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.stream = stream
	return true
}

// reopen makes one attempt.
func (s *session) reopen(ctx context.Context) (clientStream, error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	return s.openStream(ctx, "reconnect")
}

// retry says how long to wait before an attempt to come back.
func (s *session) retry(r hubbub.Retry) (wait time.Duration, again bool) {
	switch {
	case s.c.opts.Reconnect != nil:
		return s.c.opts.Reconnect(r)
	case r.Attempt == 0 && s.transport == WebSockets:
		return 0, true
	}
	return retryDelay, true
}
