package trading

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store"
)

const (
	lookAround = time.Second           // how often a teller looks for what it was not woken for
	leaseTime  = 5 * time.Second       // after which another process may tell what one was about to
	mostUsers  = 200                   // that are told in one go
	mostOfOne  = 200                   // purchases of one of them: they have to fit into the queue of a connection
	mostOfAll  = 1000                  // purchases of all of them
	briefly    = 20 * time.Millisecond // how long the others wait for a buyer whose connections are stuck
	stuckTime  = 15 * time.Second      // after which connections that are stuck are gone
	noteTime   = 5 * time.Second       // for the database
	readTime   = 10 * time.Second      // for the database
	wakeTopic  = "economy.trading.push"
)

// teller tells buyers how their purchases ended: those who are connected to this process. What it could not tell stays in the
// store; a buyer who connects gets it then. It tells what is stored, waits until that has left the process, and notes it then, so
// that a crash between doubles and does not lose.
type teller struct {
	s      *Service
	cancel func() // of the backplane

	mu      sync.Mutex
	users   map[string]struct{} // to look at
	telling map[string]about    // by purchase
	count   map[string]int      // of those, by user
	woken   chan struct{}

	// claims is held from reading what is not told until it is looked up in telling: what is noted meanwhile is read as not told, and
	// must not be forgotten before.
	claims sync.Mutex
}

// about is a purchase that is about to be told, or told and not noted.
type about struct {
	user string
	done bool
}

func newTeller(ctx context.Context, s *Service) (*teller, error) {
	t := &teller{s: s, users: make(map[string]struct{}), telling: make(map[string]about), count: make(map[string]int), woken: make(chan struct{}, 1), cancel: func() {}}
	if b := s.config.Hub.Backplane; b != nil {
		cancel, err := b.Subscribe(ctx, wakeTopic, func(data []byte) { t.wake(string(data)) })
		if err != nil {
			return nil, fmt.Errorf("subscribe to other nodes: %w", err)
		}
		t.cancel = cancel
	}
	return t, nil
}

// wake says that there may be something for a user. It does not block.
func (t *teller) wake(user string) {
	t.mu.Lock()
	t.users[user] = struct{}{}
	t.mu.Unlock()
	select {
	case t.woken <- struct{}{}:
	default:
	}
}

// wakeAll is wake on every node.
func (t *teller) wakeAll(user string) {
	t.wake(user)
	b := t.s.config.Hub.Backplane
	if b == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := b.Publish(ctx, wakeTopic, []byte(user)); err != nil { // the others look around by themselves
		t.s.config.Logger.Debug("trading: wake other nodes", "error", err)
	}
}

