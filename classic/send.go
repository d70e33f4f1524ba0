package classic

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hubbub-go/hubbub"
)

// receive hands a message of the client to its hub. route is the way that the answer takes. It may wait while the hub has too
// much to do; the client then waits too. An error means that the message could not be read; then nobody answers it.
func (c *connection) receive(data []byte, route string) error {
	in, err := parseInvocation(data, c.ep.values)
	if err != nil {
		if in.id == nil {
			return err
		}
		c.answer(newCallID(route, in.hub, in.method, in.id), err)
		return nil
	}
	id := newCallID(route, in.hub, in.method, in.id)
	s := c.ep.find(in.hub)
	if s == nil {
		c.answer(id, errUnknownHub)
		return nil
	}
	if c.view(s) == nil && (c.isBarred(s) || !s.hub.Authorize(context.Background(), c.currentUser())) {
		c.answer(id, hubbub.ErrUnauthorized)
		return nil
	}
	return c.call(s, &hubbub.Invocation{
		ID: string(id), Target: in.method, Args: hubbub.RawArgs(in.args, c.ep.values), State: hubbub.NewState(in.state),
	}, len(data))
}

// isBarred reports whether the hub has refused the user of a later request.
func (c *connection) isBarred(s *service) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.barred[s]
}

// call hands an invocation to a hub. The calls of a connection are handed over one by one, so that they keep their order.
func (c *connection) call(s *service, in *hubbub.Invocation, size int) error {
	link := c.caller(s)
	if !link.Opened() { // a client that does not ask for a start all the same
		open := link.Open
		if c.returning.Load() {
			open = link.Reopen
		}
		go open() // the call waits for it
	}
	c.receiving.Lock()
	defer c.receiving.Unlock()
	return link.Receive(in, size)
}

// answer says to the client why its call was not made.
func (c *connection) answer(id callID, cause error) {
	p := c.ep.hubs[0].proto
	if _, _, hub, _ := id.parts(); c.ep.find(hub) != nil {
		p = c.ep.find(hub).proto
	}
	b, err := p.Append(nil, &hubbub.Completion{InvocationID: string(id), Error: cause.Error(), Cause: cause})
	if err == nil {
		_ = c.out.Push(b, hubbub.TypeCompletion) // it fails only if nobody is there to be answered
	}
}

// received hands a text of the client of a persistent connection to its hub.
func (c *connection) received(data []byte) error {
	text, err := c.ep.values.Append(nil, string(data))
	if err != nil {
		return err
	}
	return c.call(c.ep.raw, &hubbub.Invocation{
		Target: "OnReceived", Args: hubbub.RawArgs([][]byte{text}, c.ep.values),
	}, len(data))
}

// serveSend takes a message of the client. The answer to its call is the body.
func (x *exchange) serveSend() {
	if !x.body() {
		return
	}
	data, ok := x.form["data"]
	if !ok && x.t == LongPolling {
		data, ok = x.q["data"]
	}
	if !ok {
		x.refuse(http.StatusInternalServerError, "")
		return
	}
	c := x.open(x.old)
	if c == nil {
		return
	}
	number := c.serial.Add(1)
	answered := make(chan []byte, 1)
	c.mu.Lock()
	if len(c.posts) >= maximumPosts {
		c.mu.Unlock()
		x.refuse(http.StatusServiceUnavailable, fmt.Sprintf("The connection has %d messages waiting, the limit.", maximumPosts))
		return
	}
	if c.posts == nil {
		c.posts = make(map[uint64]chan []byte)
	}
	c.posts[number] = answered
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.posts, number)
		c.mu.Unlock()
	}()
	if x.e.raw != nil {
		if err := c.received([]byte(data)); err != nil {
			x.refuse(http.StatusInternalServerError, "")
			return
		}
		x.refuse(http.StatusOK, "")
		return
	}
	if err := c.receive([]byte(data), route('p', number, 0)); err != nil {
		x.e.logger().Debug("classic: message refused", "connection", c.id, "error", err)
		x.refuse(http.StatusInternalServerError, "")
		return
	}
	select {
	case b := <-answered:
		if x.t == ForeverFrame {
			b = escapeMarkup(nil, b)
		}
		x.json(b)
	case <-c.gone:
		x.refuse(http.StatusBadRequest, textGone)
	case <-x.r.Context().Done():
	}
}
