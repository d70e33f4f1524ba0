package outagetest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// through returns the URL of a database by way of a proxy.
func through(t testing.TB, database string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, u.Host)
	u.Host = p.addr()
	return p, u.String()
}

// A database that says nothing any more: a purchase is answered with a problem in bounded time, readiness too, and when the database
// goes on everything does.
func TestDatabaseStalls(t *testing.T) {
	t.Parallel()
	direct := storetest.Postgres(t)
	wire, database := through(t, direct)
	var log record
	s, address := open(t, config(database, "", t.TempDir(), log.logger()))
	w := newWorld(t, address, direct, 3)
	stop := w.load(10)
	time.Sleep(time.Second) // of the load
	wire.stall()
	begun := time.Now()
	p := w.players[0]
	b := purchase{id: uuid.New(), quantity: 1}
	status, text := p.post(b)
	var problem struct {
		Title  string
		Status int
	}
	if err := json.Unmarshal([]byte(text), &problem); status != http.StatusServiceUnavailable || err != nil || problem.Status != status || problem.Title == "" {
		t.Errorf("a purchase is answered with %d, %s, %v, want 503 and a problem", status, text, err)
	}
	answered := time.Since(begun)
	if !w.isReady(http.StatusServiceUnavailable) {
		t.Errorf("readiness %v, want 503", w.ready())
	}
	if status, _ := p.request("GET", w.url+"/trading-svc/store", ""); status != http.StatusServiceUnavailable {
		t.Errorf("the store is answered with %d, want 503", status)
	}
	wire.flow()
	eventually(t, "services are ready again", func() bool { return w.isReady(http.StatusOK) })
	p.buy(b)
	stop()
	for _, all := range w.told() {
		t.Errorf("told more than once: %v", all)
	}
	w.books()
	noDeadLetters(t, s)
	t.Logf("answered after %s", answered.Round(time.Millisecond))
	log.tell(t)
}

// The machine of the database is gone without a word, and another one has taken its address, as a fail-over does it: what waited for
// the old one gives it up.
func TestDatabaseIsReplaced(t *testing.T) {
	t.Parallel()
	direct := storetest.Postgres(t)
	wire, database := through(t, direct)
	c := config(database, "", t.TempDir(), quiet())
	c.Database.Timeout = 3 * time.Second
	s, address := open(t, c)
	w := newWorld(t, address, direct, 3)
	stop := w.load(10)
	for range 3 {
		time.Sleep(500 * time.Millisecond) // of the load
		wire.lose()
	}
	time.Sleep(500 * time.Millisecond)
	stop()
	lost := time.Now()
	w.told()
	w.books()
	noDeadLetters(t, s)
	t.Logf("%d purchases; all told %s after the last loss", w.sent.Load(), time.Since(lost).Round(time.Millisecond))
}

// Commits whose answer is lost: done, not done, or done a moment later. The purchase is posted again, and messages come again.
func TestCommitsOfUnknownEnd(t *testing.T) {
	t.Parallel()
	direct := storetest.Postgres(t)
	wire, database := through(t, direct)
	s, address := open(t, config(database, "", t.TempDir(), quiet()))
	w := newWorld(t, address, direct, 3)
	var mu sync.Mutex
	commits, cut := 0, [3]int{}
	wire.look(func(p *passage, data []byte) bool {
		if !bytes.Contains(data, []byte("commit\x00")) {
			return false
		}
		mu.Lock()
		commits++
		way, now := commits/7%3, commits%7 == 0
		if now {
			cut[way]++
		}
		mu.Unlock()
		if !now {
			return false
		}
		p.client.Close()
		switch way {
		case 0: // done
			p.server.Write(data)
		case 1: // not done
		case 2: // done later
			time.Sleep(300 * time.Millisecond) // of the network
			p.server.Write(data)
		}
		return true
	})
	stop := w.load(20)
	time.Sleep(4 * time.Second) // of the load
	stop()
	w.told()
	wire.look(nil)
	mu.Lock()
	t.Logf("%d purchases; of %d commits %d were done, %d not done, and %d done later without an answer", w.sent.Load(), commits, cut[0], cut[1], cut[2])
	mu.Unlock()
	w.books()
	noDeadLetters(t, s)
}
