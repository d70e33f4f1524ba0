package store_test

import (
	"errors"
	"testing"

	"github.com/hubbub-go/hubbub/systems/store"
)

// A transaction that goes on after a statement has failed is either stored, or says that it is not.
func TestTogetherSwallowed(t *testing.T) {
	t.Parallel()
	s := openSQLite(t)
	swallow := func(tx *store.Tx) error {
		err := insert(t, 1, nil)(tx)
		tx.Exec(t.Context(), "UPDATE nothing SET n = 1") // whatever came of it
		return err
	}
	no := errors.New("no")
	for name, others := range map[string][]func(*store.Tx) error{"alone": nil, "with others": {insert(t, 2, nil), insert(t, 3, no)}} {
		errs := together(t, s, append(others, swallow)...)
		var n int
		if err := s.QueryRow(t.Context(), "SELECT count(*) FROM t WHERE id = 1").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if err := errs[len(errs)-1]; (err == nil) != (n == 1) {
			t.Errorf("%s: the transaction ended with %v and left %d rows", name, err, n)
		}
		if _, err := s.Exec(t.Context(), "DELETE FROM t WHERE id <> 0"); err != nil {
			t.Fatal(err)
		}
	}
}
