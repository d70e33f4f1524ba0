package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// mostTogether bounds the transactions that share a commit.
const mostTogether = 64

// group runs the write transactions of a SQLite file. There is one writer, and each commit waits for the disk, so those who wait
// for their turn meanwhile get it one after the other in one transaction of SQLite and share its commit: either all of them are
// stored or none is. A transaction that fails after it has written something takes the others back with it; then each of them runs
// again, alone. One goroutine runs all of them: to wake each caller for its turn takes longer than the turn where processors are busy.
type group struct {
	db    *sql.DB
	conn  *sql.Conn     // the only one of db, of the leader; nil before the first transaction
	todo  [][]*member   // who the leader has taken, those of a transaction together
	pause time.Duration // between the begin of one transaction and the next

	mu      sync.Mutex
	waiting []*member
	led     bool // somebody runs them
	begun   time.Time
	closed  bool
	work    sync.WaitGroup // the leader
}

// member is a transaction that waits for its turn or has it.
type member struct {
	ctx   context.Context
	f     func(*Tx) error
	store *Store

	done chan error // how it ended

	gone    bool // it waits no more; guarded by the group's lock
	started bool // it cannot leave any more; likewise

	// After its turn:
	tx     *Tx
	err    error
	failed bool // f panicked with what, or ended its goroutine
	what   any
	ended  bool
}

// do runs f in a transaction.
func (g *group) do(ctx context.Context, s *Store, f func(*Tx) error) error {
	m := &member{ctx: ctx, f: f, store: s, done: make(chan error, 1)}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return fmt.Errorf("store: begin: %w", sql.ErrConnDone)
	}
	g.waiting = append(g.waiting, m)
	if !g.led {
		g.led = true
		g.work.Go(g.lead)
	}
	g.mu.Unlock()
	end := ctx.Done()
	for {
		select {
		case err := <-m.done:
			switch {
			case m.ended:
				runtime.Goexit()
			case m.failed:
				panic(m.what)
			}
			return err
		case <-end:
			if g.leave(m) {
				return fmt.Errorf("store: begin: %w", ctx.Err())
			}
			end = nil // its turn has begun, and is over soon
		}
	}
}

// leave takes back a member whose turn has not begun.
func (g *group) leave(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.gone = !m.started
	return m.gone
}

// run is a member's turn.
func (m *member) run(conn *sql.Conn) {
	m.tx, m.err, m.failed = &Tx{tx: conn, store: m.store, ctx: m.ctx}, nil, true
	defer func() {
		if m.failed {
			m.what = recover()
			m.ended = m.what == nil
		}
	}()
	m.err = m.f(m.tx)
	m.failed = false
}

// spoilt reports whether a member leaves something behind that must not be committed.
func (m *member) spoilt() bool { return m.failed || m.tx.broken || m.err != nil && m.tx.writes > 0 }

// errBroken is the error of a transaction that went on after a statement of it had failed in a way that may have ended it.
var errBroken = errors.New("store: a statement of the transaction failed, so nothing of it is stored")

// lead gives turns until nobody waits.
func (g *group) lead() {
	for {
		if len(g.todo) == 0 && !g.gather() {
			return
		}
		together := g.todo[0]
		g.todo = g.todo[1:]
		g.todo = append(g.round(together), g.todo...)
	}
}

// gather takes those who wait, and reports whether there are any; otherwise the leader is done.
func (g *group) gather() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if wait := g.pause - time.Since(g.begun); wait > 0 && len(g.waiting) > 0 && len(g.waiting) < mostTogether {
		g.mu.Unlock()
		time.Sleep(wait)
		g.mu.Lock()
	}
	n := min(len(g.waiting), mostTogether)
	if n == 0 {
		g.led = false
		return false
	}
	g.begun = time.Now()
	g.todo = append(g.todo, g.waiting[:n:n])
	g.waiting = g.waiting[n:]
	return true
}

// round gives a turn to each and commits. It returns those who have to be together in other transactions.
func (g *group) round(together []*member) [][]*member {
	err := g.begin()
	if err != nil {
		tell(together, fmt.Errorf("store: begin: %w", err))
		return nil
	}
	var had []*member
	for i, m := range together {
		if !g.start(m) {
			continue
		}
		g.turn(m, had, together[i+1:])
		had = append(had, m)
		if !m.spoilt() {
			continue
		}
		g.rollback()
		if m.err == nil {
			m.err = errBroken
		}
		switch {
		case len(had) == 1: // nobody else was in it
			m.done <- m.err
			return rest(nil, together[i+1:])
		case m.failed:
			m.done <- m.err
			return rest(had[:len(had)-1], together[i+1:])
		}
		return rest(append(had, together[i+1:]...), nil)
	}
	if err = g.run("COMMIT"); err != nil {
		g.rollback() // it may be in the transaction still
	}
	switch {
	case err == nil:
	case len(had) > 1 && isConstraint(err): // a rule that is checked at the end: find who broke it
		return rest(had, nil)
	default:
		tell(had, fmt.Errorf("store: commit: %w", err))
		return nil
	}
	for _, m := range had {
		m.done <- m.err
	}
	return nil
}

// rest are transactions for some who have each to be alone, and for others together.
func rest(alone, together []*member) (all [][]*member) {
	for i := range alone {
		all = append(all, alone[i:i+1])
	}
	if len(together) > 0 {
		all = append(all, together)
	}
	return all
}

// turn runs one. Where that ends its goroutine, which is the leader's, as a test that fails does, another one leads on.
func (g *group) turn(m *member, before, after []*member) {
	defer func() {
		if m.ended {
			g.rollback()
			m.done <- nil
			g.todo = append(rest(before, after), g.todo...)
			g.work.Go(g.lead)
		}
	}()
	m.run(g.conn)
}

// begin begins a transaction of SQLite. One of package sql would cost a goroutine for itself and one for each query.
func (g *group) begin() (err error) {
	if g.conn == nil {
		if g.conn, err = g.db.Conn(context.Background()); err != nil {
			return err
		}
	}
	if err = g.run("BEGIN IMMEDIATE"); err != nil && !sqliteDialect.retry(err) {
		g.rollback()
	}
	return err
}

func (g *group) run(statement string) error {
	_, err := g.conn.ExecContext(context.Background(), statement)
	return err
}

// rollback leaves a connection that is in no transaction, or none.
func (g *group) rollback() {
	if err := g.run("ROLLBACK"); err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		_ = g.conn.Raw(func(any) error { return driver.ErrBadConn }) // not to be used again
		g.conn.Close()
		g.conn = nil
	}
}

// close waits until nobody waits any more and lets the connection go.
func (g *group) close() error {
	g.mu.Lock()
	closed := g.closed
	g.closed = true
	g.mu.Unlock()
	g.work.Wait()
	if closed || g.conn == nil {
		return nil
	}
	return g.conn.Close()
}

// start reports whether a member still waits, and keeps it from leaving.
func (g *group) start(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.started = !m.gone
	return m.started
}

func tell(all []*member, err error) {
	for _, m := range all {
		m.done <- err
	}
}

// follow notes what a statement has done to the transaction that others may be in too. A statement that fails by a rule of its
// table leaves nothing behind; after other errors SQLite may have ended the transaction.
func (t *Tx) follow(err error, writes bool) {
	switch {
	case err == nil:
		if writes {
			t.writes++
		}
	case errors.Is(err, sql.ErrNoRows), isConstraint(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	default:
		t.broken = true
	}
}
