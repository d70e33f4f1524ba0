package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"
)

// How often a transaction is tried, and how long the pauses between tries are at least and at most.
const (
	tries      = 12
	firstPause = 2 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// Tx is a running transaction. It belongs to the function that it was given to and to one goroutine.
type Tx struct {
	tx    *sql.Tx
	store *Store
}

// Tx runs f in a serializable transaction and commits it if f returns nil; otherwise, and if f panics, nothing of it stays. A
// transaction that lost against another one is tried again, up to 12 times with growing pauses, so f may run several times and
// must do nothing but use tx; the pauses take at most some two seconds. On SQLite write transactions run one after the other.
// The transaction ends when ctx does. f's error is returned as it is.
func (s *Store) Tx(ctx context.Context, f func(tx *Tx) error) error {
	return s.again(ctx, func() error { return s.once(ctx, f) })
}

func (s *Store) once(ctx context.Context, f func(tx *Tx) error) error {
	tx, err := s.write.BeginTx(ctx, s.dialect.tx)
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer tx.Rollback() // does nothing after a commit
	if err := f(&Tx{tx, s}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}

// again runs f until it succeeds or fails for a reason that another try does not cure.
func (s *Store) again(ctx context.Context, f func() error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || !s.dialect.retry(err) {
			return err
		}
		t := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
		pause = min(2*pause, lastPause)
	}
}

// Exec implements [Queryer].
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return rows(t.tx.ExecContext(ctx, t.store.rebind(query), args...))
}

// Query implements [Queryer]. The rows must be closed before the next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, t.store.rebind(query), args...)
}

// QueryRow implements [Queryer].
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, t.store.rebind(query), args...)
}
