package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// How often a transaction is tried, and how long the pauses between tries are at least and at most.
const (
	tries      = 12
	firstPause = 2 * time.Millisecond
	lastPause  = 250 * time.Millisecond
	turnPause  = 10 * time.Millisecond // of who has the turn, for which others wait
)

// Tx is a running transaction. It belongs to the function that it was given to and to one goroutine.
type Tx struct {
	tx    statements
	store *Store

	// Of PostgreSQL: the context that the transaction was begun with, and what bounds it.
	given, within context.Context

	// Of SQLite, where others may be in the same transaction of the database:
	ctx    context.Context // ends it
	broken bool            // nobody knows what it left

	writes int // statements that may have left something
}

// Writes returns how many statements of the transaction have written something, or may have. Where it has not grown there is
// nothing to undo.
func (t *Tx) Writes() int { return t.writes }

// statements runs statements: a transaction of PostgreSQL, or the writing connection of SQLite while it is in one.
type statements interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Tx runs f in a serializable transaction and commits it if f returns nil; otherwise, and if f panics, nothing of it stays. A
// transaction that lost against another one is tried again, one of them at a time, up to 12 times with growing pauses, so f may run several times and
// must do nothing but use tx, nor wait for anything else; the pauses take at most some two seconds. On SQLite write transactions run
// one after the other, and those that wait share a commit: f sees what others did before it, and is stored together with it or not
// at all. The transaction ends when ctx does, or [Config.Timeout] is over. f's error is returned as it is.
func (s *Store) Tx(ctx context.Context, f func(tx *Tx) error) error {
	return s.again(ctx, func() error {
		if s.group != nil {
			return s.group.do(ctx, s, f)
		}
		return s.once(ctx, f)
	})
}

func (s *Store) once(ctx context.Context, f func(tx *Tx) error) error {
	within, cancel := s.limited(ctx)
	defer cancel()
	tx, err := s.write.BeginTx(within, s.dialect.tx)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer tx.Rollback() // does nothing after a commit
	if err := f(&Tx{tx: tx, store: s, given: ctx, within: within}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}

// again runs f until it succeeds or fails for a reason that another try does not cure.
func (s *Store) again(ctx context.Context, f func() error) error {
	pause, most := firstPause, lastPause
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || !s.dialect.retry(err) {
			return err
		}
		if try == 1 && s.turn != nil { // those that lost go one after the other, or a crowd of them would be in its own way for ever
			select {
			case s.turn <- struct{}{}:
				defer func() { <-s.turn }()
				most = turnPause
				continue
			case <-ctx.Done():
				return err
			}
		}
		t := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
		pause = min(2*pause, most)
	}
}

// Exec implements [Queryer].
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, err := t.enter(ctx)
	if err != nil {
		return 0, err
	}
	n, err := rows(t.tx.ExecContext(ctx, t.store.rebind(query), args...))
	t.follow(err, true)
	return n, err
}

// Query implements [Queryer]. The rows must be closed before the next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, err := t.enter(ctx)
	if err != nil {
		return nil, err
	}
	r, err := t.tx.QueryContext(ctx, t.store.rebind(query), args...)
	t.follow(err, !isSelect(query))
	return r, err
}

// QueryRow implements [Queryer].
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if own, err := t.enter(ctx); err == nil {
		ctx = own
	} else { // a row can have an error by its context alone
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(context.Background())
		cancel()
	}
	r := t.tx.QueryRowContext(ctx, t.store.rebind(query), args...)
	t.follow(r.Err(), !isSelect(query))
	return r
}

// enter returns the context of a statement. On SQLite a running statement is not interrupted, for that would end the transaction
// for all that are in it, and costs a goroutine for each; before each statement it is looked whether ctx has ended.
func (t *Tx) enter(ctx context.Context) (context.Context, error) {
	if t.ctx == nil {
		if t.within != nil && ctx.Done() == t.given.Done() {
			return valued{t.within, ctx}, nil
		}
		return ctx, nil
	}
	for _, c := range []context.Context{t.ctx, ctx} {
		if err := c.Err(); err != nil {
			return nil, err
		}
	}
	return context.WithoutCancel(ctx), nil
}

// valued is a context that ends as one does and has the values of another one.
type valued struct {
	context.Context
	values context.Context
}

// Value implements [context.Context].
func (v valued) Value(key any) any { return v.values.Value(key) }

// AfterFunc spares package context a goroutine for each context that is made from this one.
func (v valued) AfterFunc(f func()) func() bool { return context.AfterFunc(v.Context, f) }

func isSelect(query string) bool { return len(query) > 6 && strings.EqualFold(query[:6], "SELECT") }
