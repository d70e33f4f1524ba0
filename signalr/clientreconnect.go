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
	ctx, cancel := context.WithTimeout(c.ctx, c.d.opts.StatefulReconnectTimeout)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
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
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w; not resumed: %w", lost, err)
		}
	}
}

// dialAgain is one attempt. It leaves time for others, should the network swallow it.
func (c *clientConn) dialAgain(ctx context.Context) (clientTransport, error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.d.opts.StatefulReconnectTimeout/4, time.Second))
	defer cancel()
	return c.dialWebSocket(ctx)
}
