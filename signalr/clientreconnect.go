package signalr

import (
	"context"
	"errors"
	"time"
)

// resume opens a new WebSocket for a stateful connection whose socket tr was cut. It tries until the server says no or would
// have given the connection up; .NET tries once.
func (c *clientConn) resume(tr *clientTransport) bool {
	(*tr).cut()
	ctx, cancel := context.WithTimeout(c.ctx, c.d.opts.StatefulReconnectTimeout)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		next, err := c.traced(c.dialWebSocket(ctx))
		if err == nil {
			c.replay.restart(&next, func(id int64) []byte {
				b, _ := c.d.proto.Append(nil, sequence{id}) // it has no values that could fail
				return b
			})
			c.tr.Store(&next)
			if c.ctx.Err() != nil { // cut meanwhile
				next.cut()
				return false
			}
			c.wake()
			return true
		}
		var refused *HTTPError
		if errors.As(err, &refused) {
			return false
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}
