package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/dial"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// receiverSettings is what a receiver needs to know: a relay with tickets.
type receiverSettings struct {
	Database store.Config
	Die      string // where it kills itself: arrived, running, or never
}

// Where a receiver dies.
const (
	arrived = "arrived" // an event is there and nobody has looked at it
	running = "running" // the view model runs
)

func init() { roles["receiver"] = playReceiver }

// die is what kill -9 does.
func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func playReceiver() {
	var c receiverSettings
	begin(&c, func() string { return "127.0.0.1:0" }, func() (http.Handler, error) {
		o := relay.Config{Database: c.Database}
		withDemo(&o)
		quickly(&o)
		for i, m := range o.Tickets.ViewModels.ViewModels {
			if m.Name == "SomeVM" {
				o.Tickets.ViewModels.ViewModels[i].Actions = []string{"Die", "CountRun"}
			}
		}
		o.Tickets.ViewModels.Functions["Die"] = func(context.Context, *viewmodel.Run) error {
			if c.Die == running {
				die()
			}
			return nil
		}
		o.Tickets.Lease, o.Tickets.Poll, o.Listen.Lease = 2*time.Second, 100*time.Millisecond, 2*time.Second
		inner := o.Listen.Hub
		o.Listen.Hub = func(hub string) dial.Hub {
			h := inner(hub)
			look := func(sent bool, p []byte) {
				if c.Die == arrived && !sent && bytes.Contains(p, []byte("ReceiveEvent")) {
					die()
				}
			}
			h.CoreOptions.Trace = func(sent bool, _ signalr.Transport, p []byte) { look(sent, p) }
			h.ClassicOptions.Trace = func(sent bool, _ classic.Transport, p []byte) { look(sent, p) }
			return h
		}
		s, err := relay.Open(context.Background(), o)
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		s.Mount(mux)
		return s.FoldCase(mux), nil
	})
}

// pair is a giver that retains events and a receiver, each a process.
type pair struct {
	t        testing.TB
	g        giverSettings
	r        receiverSettings
	giver    *process
	receiver *process
	base     string // address of the giver
	hub      string
}

func newPair(t testing.TB, database, path string) *pair {
	p := &pair{t: t, g: giverSettings{Database: storetest.Config(t, database, "relay"), Retention: time.Hour, Key: "k"},
		r: receiverSettings{Database: storetest.Config(t, database, "relay")}}
	p.giver = play(t, "giver", p.g)
	p.g.Listen = strings.TrimPrefix(p.giver.url, "http://")
	p.base, p.hub = p.giver.url, p.giver.url+path
	p.restart("")
	return p
}

// restart starts the receiver again.
func (p *pair) restart(where string) *server {
	p.t.Helper()
	if p.receiver != nil {
		p.receiver.kill()
	}
	p.r.Die = where
	p.receiver = play(p.t, "receiver", p.r)
	return p.receiver.server()
}

// subscribe makes an object whose SomeVM runs when the event of its name fires.
func (p *pair) subscribe(id string) {
	p.t.Helper()
	s := p.receiver.server()
	if status, m := s.call("PUT", "/realtime/objects/"+url.PathEscape(id), "", fmt.Sprintf(`{"realtimehub":%q,"eventguid":%q,"runs":0}`, p.hub, id)); status != http.StatusNoContent {
		p.t.Fatalf("object %s: status %d %v", id, status, m)
	}
	if m := s.run("", "SubscribeVM", id); m["state"] != "done" {
		p.t.Fatalf("SubscribeVM: %v", m)
	}
}

// fire triggers an event, whoever listens. A giver that dies may not answer: then it is not known whether it has fired, unless it was
// not there.
func (p *pair) fire(guid string) (fired, unsure bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+"/realtime/events/trigger", strings.NewReader(fmt.Sprintf(`{"eventguid":%q}`, guid)))
	if err != nil {
		p.t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Do(r)
	if err != nil {
		return false, !errors.Is(err, syscall.ECONNREFUSED)
	}
	res.Body.Close()
	return res.StatusCode == http.StatusAccepted, res.StatusCode != http.StatusAccepted
}

// died waits until the receiver has killed itself.
func (p *pair) died() {
	p.t.Helper()
	s := p.receiver
	done := make(chan struct{})
	go func() {
		s.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		p.t.Fatalf("the receiver has not died after %v", patience)
	}
}

// ran waits until the object has its runs, and returns the attempts of its ticket, of which there must be as many as runs.
func (p *pair) ran(id string, runs int) (attempts []int) {
	p.t.Helper()
	s := p.receiver.server()
	var m map[string]any
	eventually(p.t, fmt.Sprintf("%d runs for %s", runs, id), func() bool {
		_, m = s.call("GET", "/realtime/objects/"+url.PathEscape(id), "", "")
		return m["runs"] == float64(runs)
	})
	_, m = s.call("GET", "/realtime/tickets?viewModel=SomeVM&rootId="+url.QueryEscape(id), "", "")
	items, _ := m["items"].([]any)
	for _, item := range items {
		t := item.(map[string]any)
		if t["state"] != "done" {
			p.t.Errorf("ticket %v, want it done", t)
		}
		attempts = append(attempts, int(t["attempts"].(float64)))
	}
	if len(items) != runs {
		p.t.Errorf("%d tickets for %s, want %d: %v", len(items), id, runs, items)
	}
	return attempts
}

