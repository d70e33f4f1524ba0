package hubbub

import (
	"context"
	"errors"
	"fmt"
)

// Receive takes one message of the peer, size bytes long. Calls start in their order as permits are free and run beside the
// reading; a call that finds too many before it, or an item whose stream is full, makes Receive wait, and so the peer. An
// error means that the peer broke the protocol: the dialect ends the connection with it.
func (l *Link) Receive(m Message, size int) error {
	l.hub.count.received.Add(1)
	switch m := m.(type) {
	case *Invocation:
		return l.invocation(m, size)
	case *StreamItem:
		l.item(m)
	case *Completion:
		return l.completion(m)
	case *CancelInvocation:
		l.mu.Lock()
		c := l.active[m.InvocationID]
		l.mu.Unlock()
		if c != nil {
			c.abandon()
		}
	}
	return nil
}

// invocation queues a call.
func (l *Link) invocation(in *Invocation, size int) error {
	m := l.hub.find(in.Target)
	if m == nil {
		l.refuse(in, Describe(fmt.Sprintf(textInvoke, in.Target), errNoMethod, false), errNoMethod)
		return nil
	}
	in.method = m
	c := l.newCall(in, m, size)
	c.plain = !in.Stream && len(in.StreamIDs) == 0
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	if text := l.admit(c); text != "" {
		l.mu.Unlock()
		l.refuse(in, text, Classify("", nil, text))
		return nil
	}
	if len(l.pending) == 0 && l.may(c) {
		l.begin(c)
		l.mu.Unlock()
		l.hub.crew.start(c)
		return nil
	}
	l.wait(c)
	l.bytes += size
	l.pump()
	for len(l.pending) > 0 && (len(l.pending) >= l.hub.opts.MaximumPendingInvocations || l.bytes >= l.hub.opts.MaximumPendingBytes) {
		if l.space == nil {
			l.space = make(chan struct{})
		}
		space := l.space
		l.mu.Unlock()
		<-space
		l.mu.Lock()
	}
	l.mu.Unlock()
	return nil
}

// admit registers the ids of a call, or says why it must not run. It needs l.mu.
func (l *Link) admit(c *call) string {
	in := c.in
	if in.ID != "" && l.active[in.ID] != nil {
		return fmt.Sprintf(textInUse, in.ID)
	}
	refusal := func(err error) string { return Describe(fmt.Sprintf(textUnexpected, c.m.name), err, false) }
	if !c.plain && l.streams >= l.hub.opts.MaximumStreamsPerClient {
		return refusal(Errorf("The connection has %d calls with streams running, the limit.", l.streams))
	}
	if len(in.StreamIDs) > maximumUploads {
		return refusal(errStreamCount(len(in.StreamIDs), c.m.sig.uploads))
	}
	ids := in.StreamIDs
	if len(ids) != c.m.sig.uploads {
		ids = nil // refused in its turn, with the sentence that comes first; until then nobody keeps items for it
	}
	for _, id := range ids {
		if l.uploads[id] != nil {
			l.forget(c)
			return refusal(errStreamInUse(id))
		}
		u := newUpload(l.hub.opts.StreamBufferCapacity)
		if l.uploads == nil {
			l.uploads = make(map[string]*upload)
		}
		l.uploads[id] = u
		c.uploads = append(c.uploads, u)
	}
	if in.ID != "" {
		if l.active == nil {
			l.active = make(map[string]*call)
		}
		l.active[in.ID] = c
	}
	if !c.plain {
		l.streams++
		l.hub.count.streams.Add(1)
	}
	return ""
}

// forget ends the streams that a call was receiving. It needs l.mu.
func (l *Link) forget(c *call) {
	for i, u := range c.uploads {
		u.stop()
		delete(l.uploads, c.in.StreamIDs[i])
	}
}

// pump starts what may start, in order. It needs l.mu.
func (l *Link) pump() {
	for c := l.next(); c != nil; c = l.next() {
		l.hub.crew.start(c)
	}
}

// may reports whether a call may start now, were it the first of those that wait. It needs l.mu.
func (l *Link) may(c *call) bool {
	return l.ready && (!c.plain || l.running < l.hub.opts.MaximumParallelInvocationsPerClient)
}

