package relay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/store"
)

// keeper retains events for listeners. What a listener gets, it gets from the store, in the order of the numbers that events have
// there, whether it was away or not: so nothing overtakes what it has missed, and nothing comes twice.
type keeper struct {
	s     *System
	epoch string // of the numbers

	mu     sync.Mutex
	guests map[string]*guest // listeners that are connected to this node
	marks  map[string]int64  // how far each has been sent, while that is not stored
	fresh  map[string]int    // events stored since a listener's oldest were removed

	marked  chan struct{}
	storing sync.Mutex // of marks
}

func newKeeper(ctx context.Context, s *System) (*keeper, error) {
	k := &keeper{s: s, guests: make(map[string]*guest), marks: make(map[string]int64), fresh: make(map[string]int),
		marked: make(chan struct{}, 1)}
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, "SELECT epoch FROM ledger").Scan(&k.epoch)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		k.epoch = newID()
		_, err = tx.Exec(ctx, "INSERT INTO ledger (epoch, seq) VALUES (?, 0)", k.epoch)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("epoch of retained events: %w", err)
	}
	// While this server was down nobody could connect: that is not held against listeners.
	if _, err := s.store.Exec(ctx, "UPDATE listener SET seen = ?", millis(s.now())); err != nil {
		return nil, fmt.Errorf("note that listeners could not connect: %w", err)
	}
	return k, nil
}

// listenerID is a user and the name of its listener as one text.
func listenerID(user, name string) string { return strconv.Itoa(len(user)) + ":" + user + name }

// listenerOf returns whose listener a connection is; ok is false if it has no name.
func (k *keeper) listenerOf(c *hubbub.Caller) (user, name string, ok bool, err error) {
	name = c.Request().Query.Get("listener")
	if most := k.s.config.Limits.ListenerBytes; len(name) > most {
		return "", "", false, hubbub.Errorf("The query value listener has %d bytes, want at most %d.", len(name), most)
	}
	if strings.ContainsRune(name, 0) {
		return "", "", false, hubbub.Errorf("The query value listener has a zero byte.")
	}
	if u := c.User(); u != nil {
		if u.ID == "" { // nobody in particular: others could take its events
			return "", "", false, nil
		}
		user = u.ID
	}
	return user, name, name != "", nil
}

// arrive takes a connection in. A listener gets its subscriptions back, and what it has missed.
func (k *keeper) arrive(ctx context.Context, c *conn) error {
	user, name, ok, err := k.listenerOf(c.caller)
	if err != nil {
		return k.s.refuse(err)
	}
	if !ok {
		k.s.index.enter(c)
		return nil
	}
	g := &guest{k: k, id: listenerID(user, name), user: user, name: name, conn: c, woken: make(chan struct{}, 1), done: make(chan struct{})}
	c.guest = g
	g.ctx, g.cancel = context.WithCancel(k.s.ctx)
	k.mu.Lock()
	old := k.guests[g.id]
	k.guests[g.id] = g
	k.mu.Unlock()
	if old != nil {
		k.retire(old)
		<-old.done
	}
	if err := k.admit(ctx, g); err != nil {
		k.forget(g)
		close(g.done)
		return fmt.Errorf("relay: take a listener in: %w", err)
	}
	k.s.work.Go(g.run)
	return nil
}

// admit finds out what a listener had and where it goes on.
func (k *keeper) admit(ctx context.Context, g *guest) error {
	s := k.s
	if s.nodes != nil {
		if err := s.nodes.publish(ctx, nodeChannel, &nodeMessage{Kind: kindArrived, ID: g.id}); err != nil {
			return err
		}
	}
	if err := k.store(ctx, g.id); err != nil {
		return err
	}
	if err := k.begin(ctx, g); err != nil {
		return err
	}
	subs, err := k.subscriptions(ctx, g.id)
	if err != nil {
		return err
	}
	s.index.enter(g.conn)
	for guid, cookie := range subs {
		if s.maySubscribe(g.conn.caller.User(), guid) == nil {
			s.index.put(g.conn, guid, cookie, s.config.Limits.Subscriptions)
		}
	}
	return nil
}

// begin sets where a listener goes on: after what it says itself, or after what it has been sent.
func (k *keeper) begin(ctx context.Context, g *guest) error {
	q := g.conn.caller.Request().Query
	g.ids = q.Has("after")
	if epoch, number, _ := strings.Cut(q.Get("after"), "-"); g.ids && epoch == k.epoch {
		seq, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return hubbub.Errorf("The query value after is %q, want the id of an event.", clip(q.Get("after")))
		}
		if _, err := k.s.store.Exec(ctx, "DELETE FROM retained WHERE listener = ? AND seq <= ?", g.id, seq); err != nil {
			return err
		}
		g.after = seq
	}
	if _, err := k.s.store.Exec(ctx, "UPDATE listener SET seen = ? WHERE id = ?", millis(k.s.now()), g.id); err != nil {
		return err
	}
	var floor int64 // of the newest that it may have
	err := k.s.store.QueryRow(ctx, "SELECT seq FROM retained WHERE listener = ? ORDER BY seq DESC LIMIT 1 OFFSET ?", g.id, k.s.config.Retention.Most).
		Scan(&floor)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	g.after = max(g.after, floor)
	return nil
}

