package signalr

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// resume opens a new WebSocket for a stateful connection whose socket tr was cut by lost. It tries until the server says no or
// would have given the connection up; .NET tries once. The error is why the connection is lost.
func (c *clientConn) resume(tr *clientTransport, lost error) error {
	(*tr).cut()
	again := !c.lostAt.IsZero() // the socket before has brought nothing
	if !again {
		c.lostAt = time.Now()
	}
	ctx, cancel := context.WithDeadline(c.ctx, c.lostAt.Add(c.d.opts.StatefulReconnectTimeout))
	defer cancel()
	failed := errors.New("nothing came over the sockets since")
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if again && !pause(ctx, wait) {
			return fmt.Errorf("%w; not resumed within %v: %w", lost, c.d.opts.StatefulReconnectTimeout, failed)
		}
		again = true
		next, err := c.traced(c.dialAgain(ctx))
		if err == nil {
			c.replay.restart(&next, func(id int64) []byte {
				b, _ := c.d.proto.Append(nil, sequence{id}) // it has no values that could fail
				return b
			})
			c.tr.Store(&next)
			if c.ctx.Err() != nil { // cut meanwhile
				next.cut()
				return lost
			}
			c.wake()
			return nil
		}
		var refused *HTTPError
		if errors.As(err, &refused) && refused.Status < 500 { // what stands before the server says 502 while it is not there
			return fmt.Errorf("%w; not resumed: %w", lost, err)
		}
		failed = err
	}
}

// pause waits, and reports false if ctx ends first.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// dialAgain is one attempt. It leaves time for others, should the network swallow it.
func (c *clientConn) dialAgain(ctx context.Context) (clientTransport, error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.d.opts.StatefulReconnectTimeout/4, time.Second))
	defer cancel()
	return c.dialWebSocket(ctx)
}
