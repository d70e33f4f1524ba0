package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// keeper retains notifications for users at devices that are away, and hands them over when they are back and subscribe again.
// Its lock is held while a notification is stored and delivered, and while a client comes, subscribes or goes: so a client
// gets each notification either live or as a replay, in order.
type keeper struct {
	s *System

	mu      sync.Mutex
	last    int64 // newest notification that this node has delivered
	guests  map[string]*guest
	present map[place]int // connections at each place
}

// place is a user at a device.
type place struct{ user, device string }

// guest is a connection that may have missed something.
type guest struct {
	place      place
	subscribed bool
	missed     bool               // there is a note of the place from before
	since      int64              // what it had heard
	wanted     []*filter          // what it wanted
	got        map[int64]struct{} // what it has been sent here, and so not again as a replay, nor when another node is late
}

// take reports whether the guest gets a notification that it has not been sent before. most bounds what it remembers: what is
// older is retained no more.
func (g *guest) take(seq, last int64, most int) bool {
	if _, has := g.got[seq]; has {
		return false
	}
	if g.got == nil {
		g.got = make(map[int64]struct{})
	}
	g.got[seq] = struct{}{}
	if len(g.got) > 2*most {
		maps.DeleteFunc(g.got, func(seq int64, _ struct{}) bool { return seq <= last-int64(most) })
	}
	return true
}

func newKeeper(ctx context.Context, s *System) (*keeper, error) {
	k := &keeper{s: s, guests: make(map[string]*guest), present: make(map[place]int)}
	err := s.store.QueryRow(ctx, "SELECT coalesce(max(seq), 0) FROM retained").Scan(&k.last)
	if err != nil {
		return nil, fmt.Errorf("newest retained notification: %w", err)
	}
	return k, nil
}

// delivered notes that a notification goes out, and returns ids without those that have it already.
func (k *keeper) delivered(seq int64, ids []string) []string {
	k.last = max(k.last, seq)
	left := ids[:0]
	for _, id := range ids {
		if g := k.guests[id]; g != nil && g.missed && !g.take(seq, k.last, k.s.config.Retention.Most) {
			continue
		}
		left = append(left, id)
	}
	return left
}

// arrive takes a connection in. A user without a device is not waited for, nor one whose device is here already.
func (k *keeper) arrive(ctx context.Context, id string, u *hubbub.User) error {
	p := place{u.ID, u.Claim("device")}
	if p.user == "" || p.device == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g := &guest{place: p}
	if k.present[p] == 0 {
		if err := k.recall(ctx, g); err != nil {
			return err
		}
	}
	k.guests[id] = g
	k.present[p]++
	return nil
}

// recall reads the note of a place.
func (k *keeper) recall(ctx context.Context, g *guest) error {
	var text string
	err := k.s.store.QueryRow(ctx, "SELECT seq, filters FROM away WHERE user_id = ? AND device = ? AND at > ?",
		g.place.user, g.place.device, millis(k.s.now().Add(-k.s.config.Retention.Window))).Scan(&g.since, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("notify: recall where a client left: %w", err)
	}
	if g.wanted, err = k.s.parseFilters([]byte(text)); err != nil {
		return fmt.Errorf("notify: recall what a client wanted: %w", err)
	}
	g.missed = true
	return nil
}

// leave notes what a connection wanted and had heard, if it is the last of its place and had subscribed.
func (k *keeper) leave(ctx context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	filters := k.s.forget(id)
	g := k.guests[id]
	if g == nil {
		return nil
	}
	delete(k.guests, id)
	k.present[g.place]--
	if k.present[g.place] > 0 {
		return nil
	}
	delete(k.present, g.place)
	if !g.subscribed || len(filters) == 0 {
		return nil
	}
	subs := make([]Subscription, len(filters))
	for i, f := range filters {
		subs[i] = f.subscription()
	}
	text, err := encode(subs)
	if err != nil {
		return err
	}
	_, err = k.s.store.Exec(ctx, `INSERT INTO away (user_id, device, seq, filters, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (user_id, device) DO UPDATE SET seq = excluded.seq, filters = excluded.filters, at = excluded.at`,
		g.place.user, g.place.device, k.last, string(text), millis(k.s.now()))
	return err
}

// subscribe adds f and sends what the place has missed of it: what f and an old subscription match, and no subscription that
// the connection has had already.
func (k *keeper) subscribe(ctx context.Context, id string, f *filter) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.guests[id]
	if g == nil {
		return k.s.want(id, f)
	}
	if !g.subscribed {
		if _, err := k.s.store.Exec(ctx, "DELETE FROM away WHERE user_id = ? AND device = ?", g.place.user, g.place.device); err != nil {
			return fmt.Errorf("notify: forget where a client left: %w", err)
		}
	}
	var missed []retained
	if g.missed {
		var err error
		if missed, err = k.read(ctx, g.since); err != nil {
			return err
		}
	}
	mine := missed[:0]
	for _, n := range missed {
		if f.matches(n.topic) && matchesAny(g.wanted, n.topic) && !k.s.index.wants(id, n.topic) {
			mine = append(mine, n)
		}
	}
	if err := k.s.want(id, f); err != nil {
		return err
	}
	g.subscribed = true
	for _, n := range mine {
		mayRead := k.s.index.wants(id, n.topic)
		if !mayRead || !g.take(n.seq, k.last, k.s.config.Retention.Most) {
			continue
		}
		if err := k.s.hub.Client(id).Send(ctx, "OnEvent", n.body); err != nil {
			return err
		}
	}
	return nil
}

func matchesAny(filters []*filter, t topic) bool {
	for _, f := range filters {
		if f.matches(t) {
			return true
		}
	}
	return false
}

// retained is a stored notification.
type retained struct {
	seq   int64
	topic topic
	body  json.RawMessage
}

// read returns what was published after since and has not expired, in the order of its creation.
func (k *keeper) read(ctx context.Context, since int64) ([]retained, error) {
	now, most := k.s.now(), k.s.config.Retention.Most
	rows, err := k.s.store.Query(ctx, `SELECT seq, event, resource, action, body FROM retained
		WHERE seq > ? AND seq <= ? AND created > ? AND (expires = 0 OR expires > ?) ORDER BY created, seq LIMIT ?`,
		max(since, k.last-int64(most)), k.last, millis(now.Add(-k.s.config.Retention.Window)), millis(now), most)
	if err != nil {
		return nil, fmt.Errorf("notify: read retained notifications: %w", err)
	}
	defer rows.Close()
	var all []retained
	for rows.Next() {
		var n retained
		var action int64
		var body string
		if err := rows.Scan(&n.seq, &n.topic.event, &n.topic.resource, &action, &body); err != nil {
			return nil, fmt.Errorf("notify: read retained notifications: %w", err)
		}
		n.topic.action, n.body = Action(action), json.RawMessage(body)
		all = append(all, n)
	}
	return all, rows.Err()
}

// parseFilters reads stored subscriptions. Resources that the configuration does not know any more are still wanted.
func (s *System) parseFilters(text []byte) ([]*filter, error) {
	var list []any
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	lenient := names{fold: s.names.fold, limit: s.names.limit}
	all := make([]*filter, 0, len(list))
	for _, v := range list {
		f, wrong := lenient.parse(v)
		if wrong != nil {
			return nil, wrong
		}
		all = append(all, f)
	}
	return all, nil
}
