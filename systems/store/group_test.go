package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/hubbub-go/hubbub/systems/store"
)

func openSQLite(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Name: "group"}, fstest.MapFS{"00001_t.sql": {Data: []byte(
		"-- +goose Up\nCREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);\nINSERT INTO t VALUES (0, 0);" +
			"CREATE TABLE child (of INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED);")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// together runs transactions so that all of them wait while the first one has its turn.
func together(t *testing.T, s *store.Store, all ...func(tx *store.Tx) error) []error {
	t.Helper()
	begun, goOn := make(chan struct{}), make(chan struct{})
	errs := make([]error, len(all))
	var first, work sync.WaitGroup
	first.Go(func() {
		once := sync.OnceFunc(func() { close(begun) })
		if err := s.Tx(t.Context(), func(*store.Tx) error {
			once()
			<-goOn
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	var queued sync.WaitGroup
	for i, f := range all {
		queued.Add(1)
		work.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("panic: %v", p)
				}
			}()
			queued.Done()
			errs[i] = s.Tx(t.Context(), f)
		})
	}
	queued.Wait()
	close(goOn)
	first.Wait()
	work.Wait()
	return errs
}

func insert(t *testing.T, id int, then error) func(tx *store.Tx) error {
	return func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (?, 0)", id); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), "UPDATE t SET n = n + 1 WHERE id = 0"); err != nil {
			return err
		}
		return then
	}
}

// Transactions that wait for each other share a commit; what fails among them takes nobody with it and leaves nothing.
func TestTogether(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	no := errors.New("no")
	var all []func(tx *store.Tx) error
	for i := 1; i <= 90; i++ {
		switch f := insert(t, i, nil); i % 9 {
		case 0: // fails after it has written
			all = append(all, insert(t, i, no))
		case 1: // panics after it has written
			all = append(all, func(tx *store.Tx) error { panic(fmt.Sprint("it wrote: ", f(tx))) })
		case 2: // fails before
			all = append(all, func(*store.Tx) error { return no })
		case 3: // fails by a rule of the table
			all = append(all, insert(t, 0, nil))
		case 4: // catches that and goes on
			all = append(all, func(tx *store.Tx) error {
				if err := insert(t, 0, nil)(tx); !s.IsUnique(err) {
					return err
				}
				return f(tx)
			})
		case 5: // fails at the commit
			all = append(all, func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), "INSERT INTO child VALUES (?)", 1000+i)
				return errors.Join(err, f(tx))
			})
		default:
			all = append(all, f)
		}
	}
	stored := 0
	for i, err := range together(t, s, all...) {
		var want bool
		switch i = i + 1; i % 9 {
		case 0, 2:
			want = errors.Is(err, no)
		case 1:
			want = err != nil && err.Error() == "panic: it wrote: <nil>"
		case 3:
			want = s.IsUnique(err)
		case 5:
			want = err != nil
		default:
			want = err == nil
			stored++
		}
		if !want {
			t.Errorf("transaction %d: %v", i, err)
		}
		var n int
		if err := s.QueryRow(t.Context(), "SELECT count(*) FROM t WHERE id = ?", i).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if there := err == nil; there != (n == 1) {
			t.Errorf("transaction %d ended with %v and left %d rows", i, err, n)
		}
	}
	var n int
	if err := s.QueryRow(t.Context(), "SELECT n FROM t WHERE id = 0").Scan(&n); err != nil || n != stored {
		t.Errorf("%d transactions changed the row, %v, want %d", n, err, stored)
	}
}

// Who waits no longer than its context gets no turn.
func TestTogetherEnds(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	for _, err := range together(t, s, func(tx *store.Tx) error {
		go func() { ended <- s.Tx(ctx, insert(t, 1, nil)) }()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return fmt.Errorf("transaction that gave up: %w", err)
		}
		return insert(t, 2, nil)(tx)
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	// One whose context ends in the middle leaves nothing, and whoever is with it does not notice.
	ctx, cancel = context.WithCancel(t.Context())
	var first, second error
	var work sync.WaitGroup
	together(t, s, func(*store.Tx) error {
		work.Go(func() {
			first = s.Tx(ctx, func(tx *store.Tx) error {
				err := insert(t, 3, nil)(tx)
				cancel()
				return errors.Join(err, insert(t, 4, nil)(tx))
			})
		})
		work.Go(func() { second = s.Tx(t.Context(), insert(t, 5, nil)) })
		return nil
	})
	work.Wait()
	var n int
	if err := s.QueryRow(t.Context(), "SELECT count(*) FROM t WHERE id IN (1, 3, 4)").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows of transactions that gave up, %v, want none", n, err)
	}
	if !errors.Is(first, context.Canceled) || second != nil {
		t.Errorf("the one whose context ended: %v, want that it was canceled; the one beside it: %v", first, second)
	}
}

// Sharing the commit is what makes many small transactions fast.
func BenchmarkTogether(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) {
			s := openSQLite(b)
			b.ReportAllocs()
			b.SetParallelism(n)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := s.Tx(b.Context(), func(tx *store.Tx) error {
						_, err := tx.Exec(b.Context(), "UPDATE t SET n = n + 1 WHERE id = 0")
						return err
					}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
