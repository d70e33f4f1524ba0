package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/hubbub-go/hubbub/systems/store"
)

// schema is what the contract is tested on.
var schema = fstest.MapFS{
	"00001_account.sql": {Data: []byte(`-- +goose Up
CREATE TABLE account (id TEXT PRIMARY KEY, balance BIGINT NOT NULL, open BOOLEAN NOT NULL, photo @bytes@);
-- +goose Down
DROP TABLE account;
`)},
	"00002_entry.sql": {Data: []byte(`-- +goose Up
CREATE TABLE entry (seq @identity@, account TEXT NOT NULL REFERENCES account (id), what TEXT NOT NULL);
-- +goose Down
DROP TABLE entry;
`)},
}

// Run tests a database. open is called several times in one test and must then reach the same database; each call of fresh
// begins with an empty one.
func Run(t *testing.T, fresh func(t testing.TB) Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"placeholders":           testPlaceholders,
		"values come back":       testValues,
		"upsert and returning":   testUpsert,
		"unique":                 testUnique,
		"rollback on error":      testRollback,
		"rollback on panic":      testPanic,
		"own writes are seen":    testOwnWrites,
		"lost updates":           testLostUpdates,
		"write skew":             testWriteSkew,
		"ended context":          testContext,
		"order of numbers":       testIdentity,
		"migrations once":        testMigrateOnce,
		"migrations go on":       testMigrateOn,
		"bad migration":          testBadMigration,
		"two systems":            testTwoSystems,
		"survives closing":       testReopen,
		"readers beside writers": testReaders,
		"foreign keys":           testForeignKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t))
		})
	}
}

