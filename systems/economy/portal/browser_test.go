package portal_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite"

	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the OpenID provider's library logs there
	goleak.VerifyTestMain(m)
}

const (
	adminEmail    = "admin@play.com"
	adminPassword = "the password of the administrator"
)

// line is the network between browsers and a server, which can be cut.
type line struct {
	net.Listener
	mu    sync.Mutex
	down  bool
	conns map[*wire]struct{}
}

type wire struct {
	net.Conn
	line *line
}

func (l *line) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		if l.down {
			c.Close()
		} else {
			w := &wire{c, l}
			l.conns[w] = struct{}{}
			c = w
		}
		down := l.down
		l.mu.Unlock()
		if !down {
			return c, nil
		}
	}
}

func (w *wire) Close() error {
	w.line.mu.Lock()
	delete(w.line.conns, w)
	w.line.mu.Unlock()
	return w.Conn.Close()
}

// cut ends all connections and lets no new ones in, until mend.
func (l *line) cut(down bool) {
	l.mu.Lock()
	l.down = down
	var all []*wire
	for w := range l.conns {
		all = append(all, w)
	}
	l.mu.Unlock()
	if down {
		for _, w := range all {
			w.Close()
		}
	}
}

// stage is Play Economy behind a line, with the hands of who makes things go wrong there.
type stage struct {
	t      testing.TB
	system *economy.System
	dir    string
	line   *line
	url    string

	mu   sync.Mutex
	deaf bool // the hub is away
	held map[string]func()
}

func newStage(t testing.TB, change func(c *economy.Config)) *stage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: t.TempDir(), line: &line{Listener: l, conns: make(map[*wire]struct{})}, url: "http://" + l.Addr().String(), held: make(map[string]func())}
	quiet := slog.New(slog.DiscardHandler)
	c := economy.Config{
		URL: s.url, Database: store.Config{Dir: s.dir}, Logger: quiet,
		Identity: identity.Config{AdminPassword: adminPassword, PasswordCost: bcrypt.MinCost},
		Trading:  trading.Config{Resend: time.Second},
	}
	if change != nil {
		change(&c)
	}
	if s.system, err = economy.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	if err := s.system.Mount(mux); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.between(mux), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(s.line)
	}()
	t.Cleanup(func() {
		for _, release := range s.held {
			release()
		}
		for _, hub := range s.system.Hubs() {
			hub.Shutdown(context.Background(), 0)
		}
		server.Close()
		s.line.cut(true) // what the server does not know of, such as sockets
		<-done
		s.system.Close()
	})
	return s
}

// between keeps requests from the hub while it is deaf.
func (s *stage) between(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		deaf := s.deaf
		s.mu.Unlock()
		if deaf && strings.HasPrefix(r.URL.Path, "/trading-svc/messagehub") {
			http.Error(w, "The hub is away.", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hold keeps a service from writing anything, as if its database were slow, until it is held no more.
func (s *stage) hold(service string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if release := s.held[service]; release != nil {
		release()
		delete(s.held, service)
	}
	if !on {
		return nil
	}
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "economy_"+service+".db")+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	tx, err := db.Begin()
	if err != nil {
		db.Close()
		return err
	}
	s.held[service] = func() {
		tx.Rollback()
		db.Close()
	}
	return nil
}

// director lets the script tell what is to go wrong: POST /cut, /mend, /deaf, /hear, /hold?inventory, /release?inventory.
func (s *stage) director() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch r.URL.Path {
		case "/cut", "/mend":
			s.line.cut(r.URL.Path == "/cut")
		case "/deaf", "/hear":
			s.mu.Lock()
			s.deaf = r.URL.Path == "/deaf"
			s.mu.Unlock()
			if s.deaf { // the sockets that are open go too
				s.line.cut(true)
				s.line.cut(false)
			}
		case "/hold", "/release":
			err = s.hold(r.URL.RawQuery, r.URL.Path == "/hold")
		default:
			err = fmt.Errorf("the script wants %s, which nobody knows", r.URL.Path)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// TestInBrowser: people use the portal with Chromium. HUBBUB_SCREENSHOTS names a folder for pictures of all pages and states.
func TestInBrowser(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../../../conformance/js/node_modules/playwright-core"); err != nil {
		t.Fatalf("the npm packages are missing: node conformance/js/install.js installs them (%v)", err)
	}
	for _, tt := range []struct {
		scene  string // of testdata/portal.mjs
		empty  bool
		change func(c *economy.Config)
	}{
		{scene: "buying"},
		{scene: "together", change: func(c *economy.Config) { c.Identity.AccessTokenLifetime = 10 * time.Second }},
		{scene: "trouble"},
		{scene: "calledOff", change: func(c *economy.Config) { c.Trading.Deadline = 3 * time.Second }},
		{scene: "administration", empty: true},
		{scene: "elsewhere"},
	} {
		t.Run(tt.scene, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, tt.change)
			if !tt.empty {
				s.fill()
			}
			s.play(tt.scene)
		})
	}
}

// fill puts items into the catalog.
func (s *stage) fill() {
	s.t.Helper()
	for _, i := range []catalog.Item{
		{Name: "Potion", Description: "Restores a small amount of HP.", Price: 5 * contracts.OneGil},
		{Name: "Bronze sword", Description: "Deals a small amount of damage.", Price: 20 * contracts.OneGil},
	} {
		if _, err := s.system.Catalog().Create(s.t.Context(), i); err != nil {
			s.t.Fatal(err)
		}
	}
}

// play runs the script.
func (s *stage) play(scene string) {
	s.t.Helper()
	director := httptest.NewServer(s.director())
	s.t.Cleanup(director.Close)
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	args := []string{"testdata/portal.mjs", scene, s.url + "/economy/", director.URL, adminEmail, adminPassword}
	if folder := os.Getenv("HUBBUB_SCREENSHOTS"); folder != "" {
		args = append(args, folder)
	}
	if out, err := exec.CommandContext(ctx, "node", args...).CombinedOutput(); err != nil {
		s.t.Errorf("%v\n%s", err, out)
	}
}