// maximumWaiting is for how many calls a connection keeps room when none waits.
const maximumWaiting = 64

// wait puts a call behind those that wait for their turn. It needs l.mu.
func (l *Link) wait(c *call) {
	full := len(l.pending) == cap(l.pending)
	l.pending = append(l.pending, c)
	if !full {
		return
	}
	// A new array, which pending is the whole of. The old one still holds calls and must go.
	if l.waiting = l.pending[:0]; cap(l.pending) > maximumWaiting {
		l.waiting = nil
	}
}

// begin takes what a call holds while it runs. It needs l.mu.
func (l *Link) begin(c *call) {
	if c.plain {
		l.running++
	}
}

// next takes the first call off the queue if it may start now. It needs l.mu.
func (l *Link) next() *call {
	if len(l.pending) == 0 || !l.may(l.pending[0]) {
		return nil
	}
	c := l.pending[0]
	l.pending[0] = nil
	l.pending = l.pending[1:]
	l.bytes -= c.size
	if len(l.pending) == 0 {
		l.pending = l.waiting
	}
	l.begin(c)
	c.skipped = c.plain && c.canceled()
	l.wakeReceiver()
	return c
}

// wakeReceiver lets a Receive go on that waits for room. It needs l.mu.
func (l *Link) wakeReceiver() {
	if l.space != nil {
		close(l.space)
		l.space = nil
	}
}

// work runs a call and those behind it that its permit lets through.
func (l *Link) work(c *call) {
	for c != nil {
		queued := l.run(c)
		l.mu.Lock()
		c.finish()
		c = l.next()
		l.pump()
		l.mu.Unlock()
		switch {
		case !queued:
		case c == nil && l.flusher != nil:
			l.flusher.Flush()
		default:
			l.out.wake()
		}
	}
}

// run executes one call and answers it. queued tells that the answer is in the queue and that the transport has not been woken.
func (l *Link) run(c *call) (queued bool) {
	c.caller.user = l.user.Load() // it may have been replaced while the call waited
	if c.event != nil {
		c.event(c)
		c.close()
		return false
	}
	l.hub.count.invocations.Add(1)
	result, text, cause := l.execute(c)
	if text == "" && c.m.sig.streams {
		text = l.stream(c, result.(seqResult))
		result = nil
	}
	l.mu.Lock()
	if c.in.ID != "" {
		delete(l.active, c.in.ID)
	}
	l.forget(c)
	l.mu.Unlock()
	c.close()
	if text != "" {
		l.refuse(c.in, text, cause)
		return false
	}
	if c.in.ID == "" {
		return false
	}
	done := &c.answer
	done.InvocationID, done.Call = c.in.ID, c.in
	if !c.m.sig.streams {
		done.HasResult, done.Result = true, ValueOf(result)
	}
	b, err := l.encode(done)
	if err != nil {
		l.failed(c, err)
		l.refuse(c.in, Describe(fmt.Sprintf(textUnexpected, c.m.name), err, l.hub.opts.EnableDetailedErrors), err)
		return false
	}
	return l.enqueue(l.ctx, b, TypeCompletion) == nil // it fails only if nobody is there to be answered
}

// execute binds, authorises and runs the method. text is the error for the client, "" if there is none, and cause what is behind it.
func (l *Link) execute(c *call) (result any, text string, cause error) {
	in, m, details := c.in, c.m, l.hub.opts.EnableDetailedErrors
	if err := l.bind(c); err != nil {
		return nil, Describe(fmt.Sprintf(textInvoke, m.name), err, details), err
	}
	allowed, err := l.authorize(c)
	switch {
	case err != nil:
		l.failed(c, err)
		return nil, Describe(fmt.Sprintf(textUnexpected, m.name), err, details), err
	case !allowed:
		return nil, fmt.Sprintf(textUnauthorized, m.name), ErrUnauthorized
	case in.Stream && !m.sig.streams:
		return nil, fmt.Sprintf(textNotStreaming, m.name), errKind
	case !in.Stream && m.sig.streams:
		return nil, fmt.Sprintf(textStreaming, m.name), errKind
	case m.sig.args >= 0 && len(in.StreamIDs) != m.sig.uploads:
		err = errStreamCount(len(in.StreamIDs), m.sig.uploads)
		return nil, Describe(fmt.Sprintf(textUnexpected, m.name), err, details), err
	}
	// A call that has begun is made even if it is cancelled by now: whoever cleans up in the method waits for that.
	err = errCanceled
	if !c.skipped {
		result, err = l.invokeMethod(c)
	}
	if err != nil {
		if c.canceled() && errors.Is(err, context.Canceled) {
			err = errCanceled
		}
		if m.sig.streams && err == error(errCanceled) {
			return Seq[any](func(func(any, error) bool) {}), "", nil
		}
		l.failed(c, err)
		return nil, Describe(fmt.Sprintf(textUnexpected, m.name), err, details), err
	}
	if m.sig.streams {
		if s, ok := result.(seqResult); !ok || s.empty() {
			return nil, fmt.Sprintf(textNoStream, m.name), errKind
		}
	}
	return result, "", nil
}