func (t *teller) run(ctx context.Context) {
	tick := time.NewTicker(lookAround)
	defer tick.Stop()
	var forgot time.Time
	for {
		for users := t.take(); len(users) > 0; users = t.take() {
			if err := t.tell(ctx, users); err != nil && ctx.Err() == nil {
				t.s.config.Logger.Warn("trading: tell buyers", "error", err) // found again by looking around
			}
		}
		select {
		case <-t.woken:
		case <-tick.C:
			if err := errors.Join(t.noteLate(), t.look(ctx)); err != nil && ctx.Err() == nil {
				t.s.config.Logger.Warn("trading: look for buyers who were not told", "error", err)
			}
			if time.Since(forgot) > time.Hour {
				forgot = time.Now()
				if _, err := t.s.store.Exec(ctx, "DELETE FROM push WHERE created < ?", t.oldest()); err != nil && ctx.Err() == nil {
					t.s.config.Logger.Warn("trading: forget what buyers were told", "error", err)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// take returns users to look at who are connected here.
func (t *teller) take() (users []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for u := range t.users {
		delete(t.users, u)
		if t.s.hub.User(u).Count() == 0 {
			continue
		}
		if users = append(users, u); len(users) == mostUsers {
			break
		}
	}
	return users
}

func (t *teller) oldest() int64 { return t.s.box.Now().Add(-t.s.config.Retention).UnixMilli() }

// look wakes those who have not been told something. It reads an index alone: there may be many who are not here.
func (t *teller) look(ctx context.Context) error {
	if t.s.hub.All().Count() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	rows, err := t.s.store.Query(ctx, "SELECT DISTINCT user_id FROM push WHERE told = 0")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var user string
		if err := rows.Scan(&user); err != nil {
			return err
		}
		t.wake(user)
	}
	return rows.Err()
}

type told struct {
	purchase, user, body, trace string
	created                     int64
}

// tell tells users what they have not been told. Of one who has missed more than a queue holds it is a part; what comes next waits until
// that has left.
func (t *teller) tell(ctx context.Context, users []string) error {
	all, more, err := t.claim(ctx, users)
	defer func() {
		for _, u := range more {
			t.wake(u)
		}
	}()
	if err != nil || len(all) == 0 {
		return err
	}
	t.s.config.Border("telling")
	for _, p := range all {
		// Who is connected here has it even where other nodes cannot be reached: those come to it by looking around.
		if err := t.send(ctx, p); err != nil && ctx.Err() == nil {
			t.s.config.Logger.Warn("trading: tell a buyer", "purchase", p.purchase, "error", err)
		}
	}
	return t.confirm(ctx, all)
}

// claim returns what users are to be told, and nobody else is about to tell, and those for whom there may be more. What is read is
// committed: somebody who is told what a crash makes undone would be told otherwise later. A SQLite file has no other process; on
// PostgreSQL a lease keeps those away.
func (t *teller) claim(ctx context.Context, users []string) (all []told, more []string, err error) {
	t.mu.Lock()
	users = slices.DeleteFunc(users, func(u string) bool { return t.count[u] >= mostOfOne }) // woken when that has left
	t.mu.Unlock()
	if len(users) == 0 {
		return nil, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	t.claims.Lock()
	defer t.claims.Unlock()
	now := t.s.box.Now()
	args := []any{t.oldest(), now.UnixMilli()}
	some := padded(users)
	for _, u := range some {
		args = append(args, u)
	}
	args = append(args, mostOfOne, mostOfAll)
	which := "(SELECT purchase FROM (SELECT purchase, created, row_number() OVER (PARTITION BY user_id ORDER BY created, purchase) AS place FROM push" +
		" WHERE told = 0 AND created > ? AND lease < ? AND user_id IN (" + marks(len(some)) + ")) AS mine WHERE place <= ? ORDER BY created LIMIT ?)"
	if t.s.store.Database() == "sqlite" {
		all, err = read(ctx, t.s.store, "SELECT purchase, user_id, body, trace, created FROM push WHERE purchase IN "+which, args...)
	} else {
		args = append([]any{now.Add(leaseTime).UnixMilli()}, args...)
		err = t.s.store.Tx(ctx, func(tx *store.Tx) (err error) {
			all, err = read(ctx, tx, "UPDATE push SET lease = ? WHERE purchase IN "+which+" RETURNING purchase, user_id, body, trace, created", args...)
			return err
		})
	}
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(all, func(a, b told) int { return cmp.Compare(a.created, b.created) })
	t.mu.Lock()
	defer t.mu.Unlock()
	found := make(map[string]int)
	full := len(all) == mostOfAll
	all = slices.DeleteFunc(all, func(p told) bool {
		found[p.user]++
		_, here := t.telling[p.purchase]
		return here
	})
	for _, p := range all {
		t.telling[p.purchase] = about{user: p.user}
		t.count[p.user]++
	}
	for _, u := range users {
		if full || found[u] >= mostOfOne {
			more = append(more, u)
		}
	}
	return all, more, nil
}

// noteLate notes what could not be noted.
func (t *teller) noteLate() error {
	var all []told
	t.mu.Lock()
	for purchase, a := range t.telling {
		if a.done && len(all) < mostOfAll {
			all = append(all, told{purchase: purchase, user: a.user})
		}
	}
	t.mu.Unlock()
	return t.note(all)
}

// forget makes it possible to tell again.
func (t *teller) forget(all []told) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range all {
		if _, here := t.telling[p.purchase]; !here {
			continue
		}
		delete(t.telling, p.purchase)
		if t.count[p.user]--; t.count[p.user] == 0 {
			delete(t.count, p.user)
		}
	}
}

func (t *teller) send(ctx context.Context, p told) error {
	var state PurchaseState
	if err := json.Unmarshal([]byte(p.body), &state); err != nil {
		return err
	}
	of, err := bus.WithTraceText(ctx, p.trace)
	if err != nil {
		return err
	}
	return t.s.push(of, TargetStatus, state)
}

// confirm notes what has left the process. It does not wait long for a buyer whose connections are stuck: others do.
func (t *teller) confirm(ctx context.Context, all []told) error {
	byUser := make(map[string][]told)
	for _, p := range all {
		byUser[p.user] = append(byUser[p.user], p)
	}
	var left []told
	brief, cancel := context.WithTimeout(ctx, briefly)
	defer cancel()
	for user, some := range byUser {
		if t.s.hub.User(user).Flush(brief) > 0 {
			left = append(left, some...)
			continue
		}
		t.s.work.Go(func() { t.await(ctx, user, some) })
	}
	return t.note(left)
}

// await is confirm for a buyer whose connections are stuck or gone. Where none of them gets it, the buyer is told again by the next.
func (t *teller) await(ctx context.Context, user string, all []told) {
	ctx, cancel := context.WithTimeout(ctx, stuckTime)
	defer cancel()
	if t.s.hub.User(user).Flush(ctx) == 0 {
		t.forget(all)
		t.wake(user)
		return
	}
	if err := t.note(all); err != nil {
		t.s.config.Logger.Warn("trading: tell buyers", "error", err)
	}
	t.wake(user) // for what had to wait
}

// note writes down that buyers were told, also while the service stops. Where it cannot, they are not told again, only noted later.
func (t *teller) note(all []told) error {
	if len(all) == 0 {
		return nil
	}
	t.mu.Lock()
	for _, p := range all {
		t.telling[p.purchase] = about{p.user, true}
	}
	t.mu.Unlock()
	t.s.config.Border("told")
	args := []any{t.s.box.Now().UnixMilli()}
	some := padded(all)
	for _, p := range some {
		args = append(args, p.purchase)
	}
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	if _, err := t.s.store.Exec(ctx, "UPDATE push SET told = ? WHERE purchase IN ("+marks(len(some))+")", args...); err != nil {
		return fmt.Errorf("note what buyers were told: %w", err)
	}
	t.claims.Lock()
	t.forget(all)
	t.claims.Unlock()
	t.s.config.Border("noted")
	return nil
}

func read(ctx context.Context, q store.Queryer, query string, args ...any) (all []told, err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p told
		if err := rows.Scan(&p.purchase, &p.user, &p.body, &p.trace, &p.created); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// padded repeats the last of a list, which is not empty, until their number is a power of two: each number is a statement of its own,
// and those are kept.
func padded[T any](list []T) []T {
	for n := 1; ; n *= 2 {
		if n >= len(list) {
			return append(slices.Clip(list), slices.Repeat(list[len(list)-1:], n-len(list))...)
		}
	}
}

// marks returns n question marks for a list of a statement.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }
