package storetest

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Mortal is a PostgreSQL server of one test, which may stop and start it. It is not safe for concurrent use.
type Mortal struct {
	t        testing.TB
	server   *server
	programs string
	as       string
}

// PostgresOf starts a PostgreSQL server for one test, on a port and with data that it keeps over [Mortal.Stop] and
// [Mortal.Start], and ends it with the test, which fails if PostgreSQL is not installed.
func PostgresOf(t testing.TB) *Mortal {
	t.Helper()
	programs, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		t.Fatal(err)
	}
	m := &Mortal{t: t, server: &server{dir: dir, done: make(chan struct{}), keep: true}, programs: programs}
	if m.as, err = m.server.owner(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if m.server.alive != nil {
			m.server.alive.Close()
			<-m.server.done
		}
		os.RemoveAll(dir)
	})
	if err := m.server.start(programs); err != nil {
		t.Fatal(err)
	}
	return m
}

// URL makes a new, empty database, unless it is there, and returns its URL.
func (m *Mortal) URL(database string) string {
	m.t.Helper()
	err := m.server.run(context.Background(), "CREATE DATABASE "+database)
	if err != nil && !strings.Contains(err.Error(), "already exists") {
		m.t.Fatal(err)
	}
	return m.server.url(database)
}

// Port returns the port of 127.0.0.1 that the server listens on.
func (m *Mortal) Port() int { return m.server.port }

// Stop ends the server as `pg_ctl stop -m immediate` does: connections break in the middle of what they do, and the next start
// recovers from the log. It blocks until the server is gone.
func (m *Mortal) Stop() {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.server.dir, "data", "postmaster.pid"))
	if err != nil {
		m.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		m.t.Fatalf("storetest: stop PostgreSQL, process %d: %v", pid, err)
	}
	select {
	case <-m.server.done:
	case <-time.After(30 * time.Second):
		m.t.Fatal("PostgreSQL did not stop in 30 s")
	}
	m.server.alive.Close()
	m.server.alive = nil
}

// Start starts the server again where it was. It blocks until the server answers.
func (m *Mortal) Start() {
	m.t.Helper()
	m.server.done = make(chan struct{})
	if err := m.server.listen(m.as, filepath.Join(m.programs, "postgres"), filepath.Join(m.server.dir, "data")); err != nil {
		m.t.Fatal(err)
	}
}