func (k *keeper) subscriptions(ctx context.Context, id string) (map[string]string, error) {
	rows, err := k.s.store.Query(ctx, "SELECT guid, cookie FROM subscription WHERE listener = ?", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	subs := make(map[string]string)
	for rows.Next() {
		var guid, cookie []byte
		if err := rows.Scan(&guid, &cookie); err != nil {
			return nil, err
		}
		subs[string(guid)] = string(cookie)
	}
	return subs, rows.Err()
}

// supersede ends the connection of a listener that has connected to another node.
func (k *keeper) supersede(id string) {
	k.mu.Lock()
	g := k.guests[id]
	delete(k.guests, id)
	k.mu.Unlock()
	if g != nil {
		k.retire(g)
	}
}

// retire ends a connection that is not the one of its listener any more.
func (k *keeper) retire(g *guest) {
	g.cancel()
	k.s.index.remove(g.conn.caller.ID())
	g.conn.caller.Abort()
}

// forget says whether a guest was the connection of its listener, and lets it be none.
func (k *keeper) forget(g *guest) bool {
	g.cancel()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.guests[g.id] != g {
		return false
	}
	delete(k.guests, g.id)
	return true
}

// leave notes that a listener is away. What was sent to one that has fallen silent may not have arrived, and comes again.
func (k *keeper) leave(ctx context.Context, g *guest, why error) {
	if !k.forget(g) {
		return
	}
	<-g.done
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now := k.s.now()
	_, err := k.s.store.Exec(ctx, "UPDATE listener SET seen = ? WHERE id = ?", millis(now), g.id)
	if err == nil && silent(why) {
		if err = k.store(ctx, g.id); err == nil {
			_, err = k.s.store.Exec(ctx, "UPDATE retained SET sent = 0 WHERE listener = ? AND sent > ?",
				g.id, millis(now.Add(-g.unsure())))
		}
	}
	if err != nil && k.s.ctx.Err() == nil {
		k.s.log.Error("relay: note where a listener left", "listener", g.name, "error", err)
	}
}

// silent reports whether a connection ended because its peer was not there any more.
func silent(err error) bool {
	var r interface{ Reason() string }
	return errors.Is(err, hubbub.ErrSlow) || errors.As(err, &r) && r.Reason() == "timeout"
}

// subscribe stores a subscription of a listener.
func (k *keeper) subscribe(ctx context.Context, g *guest, guid, cookie string) error {
	most := k.s.config.Limits.Listeners
	err := k.s.store.Tx(ctx, func(tx *store.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM listener WHERE id <> ?", g.id).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return k.s.refuse(hubbub.Errorf("There are %d listeners, the limit.", n))
		}
		_, err := tx.Exec(ctx, `INSERT INTO listener (id, user_id, name, seen) VALUES (?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET seen = excluded.seen`, g.id, g.user, g.name, millis(k.s.now()))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO subscription (listener, guid, cookie) VALUES (?, ?, ?)
			ON CONFLICT (listener, guid) DO UPDATE SET cookie = excluded.cookie`, g.id, []byte(guid), []byte(cookie))
		return err
	})
	if err != nil {
		return fmt.Errorf("relay: store a subscription: %w", err)
	}
	return nil
}

// end removes a subscription of a listener, with what it has not got of it.
func (k *keeper) end(ctx context.Context, g *guest, guid string) error {
	err := k.s.store.Tx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM subscription WHERE listener = ? AND guid = ?", g.id, []byte(guid)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM retained WHERE listener = ? AND guid = ?", g.id, []byte(guid))
		return err
	})
	if err != nil {
		return fmt.Errorf("relay: remove a subscription: %w", err)
	}
	return nil
}

// mark notes how far a listener has been sent, to be stored soon.
func (k *keeper) mark(id string, seq int64) {
	k.mu.Lock()
	k.marks[id] = max(k.marks[id], seq)
	k.mu.Unlock()
	select {
	case k.marked <- struct{}{}:
	default:
	}
}

// run stores marks, as many at a time as there are, until the system stops.
func (k *keeper) run() {
	for {
		select {
		case <-k.marked:
		case <-k.s.ctx.Done():
			return
		}
		if err := k.store(k.s.ctx, ""); err != nil && k.s.ctx.Err() == nil {
			k.s.log.Error("relay: store how far listeners are", "error", err)
			select {
			case <-time.After(afterError):
			case <-k.s.ctx.Done():
				return
			}
			k.mark("", 0) // again
		}
	}
}

// store stores the marks of a listener, or all.
func (k *keeper) store(ctx context.Context, id string) error {
	k.storing.Lock()
	defer k.storing.Unlock()
	k.mu.Lock()
	marks := maps.Clone(k.marks)
	if id != "" {
		marks = map[string]int64{id: k.marks[id]}
	}
	k.mu.Unlock()
	maps.DeleteFunc(marks, func(_ string, seq int64) bool { return seq == 0 })
	if len(marks) > 0 {
		now := millis(k.s.now())
		err := k.s.store.Tx(ctx, func(tx *store.Tx) error {
			for id, seq := range marks {
				if _, err := tx.Exec(ctx, "UPDATE retained SET sent = ? WHERE listener = ? AND seq <= ? AND sent = 0", now, id, seq); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.marks, func(id string, seq int64) bool { return seq <= marks[id] })
	return nil
}

// close stores what is left to store.
func (k *keeper) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return k.store(ctx, "")
}
