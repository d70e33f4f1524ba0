package trading_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/inventory"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
)

// crashIn names the data folder of Play Economy, which this binary is then in place of running tests. crashKills is how often the
// process is killed at random times.
const (
	crashIn    = "TRADING_TEST_CRASH_IN"
	crashKills = "TRADING_TEST_KILLS"
)

// crashPlayers have accounts with crashGil.
var crashPlayers = func() (all []uuid.UUID) {
	for i := range 5 {
		all = append(all, uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i)}))
	}
	return all
}()

const crashGil = 100_000 * contracts.OneGil

func crashKeys() *hubbub.KeyRing {
	keys, err := hubbub.NewKeyRing(hubbub.Key{ID: 1, Secret: []byte(strings.Repeat("secret", 8))})
	if err != nil {
		panic(err)
	}
	return keys
}

// crashing is Play Economy in one process, until its input ends or it kills itself at a border.
func crashing() {
	if err := crashingWorld(os.Getenv(crashIn)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// trap kills the process at a border.
type trap struct {
	mu    sync.Mutex
	at    string
	times int
}

func (p *trap) border(who string) func(string) {
	return func(name string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.at != who+" "+name {
			return
		}
		if p.times--; p.times == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

func crashingWorld(dir string) error {
	ctx := context.Background()
	p := &trap{}
	b, err := bus.Open(ctx, bus.Config{Dir: dir, Name: contracts.BusName, SyncInterval: time.Minute, AckWait: 300 * time.Millisecond, Logger: quiet()},
		contracts.Queues()...)
	if err != nil {
		return err
	}
	defer b.Close()
	database := func(name string) store.Config { return store.Config{Dir: dir, Name: name, Logger: quiet()} }
	verify := func(audience string) auth.Verifier {
		return (&auth.Issuer{Keys: crashKeys(), Issuer: "test", Audience: audience}).Verify
	}
	c, err := catalog.Open(ctx, catalog.Config{Database: database("catalog"), Bus: b, Verify: verify(catalog.Audience), Logger: quiet()})
	if err != nil {
		return err
	}
	defer c.Close()
	i, err := inventory.Open(ctx, inventory.Config{
		Database: database("inventory"), Bus: b, Verify: verify(inventory.Audience), Box: box.Config{Border: p.border("inventory")}, Logger: quiet(),
	})
	if err != nil {
		return err
	}
	defer i.Close()
	k, err := openBank(ctx, database("bank"), b, box.Config{Border: p.border("bank"), Logger: quiet()})
	if err != nil {
		return err
	}
	defer k.close()
	t, err := trading.Open(ctx, trading.Config{
		Database: database("trading"), Bus: b, Verify: verify(trading.Audience), Box: box.Config{Border: p.border("trading")}, Border: p.border("trading"),
		Resend: time.Second, Deadline: time.Hour, Logger: quiet(), // a process that lives for moments only gets nowhere in a minute
	})
	if err != nil {
		return err
	}
	defer t.Close()
	for _, player := range crashPlayers {
		if err := k.open(ctx, player, crashGil); err != nil {
			return err
		}
	}
	items, err := c.Items(ctx)
	if err == nil && len(items) == 0 {
		_, err = c.Create(ctx, catalog.Item{Name: "Potion", Price: 5 * contracts.OneGil})
	}
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	t.Mount(mux, nil)
	mux.HandleFunc("POST /trap", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.at = r.FormValue("at")
		p.times, _ = strconv.Atoi(r.FormValue("times"))
	})
	mux.HandleFunc("GET /sums", func(w http.ResponseWriter, _ *http.Request) {
		s, err := sum(ctx, b, i, k, t)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(s)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	fmt.Println(server.URL)
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// sums are what all players have, and what is still to be done.
type sums struct {
	Gil   contracts.Gil
	Items int64
	// Open messages and dead letters.
	Open, Dead int
	Item       uuid.UUID
}

func sum(ctx context.Context, b *bus.Bus, i *inventory.Service, k *bank, t *trading.Service) (s sums, err error) {
	for _, player := range crashPlayers {
		g, err := k.balance(ctx, player)
		if err != nil {
			return s, err
		}
		s.Gil += g
		items, err := i.Items(ctx, player)
		if err != nil {
			return s, err
		}
		for _, one := range items {
			s.Items += one.Quantity
		}
	}
	for _, x := range []*box.Box{i.Box(), k.box, t.Box()} {
		n, err := x.Waiting(ctx)
		if err != nil {
			return s, err
		}
		s.Open += n
	}
	queues, err := b.Queues(ctx)
	if err != nil {
		return s, err
	}
	for _, q := range queues {
		s.Open += q.Waiting + q.Running
	}
	dead, err := b.DeadLetters(ctx, 0, 10)
	s.Dead = len(dead)
	if err != nil {
		return s, err
	}
	sold, err := t.Store(ctx, "")
	if len(sold.Items) > 0 {
		s.Item = sold.Items[0].ID
	}
	return s, err
}

// mortal is the process, which is killed and started again.
type mortal struct {
	t    testing.TB
	dir  string
	cmd  *exec.Cmd
	in   io.Closer
	dead chan struct{}
	url  string
}

func (m *mortal) start() {
	m.t.Helper()
	m.cmd = exec.Command(os.Args[0])
	m.cmd.Env = append(os.Environ(), crashIn+"="+m.dir)
	in, err := m.cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if m.url = strings.TrimSpace(line); err != nil || !strings.HasPrefix(m.url, "http") {
		m.t.Fatalf("the process said %q, %v", line, err)
	}
	cmd, dead := m.cmd, make(chan struct{})
	m.in, m.dead = in, dead
	go func() {
		cmd.Wait()
		close(dead)
	}()
}

func (m *mortal) kill() {
	m.cmd.Process.Kill()
	<-m.dead
	m.in.Close()
}

func (m *mortal) sums() (s sums) {
	m.t.Helper()
	if err := json.Unmarshal(request(m.t, "GET", m.url+"/sums", "", "").body, &s); err != nil {
		m.t.Fatal(err)
	}
	return s
}

// buyer is a player who survives the process.
type buyer struct {
	*player
	heard  map[string][]string // states by purchase
	mu     sync.Mutex
	client *signalr.Client
}

func (m *mortal) buyer(id uuid.UUID) *buyer {
	return &buyer{player: &player{&world{t: m.t, keys: crashKeys()}, id}, heard: make(map[string][]string)}
}

// listen connects, and again after each start of the process.
func (b *buyer) listen(url string) {
	b.w.t.Helper()
	b.w.url = url
	b.leave()
	token := b.token(trading.Audience, nil)
	b.client = signalr.NewClient(url+trading.HubPath, &signalr.ClientOptions{Token: func(context.Context) (string, error) { return token, nil }})
	b.client.On(trading.TargetStatus, hubbub.Action1(func(_ context.Context, s trading.PurchaseState) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.heard[s.CorrelationID] = append(b.heard[s.CorrelationID], s.CurrentState)
		return nil
	}))
	if err := b.client.Start(b.w.t.Context()); err != nil {
		b.w.t.Fatal(err)
	}
}

func (b *buyer) leave() {
	if b.client != nil {
		b.client.Close()
	}
}

// told waits until the buyer has heard how a purchase ended, and returns all that was heard.
func (b *buyer) told(id uuid.UUID) (all []string) {
	b.w.t.Helper()
	eventually(b.w.t, "the buyer of "+id.String()+" is told", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		all = b.heard[id.String()]
		return len(all) > 0
	})
	return all
}

// try posts a purchase to a process that may die meanwhile.
func (b *buyer) try(ctx context.Context, url string, item uuid.UUID, quantity int, id uuid.UUID) bool {
	r, err := http.NewRequestWithContext(ctx, "POST", url+"/purchase", strings.NewReader(fmt.Sprintf(`{"itemId":%q,"quantity":%d,"idempotencyId":%q}`, item, quantity, id)))
	if err != nil {
		b.w.t.Error(err)
		return false
	}
	r.Header.Set("Authorization", "Bearer "+b.token(trading.Audience, nil))
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	a.Body.Close()
	return a.StatusCode == http.StatusAccepted
}

// ready waits until the potion is for sale, and returns it.
func (m *mortal) ready() (item uuid.UUID) {
	m.t.Helper()
	eventually(m.t, "the potion is for sale and all is calm", func() bool {
		s := m.sums()
		item = s.Item
		return item != uuid.Nil && s.Open == 0
	})
	return item
}

// P12: the process is killed at each border between two steps of a purchase and started again: the purchase ends, gil and items
// agree, and the buyer is told once, or twice if the border is the one between telling and noting it.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	m := &mortal{t: t, dir: filepath.Join(t.TempDir(), "data")}
	m.start()
	defer func() { m.kill() }()
	item := m.ready()
	b := m.buyer(crashPlayers[0])
	defer b.leave()
	steps := []string{
		"trading accepted 1", "trading committed 1", "trading committed 2", "trading committed 3", "trading committed 4",
		"trading published 1", "trading published 2", "trading published 3", "trading removed 1", "trading handled 1", "trading handled 2", "trading handled 3",
		"trading acknowledged 1", "trading acknowledged 2", "trading acknowledged 3", "trading telling 1", "trading told 1",
		"inventory handled 1", "inventory handled 2", "inventory committed 1", "inventory committed 2", "inventory published 1", "inventory published 2",
		"inventory acknowledged 1", "bank handled 1", "bank committed 1", "bank published 1", "bank removed 1", "bank acknowledged 1",
	}
	for i, step := range steps {
		b.listen(m.url)
		words := strings.Fields(step)
		request(t, "POST", m.url+"/trap?at="+words[0]+"+"+words[1]+"&times="+words[2], "", "")
		id := uuid.New()
		accepted := b.try(t.Context(), m.url, item, 2, id)
		select {
		case <-m.dead:
		case <-time.After(patience):
			t.Fatalf("%s: the process was not killed", step)
		}
		m.in.Close()
		m.start()
		b.listen(m.url)
		if !accepted { // the buyer does not know, and asks again
			b.buy(item, 2, id)
		}
		if got := b.becomes(id, "Completed"); got["purchaseTotal"] != 10.0 {
			t.Errorf("%s: status %v", step, got)
		}
		told := b.told(id)
		if m.ready(); len(told) > 1 && step != "trading told 1" || told[0] != "Completed" {
			t.Errorf("%s: the buyer was told %v", step, told)
		}
		s := m.sums()
		if want := crashGil*5 - contracts.Gil(i+1)*10*contracts.OneGil; s.Gil != want || s.Items != int64(i+1)*2 || s.Dead != 0 {
			t.Fatalf("%s: players have %s gil and %d items, want %s and %d; %d dead letters", step, s.Gil, s.Items, want, (i+1)*2, s.Dead)
		}
	}
}

// TestKilledAtRandom kills the process again and again while all players buy: afterwards nothing is open, gil and items agree, and
// everybody was told about every purchase.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	kills := 5
	if s := os.Getenv(crashKills); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s=%q: %v", crashKills, s, err)
		}
	}
	random := rand.New(rand.NewPCG(1, uint64(kills)))
	m := &mortal{t: t, dir: filepath.Join(t.TempDir(), "data")}
	m.start()
	defer func() { m.kill() }()
	item := m.ready()
	var buyers []*buyer
	for _, id := range crashPlayers {
		b := m.buyer(id)
		defer b.leave()
		buyers = append(buyers, b)
	}
	type purchase struct {
		b        *buyer
		id       uuid.UUID
		quantity int
		item     uuid.UUID
	}
	var mu sync.Mutex
	var all []purchase
	for range kills {
		var stop atomic.Bool
		var work sync.WaitGroup
		for i, b := range buyers {
			b.listen(m.url)
			seed := random.Uint64()
			work.Go(func() {
				own := rand.New(rand.NewPCG(seed, uint64(i)))
				for !stop.Load() {
					p := purchase{b, uuid.New(), 1 + own.IntN(5), item}
					if own.IntN(10) == 0 {
						p.item = uuid.New() // which nobody sells
					}
					mu.Lock()
					all = append(all, p)
					mu.Unlock()
					b.try(context.Background(), m.url, p.item, p.quantity, p.id)
				}
			})
		}
		time.Sleep(time.Duration(20+random.IntN(400)) * time.Millisecond) // the time of the kill is what the test is about
		m.kill()
		stop.Store(true)
		work.Wait()
		m.start()
	}
	for _, b := range buyers {
		b.listen(m.url)
	}
	var spent, got int64
	var twice int
	for _, p := range all {
		p.b.buy(p.item, p.quantity, p.id) // again: some were never heard of
		end := "Faulted"
		if p.item == item {
			end = "Completed"
			spent += int64(p.quantity) * 5
			got += int64(p.quantity)
		}
		p.b.becomes(p.id, end)
		// More than once only where a kill fell between telling and noting it.
		told := p.b.told(p.id)
		for _, state := range told {
			if state != end || len(told) > 1+kills {
				t.Errorf("the buyer was told %v of a purchase that is %s", told, end)
			}
		}
		if len(told) > 1 {
			twice++
		}
	}
	m.ready()
	s := m.sums()
	if want := crashGil*5 - contracts.Gil(spent)*contracts.OneGil; s.Gil != want || s.Items != got || s.Dead != 0 {
		t.Errorf("after %d purchases players have %s gil and %d items, want %s and %d; %d dead letters", len(all), s.Gil, s.Items, want, got, s.Dead)
	}
	t.Logf("%d purchases, %d kills, told more than once of %d", len(all), kills, twice)
}
