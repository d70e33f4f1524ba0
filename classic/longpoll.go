package classic

import (
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub/internal/sse"
)

// pollBytes is about how many bytes of messages one poll carries.
const pollBytes = 256 << 10

// servePoll answers with the next envelope, as soon as there is one. While there is none it writes a blank now and then.
func (x *exchange) servePoll(c *connection, connecting bool) {
	s := newEvents(c)
	o := &x.e.opts
	number, ok := c.attach(s, LongPolling, snapshot(x.r, LongPolling), x.field("messageid"), x.field("groupstoken"))
	if !ok {
		x.tooLate()
		return
	}
	defer c.detach(s)
	x.arrived(c)
	callback := x.q.get("callback")
	h := x.w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	if callback != "" {
		h.Set("Content-Type", "application/javascript; charset=UTF-8")
	}
	h.Set("Cache-Control", "no-cache, no-store")
	out := sse.NewWriter(x.w, x.e.sendTimeout)
	x.w.WriteHeader(http.StatusOK)
	if out.Flush() != nil {
		return
	}
	next := envelope{initial: connecting, max: pollBytes, delay: int(o.LongPollDelay / time.Millisecond)}
	timeout := time.NewTimer(o.ConnectionTimeout)
	defer timeout.Stop()
	var silence <-chan time.Time
	if o.KeepAlive > 0 && callback == "" {
		t := time.NewTicker(o.KeepAlive)
		defer t.Stop()
		silence = t.C
	}
	for {
		b, ok := c.appendNext(nil, s, number, &next, noFrame)
		if ok {
			_ = out.Send(wrap(callback, b))
			return
		}
		select {
		case <-s.wakeup:
		case <-silence:
			if out.Send([]byte{' '}) != nil {
				return
			}
		case <-timeout.C:
			next.empty = true
		case <-s.over:
			b, ok := c.appendNext(nil, s, number, &next, noFrame)
			if !ok {
				b = c.farewell(x.field("messageid"))
			}
			_ = out.Send(wrap(callback, b))
			return
		case <-x.r.Context().Done():
			return
		}
	}
}

// wrap makes JSON a call of the function that a script element has named, if it has.
func wrap(callback string, json []byte) []byte {
	if callback == "" {
		return json
	}
	return append(append([]byte(callback+"("), json...), ");"...)
}

// farewell is the last envelope of a poll that another has replaced, or whose connection has ended. It gives the client back the
// cursor that it came with: what the next poll has said meanwhile may not have come.
func (c *connection) farewell(cursor string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	number := c.log.next()
	if n, known, ok := parseCursor(cursor, c.epoch); known && ok {
		number = n
	}
	b := append(appendCursor([]byte(`{"C":"`), c.epoch, number), '"')
	if c.shutdown {
		b = append(b, `,"T":1`...)
	}
	return append(b, `,"M":[]}`...)
}
