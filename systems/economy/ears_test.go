package economy_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/economy"
)

// ears is a connection of a player to the hub.
type ears struct {
	t        testing.TB
	client   *signalr.Client
	status   chan map[string]any
	progress chan map[string]any
	back     chan string // ids of new connections
	expected int         // statuses that were waited for

	mu    sync.Mutex
	raw   int      // statuses that came over the wire
	wires []string // and the messages that they came with
}

// listen connects a player with the options of a client, which may be nil.
func (p *player) listen(o *signalr.ClientOptions) *ears {
	p.w.t.Helper()
	e := &ears{t: p.w.t, status: make(chan map[string]any, 1000), progress: make(chan map[string]any, 1000), back: make(chan string, 10)}
	var own signalr.ClientOptions
	if o != nil {
		own = *o
	}
	if own.Token == nil {
		own.Token = func(context.Context) (string, error) { return p.token, nil }
	}
	own.Logger = quiet()
	own.OnReconnected = func(id string) { e.back <- id }
	own.Trace = func(sent bool, _ signalr.Transport, b []byte) {
		if !sent {
			e.mu.Lock()
			defer e.mu.Unlock()
			if n := bytes.Count(b, []byte("ReceivePurchaseStatus")); n > 0 {
				e.raw += n
				e.wires = append(e.wires, string(b))
			}
		}
	}
	e.client = signalr.NewClient(p.w.at(economy.Trading)+"/messageHub", &own) // as the original's portal spells it
	to := func(all chan map[string]any) hubbub.Method {
		return hubbub.Action1(func(_ context.Context, s map[string]any) error {
			if own.Protocol == "messagepack" { // which has the names of the original's class
				s = camel(s)
			}
			all <- s
			return nil
		})
	}
	e.client.On("ReceivePurchaseStatus", to(e.status))
	e.client.On("ReceivePurchaseProgress", to(e.progress))
	if err := e.client.Start(p.w.t.Context()); err != nil {
		p.w.t.Fatal(err)
	}
	p.w.t.Cleanup(func() { e.client.Close() })
	return e
}

// camel returns an object with names that begin with a lower-case letter, whose names must not.
func camel(m map[string]any) map[string]any {
	all := make(map[string]any)
	for name, v := range m {
		if lower := strings.ToLower(name[:1]) + name[1:]; lower != name {
			all[lower] = v
		}
	}
	return all
}

// hears waits for the end of a purchase.
func (e *ears) hears(id, state string) map[string]any {
	e.t.Helper()
	select {
	case s := <-e.status:
		e.expected++
		if s["correlationId"] != id || s["currentState"] != state {
			e.t.Fatalf("heard %v, want %s of %s", s, state, id)
		}
		return s
	case <-time.After(patience):
		e.t.Fatalf("heard nothing of %s, want %s", id, state)
		return nil
	}
}

// silent fails if more than what was waited for has come. The answer to a call comes behind what was sent before.
func (e *ears) silent() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	if err := e.client.Invoke(ctx, nil, "NoSuchMethod"); err == nil {
		e.t.Error("a method that is not there answered")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.raw != e.expected {
		e.t.Errorf("%d statuses came, want %d", e.raw, e.expected)
	}
}

// wantStatus fails unless a status has these members and no others but times, and a version.
func wantStatus(t testing.TB, got map[string]any, want map[string]any) {
	t.Helper()
	rest := maps.Clone(got)
	for _, name := range []string{"received", "lastUpdated"} {
		switch at := rest[name].(type) {
		case string:
			if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
				t.Errorf("%s is %q, want a time", name, at)
			}
		case time.Time:
		default:
			t.Errorf("%s is %v, want a time", name, rest[name])
		}
		delete(rest, name)
	}
	if v := number(rest["version"]); v < 1 {
		t.Errorf("version is %v, want a positive number", rest["version"])
	}
	delete(rest, "version")
	for _, name := range []string{"quantity", "purchaseTotal"} {
		if rest[name] != nil {
			rest[name] = number(rest[name])
		}
	}
	if !reflect.DeepEqual(rest, want) {
		t.Errorf("status %v, want %v", rest, want)
	}
}

// number is one of JSON or MessagePack, -1 for something else.
func number(v any) float64 {
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return float64(r.Int())
	case r.CanUint():
		return float64(r.Uint())
	case r.CanFloat():
		return r.Float()
	}
	return -1
}

// link is a network that can be cut.
type link struct {
	http.Client
	mu   sync.Mutex
	cut  bool
	open []net.Conn
}

func newLink(t testing.TB) *link {
	l := &link{}
	transport := &http.Transport{DialContext: l.dial}
	l.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	return l
}

func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		c.Close()
		return nil, errors.New("the link is cut")
	}
	l.open = append(l.open, c)
	return c, nil
}

// set cuts the link, or mends it.
func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	for _, c := range l.open {
		c.Close()
	}
	l.open = nil
}
