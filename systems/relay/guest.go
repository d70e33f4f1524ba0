package relay

import (
	"context"
	"strconv"
	"time"
)

// guest is a connection of a listener whose events are retained.
type guest struct {
	k          *keeper
	id         string
	user, name string
	conn       *conn
	ids        bool  // it says itself how far it is, and wants the ids of events
	after      int64 // number of the last event it has got

	woken  chan struct{}
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing is sent any more
}

// What is sent to a listener that has missed much: so many events at a time, and after so many bytes a pause, so that the queue of
// the connection has room.
const (
	guestBatch = 128
	guestBytes = 256 << 10
	guestPause = 25 * time.Millisecond
)

// wake says that there is something to send. It does not block.
func (g *guest) wake() {
	select {
	case g.woken <- struct{}{}:
	default:
	}
}

// run sends what is stored for the listener until its connection ends.
func (g *guest) run() {
	defer close(g.done)
	for {
		list, err := g.read()
		if err == nil {
			err = g.send(list)
		}
		switch {
		case g.ctx.Err() != nil:
			return
		case err != nil:
			g.k.s.log.Error("relay: send retained events", "listener", g.name, "error", err)
			if !g.pause(afterError) {
				return
			}
		case len(list) == guestBatch:
		default:
			select {
			case <-g.woken:
			case <-g.ctx.Done():
				return
			}
		}
	}
}

// unsure returns how long the listener may have been deaf when its silence was noticed: since the last word of a Core client, or
// since a classic client was last seen to be there, and a little for the clock that looks for it.
func (g *guest) unsure() time.Duration {
	d := g.k.s.hub.Options().ClientTimeoutInterval
	if g.conn.caller.Request().Query.Has("clientProtocol") {
		if d = g.k.s.config.Classic.DisconnectTimeout; d == 0 {
			d = 30 * time.Second
		}
		d += 5 * time.Second
	}
	return d + d/4 + time.Second
}

// pause reports whether the connection is still there after it.
func (g *guest) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.ctx.Done():
		return false
	}
}

// keptEvent is an event for a listener, with the cookie it had.
type keptEvent struct {
	listener     string
	seq          int64
	guid, cookie string
}

// read returns the next events for the listener.
func (g *guest) read() ([]keptEvent, error) {
	k := g.k
	rows, err := k.s.store.Query(g.ctx, `SELECT seq, guid, cookie FROM retained WHERE listener = ? AND seq > ? AND (sent = 0 OR ?)
		AND created > ? ORDER BY seq LIMIT ?`, g.id, g.after, g.ids, millis(k.s.now().Add(-k.s.config.Retention.Window)), guestBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []keptEvent
	for rows.Next() {
		e := keptEvent{listener: g.id}
		var guid, cookie []byte
		if err := rows.Scan(&e.seq, &guid, &cookie); err != nil {
			return nil, err
		}
		e.guid, e.cookie = string(guid), string(cookie)
		list = append(list, e)
	}
	return list, rows.Err()
}

// send hands events to the connection. Events that its user may not hear of any more are passed over.
func (g *guest) send(list []keptEvent) error {
	s, c := g.k.s, g.conn.caller
	size := 0
	for _, e := range list {
		if size > guestBytes {
			if size = 0; !g.pause(guestPause) {
				return nil
			}
		}
		if s.maySubscribe(c.User(), e.guid) == nil {
			if g.ctx.Err() != nil {
				return nil
			}
			args := []any{e.guid, e.cookie}
			if g.ids {
				args = append(args, g.k.epoch+"-"+strconv.FormatInt(e.seq, 10))
			}
			if err := c.Send(g.ctx, "ReceiveEvent", args...); err != nil {
				return err
			}
			s.count.delivered.Add(1)
			size += len(e.guid) + len(e.cookie) + 100
		}
		g.after = e.seq
		g.k.mark(g.id, e.seq)
	}
	return nil
}
