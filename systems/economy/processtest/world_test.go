package processtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// world is Play Economy as its players see it: some processes.
type world struct {
	t testing.TB
	settings
	nats  *process // nil if the bus is in the one process
	hosts []*host
	admin string // a token
	given int64  // millionths of a gil that the administrator has given

	mu         sync.Mutex
	registered int
}

// host is a process with services, at an address that it keeps.
type host struct {
	*process
	services []string
	url      string
}

// newWorld starts all processes: one, or one for each service and one for NATS.
func newWorld(t testing.TB, database string, apart bool, change func(c *settings)) *world {
	t.Helper()
	w := &world{t: t, settings: settings{
		Database: storetest.Config(t, database, "x"), Gil: 100 * contracts.OneGil, Deadline: time.Hour, Resend: time.Second,
		Bus: bus.Config{Name: contracts.BusName, SyncInterval: time.Minute, AckWait: 300 * time.Millisecond},
	}}
	w.Log = os.Getenv(logVariable) != ""
	if change != nil {
		change(&w.settings)
	}
	var err error
	if w.admin, err = issuer(catalog.Audience).Sign(map[string]any{
		"sub": uuid.NewString(), "role": "Admin", "scope": "catalog.fullaccess",
	}, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	groups := [][]string{services}
	if apart {
		groups = nil
		for _, s := range services {
			groups = append(groups, []string{s})
		}
		w.startNATS(filepath.Join(dir, "nats"))
	} else {
		w.Bus.Dir = filepath.Join(dir, "bus")
	}
	for _, g := range groups {
		h := &host{services: g}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		h.url = "http://" + l.Addr().String()
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		h.process = &process{t: t, role: "services", file: file}
		if slices.Contains(g, "identity") {
			w.Issuer = h.url + "/identity-svc"
		}
		w.hosts = append(w.hosts, h)
		w.start(h)
		t.Cleanup(h.stop)
	}
	return w
}

func (w *world) startNATS(dir string) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	w.Bus.URL = fmt.Sprintf("nats://127.0.0.1:%d", port)
	w.nats = &process{t: w.t, role: "nats"}
	w.nats.start(settings{Port: port, Dir: dir})
	w.t.Cleanup(w.nats.kill)
}

// start starts the process of a host.
func (w *world) start(h *host, traps ...trap) {
	w.t.Helper()
	c := w.settings
	c.Services, c.Traps = h.services, traps
	h.process.start(c)
}

// process is a process of this binary, which can be killed and started again.
type process struct {
	t    testing.TB
	role string
	file *os.File // what it listens to; it is there while the process is not
	last any      // settings

	mu   sync.Mutex
	cmd  *exec.Cmd
	in   io.Closer
	dead chan struct{}
}

func (p *process) start(c any) {
	p.t.Helper()
	p.last = c
	text, err := json.Marshal(c)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+p.role, settingsVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	if p.file != nil {
		cmd.ExtraFiles = []*os.File{p.file}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		cmd.Process.Kill()
		cmd.Wait()
		p.t.Fatalf("the process of %s said %q, %v, want ready", p.role, line, err)
	}
	dead := make(chan struct{})
	go func() {
		cmd.Wait()
		in.Close()
		close(dead)
	}()
	p.mu.Lock()
	p.cmd, p.in, p.dead = cmd, in, dead
	p.mu.Unlock()
}

// again starts it as the last time.
func (p *process) again() {
	p.t.Helper()
	p.start(p.last)
}

// gone is closed when the process has ended.
func (p *process) gone() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// kill ends it as kill -9 does.
func (p *process) kill() {
	p.mu.Lock()
	cmd, dead := p.cmd, p.dead
	p.mu.Unlock()
	cmd.Process.Kill()
	<-dead
}

// stop ends it as a person would, and kills it if it does not end.
func (p *process) stop() {
	p.mu.Lock()
	in, dead := p.in, p.dead
	p.mu.Unlock()
	in.Close()
	select {
	case <-dead:
	case <-time.After(patience):
		p.t.Errorf("the process did not end in %s", patience)
		p.kill()
	}
}

// of returns the host of a service.
func (w *world) of(service string) *host {
	for _, h := range w.hosts {
		if slices.Contains(h.services, service) {
			return h
		}
	}
	w.t.Fatalf("no host of %s", service)
	return nil
}

// ask sends a request to a service, which may die meanwhile. Status 0 means no answer.
func (w *world) ask(ctx context.Context, method, service, path, token, body string) (int, []byte) {
	r, err := http.NewRequestWithContext(ctx, method, w.of(service).url+path, strings.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return 0, nil
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer a.Body.Close()
	p, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, nil
	}
	return a.StatusCode, p
}

