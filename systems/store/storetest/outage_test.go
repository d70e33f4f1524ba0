package storetest_test

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func TestStoppedAndStarted(t *testing.T) {
	t.Parallel()
	server := storetest.PostgresOf(t)
	c := store.Config{Name: "a", URL: server.URL("x")}
	s, err := store.Open(t.Context(), c, fstest.MapFS{"1_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (n BIGINT);\n")}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	add := func() error {
		_, err := s.Exec(t.Context(), "INSERT INTO t (n) VALUES (1)")
		return err
	}
	if err := add(); err != nil {
		t.Fatal(err)
	}
	port := server.Port()
	for range 2 {
		server.Stop()
		if err := add(); err == nil {
			t.Error("a stopped server has taken a row")
		}
		server.Start()
		if server.Port() != port || server.URL("x") != c.URL {
			t.Errorf("port %d, want %d", server.Port(), port)
		}
		if err := add(); err != nil {
			t.Errorf("after the start: %v", err)
		}
	}
	var n int
	if err := s.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d rows, %v, want 3", n, err)
	}
}