// Kill -9 at every step between the trigger and the end of the ticket, with retention on: no event is lost, each becomes one ticket,
// and the ticket counts its attempts.
func TestM11KilledAtEachStep(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ name, database, path string }{
		{"core", "sqlite", relay.CorePath}, {"classic", "sqlite", relay.ClassicPath}, {"core and postgres", "postgres", relay.CorePath},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, x.database, x.path)
			p.subscribe("1|1")
			const id = "1|1"

			p.receiver.kill() // the event is with the giver alone, and that dies
			if fired, _ := p.fire(id); !fired {
				t.Fatal("the trigger failed")
			}
			p.giver.kill()
			p.restart("")
			p.giver = play(t, "giver", p.g)
			p.ran(id, 1)

			p.restart(arrived) // the event has come, no ticket is stored
			p.fire(id)
			p.died()
			p.restart("")
			p.ran(id, 2)

			p.restart(running) // the ticket runs
			p.fire(id)
			p.died()
			p.restart(running)
			p.died()
			p.restart("")
			attempts := p.ran(id, 3)
			if len(attempts) == 3 && attempts[2] != 3 {
				t.Errorf("attempts %v, want three of the last ticket", attempts)
			}

			p.receiver.kill() // the ticket is done
			p.giver.kill()
			p.giver = play(t, "giver", p.g)
			p.restart("")
			p.fire(id)
			p.ran(id, 4)
		})
	}
}

// Both die again and again while events fire: none whose trigger was answered is lost, and none becomes two tickets.
func TestM11KilledAtRandom(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"core": relay.CorePath, "classic": relay.ClassicPath} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, "sqlite", path)
			const objects, each, kills = 4, 30, 8
			id := func(i int) string { return fmt.Sprint("1|", i) }
			var wg sync.WaitGroup
			var fired atomic.Int64
			var sure, maybe [objects]int // answered with 202, and not answered
			for i := range objects {
				p.subscribe(id(i))
			}
			p.subscribe("1|end")
			for i := range objects {
				wg.Go(func() {
					for sure[i] < each && !t.Failed() {
						switch ok, unsure := p.fire(id(i)); {
						case ok:
							sure[i]++
							fired.Add(1)
						case unsure:
							maybe[i]++
						}
						time.Sleep(5 * time.Millisecond) // events a second, as a giver has them
					}
				})
			}
			for k := range kills {
				eventually(t, "events between two kills", func() bool { return fired.Load() >= int64((k+1)*objects*each/(kills+2)) })
				if k%3 != 0 {
					p.restart("")
				}
				if k%3 != 1 {
					p.giver.kill()
					p.giver = play(t, "giver", p.g)
				}
			}
			wg.Wait()
			if ok, _ := p.fire("1|end"); !ok {
				t.Fatal("the last trigger failed")
			}
			p.ran("1|end", 1)
			s := p.receiver.server()
			eventually(t, "the end of all tickets", func() bool {
				_, m := s.call("GET", "/realtime/tickets?viewModel=SomeVM&state=ready&state=running", "", "")
				items, ok := m["items"].([]any)
				return ok && len(items) == 0
			})
			for i := range objects {
				_, m := s.call("GET", "/realtime/objects/"+url.PathEscape(id(i)), "", "")
				runs := int(m["runs"].(float64))
				if runs < sure[i] || runs > sure[i]+maybe[i] {
					t.Errorf("%d runs for %s, want %d, or up to %d more whose triggers were not answered", runs, id(i), sure[i], maybe[i])
				}
				p.ran(id(i), runs)
			}
		})
	}
}

// Without retention what fires while the receiver is dead is lost, and the giver counts it.
func TestM11KilledOff(t *testing.T) {
	t.Parallel()
	giver := newServer(t)
	p := &pair{t: t, r: receiverSettings{Database: storetest.Config(t, "sqlite", "relay")}, hub: giver.url}
	p.restart("")
	p.subscribe("1|1")
	giver.trigger("1|1", 1)
	p.ran("1|1", 1)
	p.receiver.kill()
	eventually(t, "an end of the connection", func() bool { return giver.Stats().Connections == 0 })
	giver.trigger("1|1", 0)
	if n := giver.Stats().Unheard; n != 1 {
		t.Errorf("%d events without listeners, want 1", n)
	}
	p.restart("")
	eventually(t, "a listener that is back", func() bool { return giver.Stats().Subscriptions == 1 })
	giver.trigger("1|1", 1)
	p.ran("1|1", 2)
}