// insist asks again until there is an answer that is one of the wanted.
func (w *world) insist(what string, want []int, ask func(ctx context.Context) (int, []byte)) (status int, body []byte) {
	w.t.Helper()
	w.eventually(what, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		status, body = ask(ctx)
		if status != 0 && !slices.Contains(want, status) {
			w.t.Fatalf("%s: answered with %d, %s, want %v", what, status, body, want)
		}
		return status != 0
	})
	return status, body
}

// trap sets the traps of a host.
func (w *world) trap(h *host, all ...trap) {
	w.t.Helper()
	text, err := json.Marshal(all)
	if err != nil {
		w.t.Fatal(err)
	}
	w.insist("set traps", []int{200}, func(ctx context.Context) (int, []byte) {
		return w.ask(ctx, "POST", h.services[0], "/traps", "", string(text))
	})
}

// eventually polls until ok.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// calm waits until no message is under way, no saga has something to do and no buyer is still to be told, and wants no dead letter.
func (w *world) calm() {
	w.t.Helper()
	w.calmIn(patience)
}

func (w *world) calmIn(most time.Duration) {
	w.t.Helper()
	deadline := time.Now().Add(most)
	for quiet := 0; quiet < 2; {
		quiet++
		what := w.bustle()
		if what != "" {
			quiet = 0
			time.Sleep(10 * time.Millisecond)
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("not in %s: all is calm: %s", most, what)
		}
	}
}

// bustle says what is still to be done.
func (w *world) bustle() string {
	w.t.Helper()
	var what []string
	for _, h := range w.hosts {
		var c calm
		status, body := w.insist("calm", []int{200, 503}, func(ctx context.Context) (int, []byte) {
			return w.ask(ctx, "GET", h.services[0], "/calm", "", "")
		})
		if status == 503 { // the bus is not there yet
			return string(body)
		}
		if err := json.Unmarshal(body, &c); err != nil {
			w.t.Fatal(err)
		}
		if len(c.Dead) > 0 {
			w.t.Fatalf("dead letters: %s", strings.Join(c.Dead, "\n"))
		}
		if c.Outbox+len(c.Queues) > 0 {
			what = append(what, fmt.Sprintf("%v has %d messages to send, on the bus are %v", h.services, c.Outbox, c.Queues))
		}
	}
	for _, open := range []struct{ what, query string }{
		{"commands", "SELECT count(*) FROM saga_command WHERE status = 'open'"},
		{"timers", "SELECT count(*) FROM saga_timer"},
		{"buyers to be told", "SELECT count(*) FROM push WHERE told = 0"},
	} {
		if n := w.count("trading", open.query); n > 0 {
			what = append(what, fmt.Sprintf("%d %s", n, open.what))
		}
	}
	return strings.Join(what, "; ")
}

func (w *world) databaseOf(service string) store.Config {
	c := w.Database
	c.Name = service
	return c
}

// open opens the database of a service beside its process.
func (w *world) open(service string) *store.Store {
	w.t.Helper()
	s, err := store.Open(context.Background(), w.databaseOf(service), fstest.MapFS{})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// count runs a statement that gives one number.
func (w *world) count(service, query string, args ...any) (n int64) {
	w.t.Helper()
	s := w.open(service)
	defer s.Close()
	if err := s.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %s: %v", service, query, err)
	}
	return n
}

// item is one of the catalog, as the tests ask for it.
type item struct {
	ID    uuid.UUID     `json:"id"`
	Name  string        `json:"name"`
	Price contracts.Gil `json:"price"`
	Stock *int64        `json:"stock,omitempty"`
}

// sell adds an item, and waits until it is for sale.
func (w *world) sell(i item) item {
	w.t.Helper()
	body, err := json.Marshal(i)
	if err != nil {
		w.t.Fatal(err)
	}
	_, p := w.insist("add an item", []int{201}, func(ctx context.Context) (int, []byte) {
		return w.ask(ctx, "POST", "catalog", "/catalog-svc/items", w.admin, string(body))
	})
	var made item
	if err := json.Unmarshal(p, &made); err != nil {
		w.t.Fatal(err)
	}
	w.eventually(i.Name+" is for sale", func() bool {
		return w.count("trading", "SELECT count(*) FROM catalog_item WHERE id = ?", made.ID.String()) == 1 &&
			w.count("inventory", "SELECT count(*) FROM catalog_item WHERE id = ?", made.ID.String()) == 1
	})
	return made
}

// register adds the account of a player.
func (w *world) register() identity.User {
	w.t.Helper()
	w.mu.Lock()
	w.registered++
	n := w.registered
	w.mu.Unlock()
	var u identity.User
	w.insist("register", []int{201}, func(ctx context.Context) (int, []byte) {
		status, p := w.ask(ctx, "POST", "identity", "/identity-svc/register", "", fmt.Sprintf(`{"email":"player%d@play.com","password":"correct horse"}`, n))
		if status == 201 {
			if err := json.Unmarshal(p, &u); err != nil {
				w.t.Fatal(err)
			}
		}
		return status, p
	})
	return u
}
