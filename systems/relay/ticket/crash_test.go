package ticket_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// workerDir is the environment variable that makes a worker process of the test binary: a workerOrder in JSON.
const workerDir = "HUBBUB_TEST_TICKET_WORKER"

// workerOrder is what a worker process does: run tickets, and hang in all from a certain run on until it is killed.
type workerOrder struct {
	DB     store.Config
	HangAt int64
}

// workerConfig is what a worker process and its test agree on.
func workerConfig(db store.Config, hang func(r *viewmodel.Run)) ticket.Config {
	models, functions := viewmodel.Demo()
	models = append(models, viewmodel.Config{Name: "HangVM", Actions: []string{"CountRun", "hang"}})
	functions["hang"] = func(ctx context.Context, r *viewmodel.Run) error {
		hang(r)
		return nil
	}
	return ticket.Config{Database: db, Lease: 2 * time.Second,
		ViewModels: viewmodel.Options{ViewModels: models, Functions: functions, Events: &events{}}}
}

// worker is the worker process: it says which tickets it runs.
func worker(text string) int {
	var order workerOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		fmt.Println(err)
		return 1
	}
	var runs atomic.Int64
	q, err := ticket.Open(context.Background(), workerConfig(order.DB, func(r *viewmodel.Run) {
		n := runs.Add(1)
		fmt.Println("running", r.Ticket, r.Attempt)
		if n >= order.HangAt {
			time.Sleep(time.Hour)
		}
	}))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	q.Start()
	time.Sleep(time.Hour)
	return 0
}

// killWorker starts a worker process and ends it in the given run, as a power cut does. It returns what the process said last.
func killWorker(t *testing.T, db store.Config, run int) (last string) {
	t.Helper()
	db.Logger = nil
	text, err := json.Marshal(workerOrder{db, int64(run)})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerDir+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watch := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer watch.Stop()
	defer cmd.Wait()
	defer cmd.Process.Kill()
	r := bufio.NewReader(out)
	for i := range run {
		if last, err = r.ReadString('\n'); err != nil || !strings.HasPrefix(last, "running ") {
			t.Fatalf("line %d of the worker: %q, %v", i+1, last, err)
		}
	}
	return strings.TrimSpace(last)
}

// killWorkerIn kills a worker process that runs the ticket.
func killWorkerIn(t *testing.T, db store.Config, id string, attempt int) {
	t.Helper()
	if got, want := killWorker(t, db, 1), fmt.Sprintf("running %s %d", id, attempt); got != want {
		t.Fatalf("worker said %q, want %q", got, want)
	}
}

