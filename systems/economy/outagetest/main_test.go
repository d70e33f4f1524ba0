// Package outagetest_test shows what Play Economy does when what it stands on goes away: one of two nodes, PostgreSQL, NATS, the
// network between them, and the answer to a commit. The binary of its tests is also the processes that they kill.
//
// With ECONOMY_OUTAGE=30s outages last so long, under 50 purchases a second:
//
//	ECONOMY_OUTAGE=30s go test -v -timeout 10m -run 'Stops|Killed' ./systems/economy/outagetest
package outagetest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// What this binary is in place of running tests: "nats" or "node", at an address of 127.0.0.1, with its folder, and for a node with
// its database and bus.
const (
	roleIs   = "OUTAGE_TEST_ROLE"
	roleAt   = "OUTAGE_TEST_AT"
	roleIn   = "OUTAGE_TEST_IN"
	roleData = "OUTAGE_TEST_DATABASE"
	roleBus  = "OUTAGE_TEST_BUS"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleIs) {
	case "":
		os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
	case "nats":
		err = serveNATS(os.Getenv(roleAt), os.Getenv(roleIn))
	case "node":
		err = serveNode(os.Getenv(roleAt), config(os.Getenv(roleData), os.Getenv(roleBus), os.Getenv(roleIn), quiet()))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serveNATS serves until its input ends.
func serveNATS(at, dir string) error {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return err
	}
	o := &server.Options{Host: host, JetStream: true, StoreDir: dir, NoSigs: true, SyncAlways: true, NoLog: true}
	fmt.Sscan(port, &o.Port)
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return fmt.Errorf("NATS is not ready after %s", patience)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// config is that of all four services; an empty database is SQLite in the folder, an empty bus a server inside the process.
func config(database, broker, dir string, log *slog.Logger) economy.Config {
	return economy.Config{
		Issuer:   "http://play.test/identity-svc",
		Database: store.Config{URL: database, Dir: dir},
		Bus:      bus.Config{URL: broker, Dir: dir, SyncInterval: time.Minute, Logger: quiet()},
		Identity: identity.Config{StartingGil: startingGil, PasswordCost: 4, Announce: func(string, string) {}},
		NoPortal: true,
		Logger:   log,
	}
}

const startingGil = 100_000 * contracts.OneGil

// handler serves the services, and what tests need beside them.
func handler(s *economy.System) (http.Handler, error) {
	mux := http.NewServeMux()
	if err := s.Mount(mux); err != nil {
		return nil, err
	}
	answer := func(f func(r *http.Request) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			v, err := f(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			json.NewEncoder(w).Encode(v)
		}
	}
	mux.HandleFunc("POST /test/player", answer(func(r *http.Request) (any, error) {
		email := uuid.NewString() + "@play.test"
		u, err := s.Identity().Register(r.Context(), email, "a long password", "")
		if err != nil {
			return nil, err
		}
		token, err := s.Identity().Token(r.Context(), email, time.Hour)
		return player{ID: u.ID, Token: token}, err
	}))
	mux.HandleFunc("POST /test/item", answer(func(r *http.Request) (any, error) {
		return s.Catalog().Create(r.Context(), catalog.Item{Name: "Potion", Price: price})
	}))
	mux.HandleFunc("GET /test/changed", answer(func(*http.Request) (any, error) {
		return s.Trading().Machine().Stats().Changed, nil
	}))
	return mux, nil
}

const price = 5 * contracts.OneGil

// serveNode serves until its input ends.
func serveNode(at string, c economy.Config) error {
	s, err := economy.Open(context.Background(), c)
	if err != nil {
		return err
	}
	defer s.Close()
	h, err := handler(s)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	go http.Serve(l, h)
	io.Copy(io.Discard, os.Stdin)
	for _, hub := range s.Hubs() {
		hub.Shutdown(context.Background(), 0)
	}
	return nil
}

// process is this binary in a role, at an address that it keeps.
type process struct {
	t    testing.TB
	at   string
	env  []string
	cmd  *exec.Cmd
	in   io.Closer
	dead chan struct{}
}

// newProcess starts a process, and ends it with the test.
func newProcess(t testing.TB, role string, env ...string) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	p := &process{t: t, at: at, env: append(env, roleIs+"="+role, roleAt+"="+at, roleIn+"="+t.TempDir())}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd, dead := p.cmd, make(chan struct{})
	p.in, p.dead = in, dead
	go func() {
		io.Copy(io.Discard, out)
		cmd.Wait()
		close(dead)
	}()
	if strings.TrimSpace(line) != "ready" {
		p.t.Fatalf("the process said %q, %v, want ready", line, err)
	}
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.dead
	p.in.Close()
}

func newNATS(t testing.TB) (*process, string) {
	t.Helper()
	p := newProcess(t, "nats")
	return p, "nats://" + p.at
}