// bind decodes the arguments of a call for its method.
func (l *Link) bind(c *call) error {
	in, sig := c.in, c.m.sig
	if err := in.Args.Err(); err != nil {
		return err
	}
	if sig.args >= 0 && in.Args.Len() != sig.args {
		return errArgCount(in.Args.Len(), sig.args)
	}
	uploads := c.uploads
	for len(uploads) < sig.uploads {
		uploads = append(uploads, nil) // refused later, with the sentence of the stream count
	}
	b, err := l.decode(c, uploads)
	if err != nil {
		l.hub.opts.Logger.Debug("argument does not bind", "hub", l.hub.name, "method", c.m.name, "connection", l.id, "error", err)
		return errBinding(err)
	}
	in.bound = b
	return nil
}

func (l *Link) decode(c *call, uploads []*upload) (b bound, err error) {
	defer l.hub.recovered(&err)
	return c.m.bind(c.in, uploads)
}

// authorize asks the rules of the method.
func (l *Link) authorize(c *call) (allowed bool, err error) {
	defer l.hub.recovered(&err)
	for _, rule := range c.m.rules {
		if !rule(c, c.caller.user, c.in) {
			return false, nil
		}
	}
	return true, nil
}

func (l *Link) invokeMethod(c *call) (result any, err error) {
	defer l.hub.recovered(&err)
	return l.hub.handler()(c, c.in)
}

// handler is the filter chain, built at the first call.
func (h *Hub) handler() HandlerFunc {
	h.chainOnce.Do(func() { h.chained = h.chain() })
	return h.chained
}

func (l *Link) failed(c *call, err error) {
	if e, ok := errors.AsType[*Error](err); ok && !e.private {
		l.hub.opts.Logger.Debug("call refused", "hub", l.hub.name, "method", c.m.name, "connection", l.id, "error", err)
		return
	}
	if c.canceled() {
		return
	}
	l.hub.opts.Logger.Error("call failed", "hub", l.hub.name, "method", c.m.name, "connection", l.id, "error", err)
}

// refuse answers a call with an error, or only counts it if no answer is wanted. cause is for dialects with sentences of their own.
func (l *Link) refuse(in *Invocation, text string, cause error) {
	l.hub.count.failed.Add(1)
	if in.ID == "" {
		l.hub.opts.Logger.Debug("send failed", "hub", l.hub.name, "target", in.Target, "connection", l.id, "error", text)
		return
	}
	if b, err := l.encode(&Completion{InvocationID: in.ID, Error: text, Call: in, Cause: cause}); err == nil {
		_ = l.push(l.ctx, b, TypeCompletion)
	}
}

// push sends an encoded message to this connection, waiting for room in its queue. A peer that does not make room is given up.
// It fails if the connection is gone or ctx has ended.
func (l *Link) push(ctx context.Context, b []byte, t MessageType) error {
	err := l.enqueue(ctx, b, t)
	if err == nil {
		l.out.wake()
	}
	return err
}

// enqueue is push for a caller who wakes the transport himself.
func (l *Link) enqueue(ctx context.Context, b []byte, t MessageType) error {
	err := l.out.pushWait(ctx, b, t, l.hub.opts.SendTimeout)
	switch {
	case err == nil:
		l.hub.count.sent.Add(1)
	case errors.Is(err, ErrSlow):
		l.conn.Close(nil, ErrSlow)
	}
	return err
}