// TestM14 kills worker processes in the middle of a ticket: it is picked again, and its attempts are counted. What the cut runs
// would have changed is not there.
func TestM14(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		db := storetest.Config(t, database, "relay_ticket")
		q, shut := open(t, workerConfig(db, func(*viewmodel.Run) {}))
		q.put("1|2", map[string]any{"runs": 10})
		id := q.create(ticket.Ticket{ViewModel: "HangVM", RootID: "1|2"}).ID
		shut()
		for attempt := 1; attempt <= 2; attempt++ {
			killWorkerIn(t, db, id, attempt)
		}
		q, _ = open(t, workerConfig(db, func(*viewmodel.Run) {}))
		got := q.get(id)
		want := ticket.Running // nobody knows that its process is dead
		if database == "sqlite" {
			want = ticket.Ready // the file is ours alone
		}
		if got.State != want || got.Attempts != 2 {
			t.Fatalf("after the crashes %+v, want it %v with 2 attempts", got, want)
		}
		q.Start()
		if got := q.until(id, ticket.Done); got.Attempts != 3 || got.Error != "" {
			t.Fatalf("done %+v, want 3 attempts", got)
		}
		if got := q.object("1|2")["runs"]; got != int64(11) {
			t.Fatalf("%v runs, want 11", got)
		}
		if s := q.Stats(); s.Recovered != 1 || s.Repeated != 1 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// TestKills kills worker processes wherever they are while they drain a queue: each ticket is done in the end, and has counted in
// its object once, however often it ran.
func TestKills(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		const tickets, kills = 200, 4
		db := storetest.Config(t, database, "relay_ticket")
		q, shut := open(t, workerConfig(db, func(*viewmodel.Run) {}))
		var all []ticket.Ticket
		for i := range tickets {
			all = append(all, ticket.Ticket{ViewModel: "HangVM", RootID: fmt.Sprintf("1|%d", i%10)})
		}
		for i := range 10 {
			q.put(fmt.Sprintf("1|%d", i), nil)
		}
		if _, err := q.CreateAll(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		shut()
		for i := range kills {
			killWorker(t, db, 7+6*i)
		}
		q, _ = open(t, workerConfig(db, func(*viewmodel.Run) {}))
		q.Start()
		q.counts(map[ticket.State]int64{ticket.Done: tickets})
		for i := range 10 {
			if got := q.object(fmt.Sprintf("1|%d", i))["runs"]; got != int64(tickets/10) {
				t.Errorf("object %d has counted %v runs, want %d", i, got, tickets/10)
			}
		}
		list, _, err := q.List(t.Context(), ticket.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		again := 0
		for _, t := range list {
			again += t.Attempts - 1
		}
		// On PostgreSQL a worker that a busy machine stops for the time of its lease loses its tickets too.
		if most := 4 * kills; again == 0 || database == "sqlite" && again > most {
			t.Errorf("%d runs were cut off, want 1 to %d", again, most)
		}
	})
}

// TestCutOff gives a ticket up that no process survives.
func TestCutOff(t *testing.T) {
	t.Parallel()
	db := storetest.Config(t, "sqlite", "relay_ticket")
	q, shut := open(t, workerConfig(db, func(*viewmodel.Run) {}))
	q.put("1|2", nil)
	id := q.create(ticket.Ticket{ViewModel: "HangVM", RootID: "1|2"}).ID
	shut()
	for attempt := 1; attempt <= 2; attempt++ {
		killWorkerIn(t, db, id, attempt)
	}
	c := workerConfig(db, func(*viewmodel.Run) {})
	c.MaxCutOff = 2
	q = start(t, c)
	got := q.until(id, ticket.Failed)
	if !strings.Contains(got.Error, "cut off too often") || got.Attempts != 2 {
		t.Fatalf("failed %+v", got)
	}
	if _, err := q.Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	q.until(id, ticket.Done)
}

// TestTwoNodes has two processes drain one PostgreSQL: no ticket runs twice, both work.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	const tickets = 400
	c := config(t, "postgres")
	var mu sync.Mutex
	ran := make(map[string][]int)
	node := func(n int) ticket.Config {
		models, functions := viewmodel.Demo()
		own := c
		own.ViewModels = viewmodel.Options{ViewModels: models, Functions: functions, Events: &events{}}
		add(&own, "NodeVM", func(_ context.Context, r *viewmodel.Run) error {
			mu.Lock()
			defer mu.Unlock()
			ran[r.Ticket] = append(ran[r.Ticket], n)
			r.Update(func(a map[string]any) error {
				n, _ := a["runs"].(int64)
				a["runs"] = n + 1
				return nil
			})
			return nil
		})
		return own
	}
	one, _ := open(t, node(1))
	two, _ := open(t, node(2))
	for i := range 20 {
		one.put(fmt.Sprintf("1|%d", i), nil)
	}
	var all []ticket.Ticket
	for i := range tickets {
		all = append(all, ticket.Ticket{ViewModel: "NodeVM", RootID: fmt.Sprintf("1|%d", i%20), Priority: new(i % 3)})
	}
	if _, err := one.CreateAll(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	one.Start()
	two.Start()
	one.counts(map[ticket.State]int64{ticket.Done: tickets})
	mu.Lock()
	defer mu.Unlock()
	nodes := make(map[int]int)
	for id, by := range ran {
		if len(by) != 1 {
			t.Errorf("ticket %s was run by %v", id, by)
		}
		nodes[by[0]]++
	}
	if len(ran) != tickets || nodes[1] == 0 || nodes[2] == 0 {
		t.Errorf("%d tickets ran, by node %v", len(ran), nodes)
	}
	for i := range 20 {
		if got := one.object(fmt.Sprintf("1|%d", i))["runs"]; got != int64(tickets/20) {
			t.Errorf("object %d has %v runs, want %d", i, got, tickets/20)
		}
	}
}

// TestLostLease has a process give no sign of life while it runs a ticket: another one runs it, and nothing of the first run is
// stored.
func TestLostLease(t *testing.T) {
	t.Parallel()
	c := config(t, "postgres")
	c.Lease = 3 * time.Second
	var asleep atomic.Bool // the first process believes in an earlier time, so that its signs of life count for nothing
	entered, leave := make(chan int, 10), make(chan bool)
	node := func(n int) ticket.Config {
		own := c
		models, functions := viewmodel.Demo()
		own.ViewModels = viewmodel.Options{ViewModels: models, Functions: functions, Events: &events{}}
		add(&own, "SlowVM", func(ctx context.Context, r *viewmodel.Run) error {
			entered <- n
			if n == 1 {
				select {
				case <-leave:
				case <-ctx.Done(): // told that it has lost the ticket
				}
			}
			r.Update(func(a map[string]any) error { a["by"] = n; return nil })
			return nil
		})
		return own
	}
	first := node(1)
	first.Clock = func() time.Time {
		if asleep.Load() {
			return time.Now().Add(-time.Hour)
		}
		return time.Now()
	}
	one := start(t, first)
	one.put("1|2", nil)
	id := one.create(ticket.Ticket{ViewModel: "SlowVM", RootID: "1|2"}).ID
	if n := <-entered; n != 1 {
		t.Fatalf("node %d ran first", n)
	}
	asleep.Store(true)
	two := start(t, node(2))
	if n := <-entered; n != 2 {
		t.Fatalf("node %d ran then", n)
	}
	if got := two.until(id, ticket.Done); got.Attempts != 2 {
		t.Fatalf("done %+v, want 2 attempts", got)
	}
	eventually(t, "the first run to be given up", func() bool { return one.Stats().Lost == 1 })
	if got := two.object("1|2")["by"]; got != int64(2) {
		t.Fatalf("changed by %v, want 2", got)
	}
	if s := one.Stats(); s.Done != 0 || s.Failed != 0 {
		t.Fatalf("stats of the first %+v", s)
	}
}

// TestClose ends a queue in the middle of a ticket: it is ready again at once, and nothing of the run is stored.
func TestClose(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		c.Drain = -1
		entered := make(chan bool, 1)
		var hang atomic.Bool
		hang.Store(true)
		add(&c, "SlowVM", func(ctx context.Context, r *viewmodel.Run) error {
			r.Update(func(a map[string]any) error { a["ran"] = true; return nil })
			if hang.Load() {
				entered <- true
				<-ctx.Done()
				return errors.New("cut")
			}
			return nil
		})
		q, shut := open(t, c)
		q.Start()
		q.put("1|2", nil)
		id := q.create(ticket.Ticket{ViewModel: "SlowVM", RootID: "1|2"}).ID
		<-entered
		if got := q.get(id); got.State != ticket.Running || got.Attempts != 1 {
			t.Fatalf("running %+v", got)
		}
		shut()
		hang.Store(false)
		q, _ = open(t, c)
		if got := q.get(id); got.State != ticket.Ready || got.Error != "" || len(q.object("1|2")) != 0 {
			t.Fatalf("after the close %+v", got)
		}
		q.Start()
		if got := q.until(id, ticket.Done); got.Attempts < 2 {
			t.Fatalf("done %+v, want 2 attempts or, on a machine slower than a lease, more", got)
		}
		if q.object("1|2")["ran"] != true {
			t.Fatal("the change of the second run is missing")
		}
	})
}

// TestDrain lets a running ticket finish when the queue closes.
func TestDrain(t *testing.T) {
	t.Parallel()
	c := config(t, "sqlite")
	c.Drain = patience
	entered, leave := make(chan bool), make(chan bool)
	add(&c, "SlowVM", func(ctx context.Context, r *viewmodel.Run) error {
		entered <- true
		<-leave
		return ctx.Err()
	})
	q, shut := open(t, c)
	q.Start()
	q.put("1|2", nil)
	id := q.create(ticket.Ticket{ViewModel: "SlowVM", RootID: "1|2"}).ID
	waits := q.create(ticket.Ticket{ViewModel: "SomeVM", RootID: "1|2", ExecuteEarliest: time.Now().Add(time.Hour)}).ID
	<-entered
	closed := make(chan bool)
	go func() {
		shut()
		close(closed)
	}()
	leave <- true
	<-closed
	q, _ = open(t, c)
	var states []ticket.State
	for _, id := range []string{id, waits} {
		states = append(states, q.get(id).State)
	}
	if !slices.Equal(states, []ticket.State{ticket.Done, ticket.Waiting}) {
		t.Fatalf("states %v, want done and waiting", states)
	}
}
