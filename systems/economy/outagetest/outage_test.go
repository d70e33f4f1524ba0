package outagetest_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// outageLasts is the environment variable that says how long outages last.
const outageLasts = "ECONOMY_OUTAGE"

// extent returns how long an outage lasts, and how many purchases a second there are meanwhile.
func extent(t testing.TB) (lasts time.Duration, rate int) {
	s := os.Getenv(outageLasts)
	if s == "" {
		return 3 * time.Second, 10
	}
	lasts, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("%s=%q: %v", outageLasts, s, err)
	}
	return lasts, 50
}

// open opens all services in this process behind an HTTP server.
func open(t testing.TB, c economy.Config) (*economy.System, string) {
	t.Helper()
	s, err := economy.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	h, err := handler(s)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		for _, hub := range s.Hubs() {
			hub.Shutdown(context.Background(), 0)
		}
		server.Close()
		s.Close()
	})
	return s, server.URL
}

// record counts the lines of a log, each kind once.
type record struct {
	mu    sync.Mutex
	lines map[string]int
	last  map[string]string
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines == nil {
		r.lines, r.last = make(map[string]int), make(map[string]string)
	}
	_, after, _ := bytes.Cut(p, []byte("msg="))
	kind, _, _ := strings.Cut(strings.TrimPrefix(string(after), `"`), `"`)
	r.lines[kind]++
	r.last[kind] = string(bytes.TrimSpace(after))
	return len(p), nil
}

func (r *record) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (r *record) tell(t testing.TB) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for kind, n := range r.lines {
		t.Logf("%d times: %s", n, r.last[kind])
	}
}

// endure has players buy before, while and after something is away, and holds that nothing is lost and nothing doubled.
func endure(t *testing.T, w *world, s *economy.System, lasts time.Duration, rate int, away, back func()) {
	t.Helper()
	if os.Getenv(outageLasts) != "" {
		w.patience = 5 * time.Second // as the portal's
	}
	stop := w.load(rate)
	time.Sleep(lasts / 3) // of the load, before
	away()
	gone := time.Now()
	eventually(t, "services say that they are not ready", func() bool { return w.isReady(503) })
	noticed := time.Since(gone)
	time.Sleep(lasts - noticed)
	if !w.isReady(503) {
		t.Errorf("readiness %v at the end of the outage, want 503", w.ready())
	}
	back()
	returned := time.Now()
	eventually(t, "services are ready again", func() bool { return w.isReady(200) })
	well := time.Since(returned)
	time.Sleep(lasts / 3)
	stop()
	posted := time.Since(returned)
	twice := w.told()
	caught := time.Since(returned)
	w.books()
	for _, all := range twice {
		t.Errorf("told more than once: %v", all)
	}
	noDeadLetters(t, s)
	t.Logf("%d purchases over %s; not ready after %s, ready %s after the return; all accepted %s and all told %s after the return; POSTs sent again %d %v, the slowest answer took %s",
		w.sent.Load(), time.Since(gone).Round(time.Second), noticed.Round(time.Millisecond), well.Round(time.Millisecond), posted.Round(time.Millisecond),
		caught.Round(time.Millisecond), w.again.Load(), w.failures, time.Duration(w.slowest.Load()).Round(time.Millisecond))
}

func noDeadLetters(t *testing.T, s *economy.System) {
	t.Helper()
	dead, err := s.Bus().DeadLetters(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range dead {
		t.Errorf("dead letter of %s: %s %s: %s", l.Queue, l.Topic, l.Body, l.Reason)
	}
}

// PostgreSQL is stopped at once under load, and started again.
func TestDatabaseStops(t *testing.T) {
	t.Parallel()
	lasts, rate := extent(t)
	server := storetest.PostgresOf(t)
	var log record
	s, url := open(t, config(server.URL("play"), "", t.TempDir(), log.logger()))
	w := newWorld(t, url, server.URL("play"), 10)
	endure(t, w, s, lasts, rate, server.Stop, server.Start)
	log.tell(t)
}

// The NATS server is killed under load, and started again.
func TestBusIsKilled(t *testing.T) {
	t.Parallel()
	lasts, rate := extent(t)
	database := storetest.Postgres(t)
	nats, broker := newNATS(t)
	var log record
	s, url := open(t, config(database, broker, t.TempDir(), log.logger()))
	w := newWorld(t, url, database, 10)
	endure(t, w, s, lasts, rate, nats.kill, nats.start)
	log.tell(t)
}