func open(t testing.TB, o Opener, name string, migrations fs.FS) *store.Store {
	t.Helper()
	s, err := o(t, name, migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func change(t testing.TB, q store.Queryer, query string, args ...any) int64 {
	t.Helper()
	n, err := q.Exec(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func balance(t testing.TB, q store.Queryer, id string) int64 {
	t.Helper()
	var n int64
	if err := q.QueryRow(t.Context(), "SELECT balance FROM account WHERE id = ?", id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const insert = "INSERT INTO account (id, balance, open) VALUES (?, ?, ?)"

func testPlaceholders(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	if n := change(t, s, "INSERT INTO account (id, balance, open) VALUES ('?''?', ?, ?) -- why?", 3, true); n != 1 {
		t.Fatalf("changed %d rows, want 1", n)
	}
	var id string
	err := s.QueryRow(t.Context(), `SELECT id /* ? */ FROM account WHERE balance = ? AND id <> ?`, 3, "x").Scan(&id)
	if err != nil || id != "?'?" {
		t.Fatalf("got %q, %v", id, err)
	}
	err = s.QueryRow(t.Context(), "SELECT id FROM account WHERE id = ?", "nobody").Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("got %v, want sql.ErrNoRows", err)
	}
}

func testValues(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	photo := []byte{0, 1, 0xff, '?', 0}
	const large = int64(1)<<62 + 1
	change(t, s, "INSERT INTO account (id, balance, open, photo) VALUES (?, ?, ?, ?), (?, ?, ?, ?)",
		"čašník 🍺", large, false, photo, "b", -1, true, nil)
	var n int64
	var isOpen bool
	var got []byte
	err := s.QueryRow(t.Context(), "SELECT balance, open, photo FROM account WHERE id = ?", "čašník 🍺").Scan(&n, &isOpen, &got)
	if err != nil || n != large || isOpen || !bytes.Equal(got, photo) {
		t.Fatalf("got %d %v %v, %v", n, isOpen, got, err)
	}
	err = s.QueryRow(t.Context(), "SELECT balance, open, photo FROM account WHERE open").Scan(&n, &isOpen, &got)
	if err != nil || n != -1 || !isOpen || got != nil {
		t.Fatalf("got %d %v %v, %v", n, isOpen, got, err)
	}
}

func testUpsert(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	const upsert = insert + " ON CONFLICT (id) DO UPDATE SET balance = account.balance + excluded.balance"
	change(t, s, upsert, "a", 1, true)
	change(t, s, upsert, "a", 2, true)
	if got := balance(t, s, "a"); got != 3 {
		t.Fatalf("balance %d, want 3", got)
	}
	if n := change(t, s, insert+" ON CONFLICT DO NOTHING", "a", 9, true); n != 0 {
		t.Fatalf("changed %d rows, want 0", n)
	}
	err := s.Tx(t.Context(), func(tx *store.Tx) error {
		var n int64
		if err := tx.QueryRow(t.Context(), "UPDATE account SET balance = 10 WHERE id = ? RETURNING balance", "a").Scan(&n); err != nil {
			return err
		}
		if n != 10 {
			return fmt.Errorf("returned %d, want 10", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testUnique(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	change(t, s, insert, "a", 1, true)
	_, err := s.Exec(t.Context(), insert, "a", 1, true)
	if !s.IsUnique(err) {
		t.Fatalf("IsUnique(%v) is false", err)
	}
	_, err = s.Exec(t.Context(), "INSERT INTO nowhere (id) VALUES (?)", "a")
	if err == nil || s.IsUnique(err) || s.IsUnique(nil) {
		t.Fatalf("IsUnique(%v) is true", err)
	}
}

func testRollback(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	want := errors.New("changed my mind")
	runs := 0
	err := s.Tx(t.Context(), func(tx *store.Tx) error {
		runs++
		change(t, tx, insert, "a", 1, true)
		return want
	})
	if err != want || runs != 1 {
		t.Fatalf("got %v after %d runs, want %v after 1", err, runs, want)
	}
	if err := s.QueryRow(t.Context(), "SELECT id FROM account").Scan(new(string)); !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("a row stayed: %v", err)
	}
}

func testPanic(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		s.Tx(t.Context(), func(tx *store.Tx) error {
			change(t, tx, insert, "a", 1, true)
			panic("oh")
		})
	}()
	change(t, s, insert, "a", 2, true) // the writer is free again
	if got := balance(t, s, "a"); got != 2 {
		t.Fatalf("balance %d, want 2", got)
	}
}

func testOwnWrites(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	err := s.Tx(t.Context(), func(tx *store.Tx) error {
		change(t, tx, insert, "a", 1, true)
		change(t, tx, insert, "b", 2, true)
		rows, err := tx.Query(t.Context(), "SELECT id FROM account ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		var all string
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			all += id
		}
		if all != "ab" {
			return fmt.Errorf("saw %q, want ab", all)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testLostUpdates adds 1 from many goroutines that read first: without serializable transactions and their retry the sum is
// smaller, or some fail.
func testLostUpdates(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	change(t, s, insert, "a", 0, true)
	const workers, each = 4, 10
	together(t, workers, func(int) error {
		for range each {
			if err := s.Tx(t.Context(), func(tx *store.Tx) error {
				var n int64
				if err := tx.QueryRow(t.Context(), "SELECT balance FROM account WHERE id = ?", "a").Scan(&n); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), "UPDATE account SET balance = ? WHERE id = ?", n+1, "a")
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if got := balance(t, s, "a"); got != workers*each {
		t.Fatalf("balance %d, want %d", got, workers*each)
	}
}

// testWriteSkew lets several add a row if there are fewer than two: serializable transactions never leave three.
func testWriteSkew(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	full := errors.New("full")
	var refused sync.Map
	together(t, 6, func(i int) error {
		err := s.Tx(t.Context(), func(tx *store.Tx) error {
			var n int
			if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM account").Scan(&n); err != nil {
				return err
			}
			if n >= 2 {
				return full
			}
			_, err := tx.Exec(t.Context(), insert, fmt.Sprint(i), 0, true)
			return err
		})
		if err == full {
			refused.Store(i, true)
			return nil
		}
		return err
	})
	var n, no int
	if err := s.QueryRow(t.Context(), "SELECT count(*) FROM account").Scan(&n); err != nil {
		t.Fatal(err)
	}
	refused.Range(func(any, any) bool { no++; return true })
	if n != 2 || no != 4 {
		t.Fatalf("%d rows, %d refused, want 2 and 4", n, no)
	}
}

func together(t testing.TB, n int, f func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func testContext(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Tx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, insert, "a", 1, true); err != nil {
			return err
		}
		cancel()
		_, err := tx.Exec(ctx, insert, "b", 1, true)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	var n int
	if err := s.QueryRow(t.Context(), "SELECT count(*) FROM account").Scan(&n); err != nil || n != 0 {
		t.Fatalf("%d rows stayed, %v", n, err)
	}
}

func testIdentity(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	change(t, s, insert, "a", 0, true)
	var last int64
	for i := range 5 {
		var seq int64
		err := s.Tx(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow(t.Context(), "INSERT INTO entry (account, what) VALUES (?, ?) RETURNING seq", "a", fmt.Sprint(i)).Scan(&seq)
		})
		if err != nil {
			t.Fatal(err)
		}
		if seq <= last {
			t.Fatalf("number %d after %d", seq, last)
		}
		last = seq
		change(t, s, "DELETE FROM entry") // numbers do not come again
	}
}

func testMigrateOnce(t *testing.T, o Opener) {
	open(t, o, "one", schema).Close()
	s := open(t, o, "one", schema)
	change(t, s, insert, "a", 1, true)
	if s.Database() != "sqlite" { // several processes may open the same schema at once
		together(t, 4, func(int) error {
			s, err := o(t, "many", schema)
			if err == nil {
				s.Close()
			}
			return err
		})
	}
}

func testMigrateOn(t *testing.T, o Opener) {
	s := open(t, o, "one", fstest.MapFS{"00001_account.sql": schema["00001_account.sql"]})
	change(t, s, insert, "a", 1, true)
	s.Close()
	s = open(t, o, "one", schema)
	change(t, s, "INSERT INTO entry (account, what) VALUES (?, ?)", "a", "kept")
	empty := open(t, o, "nothing", fstest.MapFS{})
	if err := empty.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testBadMigration(t *testing.T, o Opener) {
	bad := fstest.MapFS{"00001_bad.sql": {Data: []byte("-- +goose Up\nCREATE TABLE fine (id TEXT);\nCREATE TABEL;\n")}}
	if s, err := o(t, "one", bad); err == nil {
		s.Close()
		t.Fatal("a bad migration was taken")
	}
	s := open(t, o, "one", schema) // nothing of it stayed
	if _, err := s.Exec(t.Context(), "INSERT INTO fine (id) VALUES (?)", "a"); err == nil {
		t.Fatal("a table of the bad migration stayed")
	}
}

func testTwoSystems(t *testing.T, o Opener) {
	a, b := open(t, o, "one", schema), open(t, o, "two", schema)
	change(t, a, insert, "x", 1, true)
	change(t, b, insert, "x", 2, true)
	if x, y := balance(t, a, "x"), balance(t, b, "x"); x != 1 || y != 2 {
		t.Fatalf("balances %d and %d, want 1 and 2", x, y)
	}
}

func testReopen(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	change(t, s, insert, "a", 7, true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Fatal("a closed store answers")
	}
	if got := balance(t, open(t, o, "one", schema), "a"); got != 7 {
		t.Fatalf("balance %d, want 7", got)
	}
}

// testReaders reads while a transaction is open: it sees the old state, at once.
func testReaders(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	change(t, s, insert, "a", 1, true)
	err := s.Tx(t.Context(), func(tx *store.Tx) error {
		change(t, tx, "UPDATE account SET balance = 2 WHERE id = ?", "a")
		if got := balance(t, s, "a"); got != 1 {
			return fmt.Errorf("a reader sees %d before the commit, want 1", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := balance(t, s, "a"); got != 2 {
		t.Fatalf("a reader sees %d after the commit, want 2", got)
	}
}

func testForeignKey(t *testing.T, o Opener) {
	s := open(t, o, "one", schema)
	if _, err := s.Exec(t.Context(), "INSERT INTO entry (account, what) VALUES (?, ?)", "nobody", "x"); err == nil {
		t.Fatal("an entry without its account was taken")
	}
}
