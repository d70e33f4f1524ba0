package ticket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(workerDir); dir != "" {
		os.Exit(worker(dir))
	}
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// config returns the configuration of a new, empty queue with the view models of the demo.
func config(t testing.TB, database string) ticket.Config {
	models, functions := viewmodel.Demo()
	return ticket.Config{
		Database:   storetest.Config(t, database, "relay_ticket"),
		ViewModels: viewmodel.Options{ViewModels: models, Functions: functions, Events: &events{}},
		Logger:     slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// queue is a queue of a test.
type queue struct {
	*ticket.Queue
	t testing.TB
}

// open opens a queue, which is closed when the test ends or by the function that comes with it.
func open(t testing.TB, c ticket.Config) (*queue, func()) {
	t.Helper()
	q, err := ticket.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	shut := sync.OnceFunc(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(shut)
	return &queue{q, t}, shut
}

// start opens and starts a queue.
func start(t testing.TB, c ticket.Config) *queue {
	t.Helper()
	q, _ := open(t, c)
	q.Start()
	return q
}

func (q *queue) create(in ticket.Ticket) ticket.Ticket {
	q.t.Helper()
	out, err := q.Create(q.t.Context(), in)
	if err != nil {
		q.t.Fatal(err)
	}
	return out
}

func (q *queue) put(id string, attributes map[string]any) {
	q.t.Helper()
	if err := q.PutObject(q.t.Context(), id, attributes); err != nil {
		q.t.Fatal(err)
	}
}

func (q *queue) object(id string) map[string]any {
	q.t.Helper()
	attributes, err := q.Object(q.t.Context(), id)
	if err != nil {
		q.t.Fatal(err)
	}
	return attributes
}

func (q *queue) get(id string) ticket.Ticket {
	q.t.Helper()
	got, err := q.Get(q.t.Context(), id)
	if err != nil {
		q.t.Fatal(err)
	}
	return got
}

// until waits until the ticket is in that state, and returns it.
func (q *queue) until(id string, state ticket.State) ticket.Ticket {
	q.t.Helper()
	var got ticket.Ticket
	eventually(q.t, fmt.Sprintf("ticket %s to be %v", id, state), func() bool {
		got = q.get(id)
		return got.State == state
	})
	return got
}

// counts waits until the tickets are in these states, and in no other.
func (q *queue) counts(want map[ticket.State]int64) {
	q.t.Helper()
	eventually(q.t, fmt.Sprintf("tickets to be %v", want), func() bool {
		got, err := q.Count(q.t.Context())
		if err != nil {
			q.t.Fatal(err)
		}
		for state, n := range got {
			if n != want[state] {
				return false
			}
		}
		return true
	})
}

// eventually waits for something that happens in the background.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// events records what actions ask for.
type events struct {
	mu     sync.Mutex
	calls  []string
	broken bool
}

// Trigger implements ticket.Events.
func (e *events) Trigger(_ context.Context, guid string) (int, error) {
	return 1, e.call("trigger " + guid)
}

// Subscribe implements ticket.Events.
func (e *events) Subscribe(_ context.Context, hubURL, guid, cookie string) error {
	return e.call(fmt.Sprintf("subscribe %q %s %s", hubURL, guid, cookie))
}

func (e *events) call(s string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, s)
	if e.broken {
		return errors.New("the hub is away")
	}
	return nil
}

func (e *events) expect(t testing.TB, want ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.calls, want) {
		t.Fatalf("calls %q, want %q", e.calls, want)
	}
}

// journal is a function for view models that notes the object of each run.
type journal struct {
	mu    sync.Mutex
	roots []string
}

func (j *journal) note(_ context.Context, r *viewmodel.Run) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.roots = append(j.roots, r.Object.ID)
	return nil
}

func (j *journal) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.roots)
}

// add declares a view model without columns whose one action is a function.
func add(c *ticket.Config, name string, f viewmodel.Function) {
	c.ViewModels.ViewModels = append(c.ViewModels.ViewModels, viewmodel.Config{Name: name, Actions: []string{"do" + name}})
	c.ViewModels.Functions["do"+name] = f
}

// server serves the REST endpoints of a queue.
type server struct {
	t   testing.TB
	url string
}

func serve(q *queue, guard func(string, http.Handler) http.Handler) *server {
	h := httptest.NewServer(q.Handler(guard))
	q.t.Cleanup(h.Close)
	return &server{q.t, h.URL}
}

// call makes a call with a body of JSON text, and returns status, decoded body and header.
func (s *server) call(method, path, body string) (int, map[string]any, http.Header) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var m map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &m); err != nil {
			s.t.Fatalf("%s %s: %v in %q", method, path, err, raw)
		}
	}
	return resp.StatusCode, m, resp.Header
}

// want is call for those who know the status.
func (s *server) want(status int, method, path, body string) map[string]any {
	s.t.Helper()
	got, m, _ := s.call(method, path, body)
	if got != status {
		s.t.Fatalf("%s %s: status %d %v, want %d", method, path, got, m, status)
	}
	return m
}

// objectOf is object for an escaped id.
func (q *queue) objectOf(t testing.TB, escaped string) map[string]any {
	t.Helper()
	id, err := url.PathUnescape(escaped)
	if err != nil {
		t.Fatal(err)
	}
	return q.object(id)
}
