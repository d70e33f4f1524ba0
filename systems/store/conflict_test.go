package store_test

import (
	"sync"
	"testing"
	"testing/fstest"

	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// Transactions that are all in each other's way get through, however many there are.
func TestCrowdOfConflicts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		s, err := store.Open(t.Context(), storetest.Config(t, database, "a"), fstest.MapFS{"1_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY);\n")}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		const crowd = 150
		var work sync.WaitGroup
		for range crowd {
			work.Go(func() {
				if err := s.Tx(t.Context(), func(tx *store.Tx) error {
					var n int64
					if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil {
						return err
					}
					if database == "postgres" { // as long as a transaction of several statements
						if _, err := tx.Exec(t.Context(), "SELECT pg_sleep(0.02)"); err != nil {
							return err
						}
					}
					_, err := tx.Exec(t.Context(), "INSERT INTO t (n) VALUES (?)", n+1)
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		var n int64
		if err := s.QueryRow(t.Context(), "SELECT max(n) FROM t").Scan(&n); err != nil || n != crowd {
			t.Errorf("%d rows, %v, want %d", n, err, crowd)
		}
	})
}
