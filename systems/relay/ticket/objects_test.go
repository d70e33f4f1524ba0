package ticket_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// elsewhere keeps objects in memory, and does not always answer.
type elsewhere struct {
	mu      sync.Mutex
	objects map[string]map[string]any
	reads   int // that fail
	writes  int // that fail
}

var errAway = errors.New("nobody there")

// Attributes implements ticket.Objects.
func (e *elsewhere) Attributes(_ context.Context, _ store.Queryer, id string) (map[string]any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reads > 0 && id == "1|away" {
		e.reads--
		return nil, errAway
	}
	attributes, found := e.objects[id]
	if !found {
		return nil, ticket.ErrNoObject
	}
	return maps.Clone(attributes), nil
}

// Put implements ticket.Objects.
func (e *elsewhere) Put(_ context.Context, _ store.Queryer, id string, attributes map[string]any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.writes > 0 && id == "1|away" {
		e.writes--
		return errAway
	}
	e.objects[id] = attributes
	return nil
}

// Delete implements ticket.Objects.
func (e *elsewhere) Delete(_ context.Context, _ store.Queryer, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.objects, id)
	return nil
}

// List implements ticket.Objects.
func (e *elsewhere) List(_ context.Context, _ store.Queryer, class, after string, n int) ([]viewmodel.Object, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []viewmodel.Object
	for _, id := range slices.Sorted(maps.Keys(e.objects)) {
		if id > after && (class == "" || class == viewmodel.ClassOf(id)) && len(all) < n {
			all = append(all, viewmodel.Object{ID: id, Attributes: e.objects[id]})
		}
	}
	return all, nil
}

// TestObjectsElsewhere runs tickets of objects that cannot be reached at first: they run again, and others are not kept waiting.
func TestObjectsElsewhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ reads, writes, attempts int }{{2, 0, 3}, {0, 1, 2}} {
		storetest.Each(t, func(t *testing.T, database string) {
			c := config(t, database)
			c.Objects = &elsewhere{objects: map[string]map[string]any{"1|away": {}, "1|near": {}}, reads: tt.reads, writes: tt.writes}
			q := start(t, c)
			away := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|away"})
			near := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|near"})
			if got := q.until(near.ID, ticket.Done); got.Attempts != 1 {
				t.Fatalf("the other ticket %+v, want 1 attempt", got)
			}
			if got := q.until(away.ID, ticket.Done); got.Attempts != tt.attempts {
				t.Fatalf("done %+v, want %d attempts", got, tt.attempts)
			}
			if runs := fmt.Sprint(q.object("1|away"), q.object("1|near")); runs != "map[runs:1] map[runs:1]" {
				t.Fatalf("objects %s, want 1 run each", runs)
			}
		})
	}
}

// TestObjectsGone gives a ticket up whose object cannot be reached at all.
func TestObjectsGone(t *testing.T) {
	t.Parallel()
	c := config(t, "sqlite")
	c.Objects = &elsewhere{objects: map[string]map[string]any{"1|away": {}}, writes: 1000}
	c.MaxCutOff = 2
	q := start(t, c)
	id := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|away"}).ID
	if got := q.until(id, ticket.Failed); got.Attempts != 2 || !strings.Contains(got.Error, "without reaching the objects") {
		t.Fatalf("failed %+v, want it after 2 attempts", got)
	}
}

// FuzzObject puts any body: it is refused, or what comes back is the same when it is put again.
func FuzzObject(f *testing.F) {
	for _, body := range []string{`{}`, `{"a":1,"b":[1.5,null,{"c":"\u0000<ü>"}]}`, `null`, `{"a":1e999}`, `{"a":9007199254740993}`, `{"a":-0}`, `{"a":1e2}`,
		`{} {}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, "{\"\xff\":1}"} {
		f.Add(body)
	}
	q, _ := open(f, config(f, "sqlite"))
	h := q.Handler(nil)
	call := func(method, body string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/realtime/objects/1%7C2", strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	f.Fuzz(func(t *testing.T, body string) {
		status, answer := call("PUT", body)
		if status == 400 || status == 413 {
			return
		}
		if status != 204 || answer != "" {
			t.Fatalf("PUT: %d %q", status, answer)
		}
		_, first := call("GET", "")
		if status, answer := call("PUT", first); status != 204 {
			t.Fatalf("PUT of %q: %d %q", first, status, answer)
		}
		if _, second := call("GET", ""); second != first {
			t.Fatalf("got %q, then %q", first, second)
		}
	})
}

// FuzzTicket posts any body: it is refused, or there is a ticket.
func FuzzTicket(f *testing.F) {
	for _, body := range []string{`{"viewModel":"SomeVM","rootId":"1|2"}`, `{}`, `null`, `{"executeEarliest":"2020-01-02T03:04:05Z","priority":1}`,
		`{"executeEarliest":"0000-01-01T00:00:00Z"}`, `{"executeEarliest":"9999-12-31T23:59:59.9999999-23:59"}`, `{"keepReceiptMinutes":5270400}`, `{"rootId":"\u0000"}`} {
		f.Add(body)
	}
	q, _ := open(f, config(f, "sqlite"))
	h := q.Handler(nil)
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/realtime/tickets", strings.NewReader(body)))
		switch w.Code {
		case 400, 413:
		case 201:
			r := httptest.NewRecorder()
			h.ServeHTTP(r, httptest.NewRequest("GET", w.Header().Get("Location"), nil))
			if r.Code != 200 || r.Body.String() != w.Body.String() {
				t.Fatalf("made %s, then %d %s", w.Body, r.Code, r.Body)
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
