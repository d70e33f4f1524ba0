package trading

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store"
)

const (
	lookAround = time.Second     // how often a teller looks for what it was not woken for
	leaseTime  = 5 * time.Second // after which another process may tell what one was about to
	mostUsers  = 200             // that are told in one go
	wakeTopic  = "economy.trading.push"
)

// teller tells buyers how their purchases ended: those who are connected to this process. What it could not tell stays in the
// store; a buyer who connects gets it then. It tells first and notes it then, so that a crash between doubles and does not lose.
type teller struct {
	s      *Service
	cancel func() // of the backplane

	mu    sync.Mutex
	users map[string]struct{} // to look at
	woken chan struct{}
}

func newTeller(ctx context.Context, s *Service) (*teller, error) {
	t := &teller{s: s, users: make(map[string]struct{}), woken: make(chan struct{}, 1), cancel: func() {}}
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
			if err := t.tell(ctx, users); err == nil {
				t.s.config.Border("noted")
			} else if ctx.Err() == nil {
				t.s.config.Logger.Warn("trading: tell buyers", "error", err) // found again by looking around
			}
		}
		select {
		case <-t.woken:
		case <-tick.C:
			if err := t.look(ctx); err != nil && ctx.Err() == nil {
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

// look wakes those who have not been told something.
func (t *teller) look(ctx context.Context) error {
	if t.s.hub.All().Count() == 0 {
		return nil
	}
	rows, err := t.s.store.Query(ctx, "SELECT DISTINCT user_id FROM push WHERE told = 0 AND created > ? AND lease < ?", t.oldest(), t.s.box.Now().UnixMilli())
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

type told struct{ purchase, body, trace string }

// tell tells users what they have not been told. A SQLite file has no other process, so there it is done with the lock of the
// file: only the commit is between telling and noting it. On PostgreSQL a lease keeps other processes from it meanwhile.
func (t *teller) tell(ctx context.Context, users []string) error {
	now := t.s.box.Now()
	args := []any{t.oldest(), now.UnixMilli()}
	for _, u := range users {
		args = append(args, u)
	}
	where := " WHERE told = 0 AND created > ? AND lease < ? AND user_id IN (" + marks(len(users)) + ")"
	if t.s.store.Database() == "sqlite" {
		return t.s.store.Tx(ctx, func(tx *store.Tx) error {
			all, err := read(ctx, tx, "SELECT purchase, body, trace FROM push"+where+" ORDER BY created", args...)
			if err != nil || len(all) == 0 {
				return err
			}
			return t.send(ctx, tx, all)
		})
	}
	var all []told
	err := t.s.store.Tx(ctx, func(tx *store.Tx) (err error) {
		all, err = read(ctx, tx, "UPDATE push SET lease = ?"+where+" RETURNING purchase, body, trace", append([]any{now.Add(leaseTime).UnixMilli()}, args...)...)
		return err
	})
	if err != nil || len(all) == 0 {
		return err
	}
	return t.send(ctx, t.s.store, all)
}

// send tells, and notes that it did.
func (t *teller) send(ctx context.Context, q store.Queryer, all []told) error {
	t.s.config.Border("telling")
	args := []any{t.s.box.Now().UnixMilli()}
	for _, p := range all {
		var state PurchaseState
		if err := json.Unmarshal([]byte(p.body), &state); err != nil {
			return fmt.Errorf("purchase %s: %w", p.purchase, err)
		}
		of, err := bus.WithTraceText(ctx, p.trace)
		if err != nil {
			return fmt.Errorf("purchase %s: %w", p.purchase, err)
		}
		if err := t.s.push(of, TargetStatus, state); err != nil {
			return fmt.Errorf("purchase %s: %w", p.purchase, err)
		}
		args = append(args, p.purchase)
	}
	t.s.config.Border("told")
	if _, err := q.Exec(ctx, "UPDATE push SET told = ? WHERE purchase IN ("+marks(len(all))+")", args...); err != nil {
		return fmt.Errorf("note what buyers were told: %w", err)
	}
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
		if err := rows.Scan(&p.purchase, &p.body, &p.trace); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// marks returns n question marks for a list of a statement.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }
