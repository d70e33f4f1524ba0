package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestIsPassing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err     error
		passing bool
	}{
		{nil, false},
		{errors.New("no such account"), false},
		{sql.ErrNoRows, false},
		{context.Canceled, false},
		{context.DeadlineExceeded, true},
		{io.ErrUnexpectedEOF, true},
		{driver.ErrBadConn, true},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		{&pgconn.PgError{Code: "23505"}, false},
		{&pgconn.PgError{Code: "42P01"}, false},
		{&pgconn.PgError{Code: "57014"}, false},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: "57P03"}, true},
		{&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "40001"}, true},
		{&pgconn.PgError{Code: "08006"}, true},
		{&pgconn.PgError{}, false},
	} {
		for _, err := range []error{tt.err, fmt.Errorf("store: commit: %w", tt.err)} {
			if tt.err == nil {
				err = nil
			}
			if got := store.IsPassing(err); got != tt.passing {
				t.Errorf("%v: passing is %v, want %v", err, got, tt.passing)
			}
		}
	}
}

// What a server that is away makes of calls is passing, and what a statement is to blame for is not, on each database.
func TestPassingForReal(t *testing.T) {
	t.Parallel()
	migrations := fstest.MapFS{"1_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY);\n")}}
	storetest.Each(t, func(t *testing.T, database string) {
		s, err := store.Open(t.Context(), storetest.Config(t, database, "a"), migrations)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, statement := range []string{"SELECT x FROM t", "INSERT INTO t (n) VALUES (NULL)", "INSERT INTO nothing (n) VALUES (1)", "no SQL"} {
			if _, err := s.Exec(t.Context(), statement); err == nil || store.IsPassing(err) {
				t.Errorf("%s: %v is passing", statement, err)
			}
		}
	})
	t.Run("postgres stopped", func(t *testing.T) {
		t.Parallel()
		server := storetest.PostgresOf(t)
		s, err := store.Open(t.Context(), store.Config{Name: "a", URL: server.URL("x")}, migrations)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		cut := s.Tx(t.Context(), func(tx *store.Tx) error {
			server.Stop()
			_, err := tx.Exec(t.Context(), "INSERT INTO t (n) VALUES (1)")
			return err
		})
		_, refused := s.Exec(t.Context(), "INSERT INTO t (n) VALUES (1)")
		var n int
		row := s.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n)
		for what, err := range map[string]error{"cut": cut, "refused": refused, "read": row, "ping": s.Ping(t.Context())} {
			if !store.IsPassing(err) {
				t.Errorf("%s: %v is not passing", what, err)
			}
		}
	})
	t.Run("sqlite locked", func(t *testing.T) {
		t.Parallel()
		c := storetest.Config(t, "sqlite", "a")
		c.BusyTimeout = time.Millisecond
		s, err := store.Open(t.Context(), c, migrations)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		other, err := sql.Open("sqlite", "file:"+filepath.Join(c.Dir, "a.db")+"?_txlock=immediate")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		tx, err := other.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := s.Exec(t.Context(), "INSERT INTO t (n) VALUES (1)"); !store.IsPassing(err) {
			t.Errorf("%v is not passing", err)
		}
	})
}
