package relay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/dial"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
)

// Tickets is where events become tickets; a [ticket.Queue] is one.
type Tickets interface {
	// CreateAll stores tickets and marks, all or none. A ticket that can never be stored is a [ticket.ErrInvalid].
	CreateAll(ctx context.Context, list []ticket.Ticket, marks ...ticket.Mark) ([]ticket.Ticket, error)
	// Mark returns the value of a mark, "" if it was never set.
	Mark(ctx context.Context, name string) (string, error)
}

// Listening says how a [System] listens to the hubs of other servers. Zero fields have the default of their comment.
type Listening struct {
	// Name is what those hubs know this server by, where they retain events. Servers that share a database share it. Default: a
	// random one, kept in the database.
	Name string
	// Hub says how to connect to the hub at an address: token, headers, dialect. It must not block. Default: a Hub without any of
	// that, which is always right for a hub that does not ask for a token.
	Hub func(hubURL string) dial.Hub
	// Allow says whether a view model may have this server listen to the hub at an address, which it gets as it is used. It must not
	// block. Default nil: to any, so that whoever may change objects and make tickets decides where this server connects to.
	Allow func(hubURL string) bool
	// Reconnect, ConnectTimeout, CallTimeout and RetryRefused are those of [ListenOptions].
	Reconnect      hubbub.RetryPolicy
	ConnectTimeout time.Duration
	CallTimeout    time.Duration
	RetryRefused   time.Duration
	// Lease is how long the other processes that share a database wait for the one that listens, if it gives no sign of life. They must
	// agree on the time within half of it. Default 5 s.
	Lease time.Duration
	// Hubs bounds the hubs that are listened to at a time. Default 1000.
	Hubs int
	// Subscriptions bounds those at one hub, this server included. Default 100,000.
	Subscriptions int
}

// receiver turns the events that this server has subscribed to into tickets.
type receiver struct {
	s        *System
	tickets  Tickets
	name     string
	registry *registry
	share    share
	turns    turns
	warned   atomic.Int64 // when a refusal was logged last
	count    struct{ tickets, refused atomic.Uint64 }

	mu   sync.Mutex
	pool *Listeners        // nil while another process listens
	last map[string]string // id of the last event of each hub that has its ticket

	ctx  context.Context // of the background work
	stop context.CancelFunc
	work sync.WaitGroup
}

// newReceiver subscribes to everything again that was subscribed before. It does not wait for the hubs.
func newReceiver(ctx context.Context, s *System, tickets Tickets) (*receiver, error) {
	r := &receiver{s: s, tickets: tickets, last: make(map[string]string)}
	var err error
	if r.registry, err = newRegistry(ctx, s); err != nil {
		return nil, err
	}
	r.name = s.config.Listen.Name
	text(&r.name, r.registry.name)
	r.ctx, r.stop = context.WithCancel(context.Background())
	if err := r.listen(ctx); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *receiver) allowed(hub string) bool {
	allow := r.s.config.Listen.Allow
	return allow == nil || allow(hub)
}

// options says how to listen to a hub.
func (r *receiver) options(hub string) ListenOptions {
	c := &r.s.config.Listen
	o := ListenOptions{Name: r.name, Reconnect: c.Reconnect, ConnectTimeout: c.ConnectTimeout, CallTimeout: c.CallTimeout,
		RetryRefused: c.RetryRefused, MostSubscriptions: c.Subscriptions, Logger: r.s.log, any: true}
	if c.Hub != nil {
		o.Hub = c.Hub(hub)
	}
	r.mu.Lock()
	o.After = r.last[hub]
	r.mu.Unlock()
	o.take = func(ctx context.Context, list []Event) (int, error) { return r.take(ctx, hub, list) }
	return o
}

// Subscribe subscribes this server to an event of the hub at hubURL, with the cookie that comes back with it: then there is a ticket
// with its view model and object. A blank hubURL means this server itself. The last cookie for a hub and an eventguid counts; a blank
// cookie, or [EndSubscription], ends the subscription. Subscriptions are kept over restarts. It blocks until the subscription is
// stored and waits for the hub as [Listener.Subscribe] does: one that is down hears of it later. It fails with an *[Invalid] for texts
// that cannot be used and past the limits, with a *[hubbub.Error] if the hub refuses, and if the system has no tickets.
func (s *System) Subscribe(ctx context.Context, hubURL, guid, cookie string) error {
	r := s.receiver
	if r == nil {
		return errors.New("relay: subscribe: this server has no tickets, so nothing can come of an event")
	}
	err := s.validGuid(guid)
	if most := s.config.Limits.CookieBytes; err == nil && len(cookie) > most {
		err = &Invalid{fmt.Sprintf("eventcookie has %d bytes, want at most %d", len(cookie), most)}
	}
	if err != nil {
		return err
	}
	hub := ""
	if strings.TrimSpace(hubURL) != "" {
		if hub, err = hubAddress(hubURL); err != nil {
			return err
		}
		if !r.allowed(hub) {
			return &Invalid{fmt.Sprintf("hub %q is none of those that this server may listen to", clip(hub))}
		}
	}
	err = r.subscribe(ctx, handedOut{hub: hub, guid: guid, cookie: cookie})
	if errors.Is(err, hubbub.ErrClosed) { // it is stored: the hub hears of it after the next start
		return nil
	}
	return err
}

// subscribe stores a subscription and tells the hub.
func (r *receiver) subscribe(ctx context.Context, h handedOut) error {
	settle, err := r.note(ctx, &h)
	switch {
	case err != nil || h.hub == "":
		return err
	case settle == nil:
		return r.await(ctx, h)
	}
	return r.settle(ctx, h, settle)
}

// note stores a subscription and notes it for the hub, both in the same order where several want the same. It returns nil for
// how to wait for the hub if another process has to tell it.
func (r *receiver) note(ctx context.Context, h *handedOut) (settle func(context.Context) error, err error) {
	defer r.turns.take(h.hub + "\x00" + h.guid)()
	if err := r.registry.put(ctx, h); err != nil || h.hub == "" {
		return nil, err
	}
	if err := r.load(ctx, h.hub); err != nil {
		return nil, err
	}
	pool := r.listeners()
	if pool == nil {
		return nil, nil
	}
	settle, err = pool.want(h.hub, h.guid, h.cookie, true)
	if _, invalid := errors.AsType[*Invalid](err); invalid {
		err = errors.Join(err, r.registry.drop(ctx, *h))
	}
	return settle, err
}

// load reads how far the events of a hub are, unless that is known.
func (r *receiver) load(ctx context.Context, hub string) error {
	r.mu.Lock()
	_, known := r.last[hub]
	r.mu.Unlock()
	if known {
		return nil
	}
	id, err := r.tickets.Mark(ctx, markOf(hub))
	if err != nil {
		return fmt.Errorf("relay: read how far the events of a hub are: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.last[hub]; !known {
		r.last[hub] = id
	}
	return nil
}

// markOf is the name of the mark that says how far the events of a hub are: it is set together with their tickets, so that a crash
// neither loses nor doubles one.
func markOf(hub string) string {
	sum := sha256.Sum256([]byte(hub))
	return "last event of hub " + hex.EncodeToString(sum[:])
}

// turns lets those who want the same thing take turns.
type turns struct {
	mu  sync.Mutex
	all map[string]*turn
}

type turn struct {
	mu   sync.Mutex
	want int
}

// take waits for its turn and returns how to end it.
func (t *turns) take(key string) (done func()) {
	t.mu.Lock()
	if t.all == nil {
		t.all = make(map[string]*turn)
	}
	x := t.all[key]
	if x == nil {
		x = &turn{}
		t.all[key] = x
	}
	x.want++
	t.mu.Unlock()
	x.mu.Lock()
	return func() {
		x.mu.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if x.want--; x.want == 0 {
			delete(t.all, key)
		}
	}
}

// own hears of the events of this server itself.
func (r *receiver) own(ctx context.Context, guid string) (bool, error) {
	cookie, had, err := r.registry.cookie(ctx, "", guid)
	if err != nil || !had {
		return false, err
	}
	_, err = r.take(ctx, "", []Event{{Guid: guid, Cookie: cookie}})
	return true, err
}

// take makes tickets of the events of a hub, and notes how far they are, all in one transaction. What can never become a ticket is
// logged and counted. It returns how many events it has done with.
func (r *receiver) take(ctx context.Context, hub string, list []Event) (int, error) {
	tickets := make([]ticket.Ticket, 0, len(list))
	refused := make(map[int]error)
	var marks []ticket.Mark
	for i, e := range list {
		if e.ID != "" {
			marks = []ticket.Mark{{Name: markOf(hub), Value: e.ID}}
		}
		t, reason, err := r.judge(ctx, hub, e)
		if err != nil {
			return 0, err
		}
		if reason != nil {
			refused[i] = reason
		} else {
			tickets = append(tickets, t)
		}
	}
	err := r.create(ctx, tickets, marks)
	if errors.Is(err, ticket.ErrInvalid) {
		if len(list) > 1 {
			return r.takeEach(ctx, hub, list)
		}
		refused[0], tickets = err, nil
		err = r.create(ctx, nil, marks)
	}
	if err != nil {
		return 0, fmt.Errorf("relay: ticket of an event: %w", err)
	}
	r.count.tickets.Add(uint64(len(tickets)))
	for i, reason := range refused {
		r.refuse(hub, list[i], reason)
	}
	for _, m := range marks {
		r.mu.Lock()
		r.last[hub] = m.Value
		r.mu.Unlock()
	}
	return len(list), nil
}

func (r *receiver) create(ctx context.Context, list []ticket.Ticket, marks []ticket.Mark) error {
	if len(list) == 0 && len(marks) == 0 {
		return nil
	}
	_, err := r.tickets.CreateAll(ctx, list, marks...)
	return err
}

// takeEach takes events one by one, since one among them spoils the transaction of all.
func (r *receiver) takeEach(ctx context.Context, hub string, list []Event) (int, error) {
	for i := range list {
		if _, err := r.take(ctx, hub, list[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

// judge returns the ticket of an event, or why there can be none.
func (r *receiver) judge(ctx context.Context, hub string, e Event) (t ticket.Ticket, reason, err error) {
	if !r.s.config.AnyCookie && hub != "" {
		cookie, had, err := r.registry.cookie(ctx, hub, e.Guid)
		switch {
		case err != nil:
			return t, nil, fmt.Errorf("relay: look for a cookie: %w", err)
		case !had:
			return t, errors.New("this server has not subscribed to the event"), nil
		case cookie != e.Cookie:
			return t, errors.New("it is not the cookie that this server has handed out"), nil
		}
	}
	if most := r.s.config.Limits.CookieBytes; len(e.Cookie) > most {
		return t, fmt.Errorf("it has %d bytes, want at most %d", len(e.Cookie), most), nil
	}
	c, reason := ParseCookie(e.Cookie)
	return ticket.Ticket{ViewModel: c.ViewModel, RootID: c.RootID}, reason, nil
}

// refuse counts an event that becomes no ticket, and logs it, once a second at most.
func (r *receiver) refuse(hub string, e Event, reason error) {
	n := r.count.refused.Add(1)
	now, last := r.s.now().Unix(), r.warned.Load()
	level := slog.LevelDebug
	if now != last && r.warned.CompareAndSwap(last, now) {
		level = slog.LevelWarn
	}
	r.s.log.Log(context.Background(), level, "relay: an event becomes no ticket", "hub", hub, "eventguid", clip(e.Guid),
		"cookie", clip(e.Cookie), "reason", reason, "refused", n)
}

// Listeners tells how the connections to the hubs are that this server listens to. Of the processes that share a database one has
// them all.
func (s *System) Listeners() []ListenerHealth {
	if s.receiver == nil {
		return nil
	}
	pool := s.receiver.listeners()
	if pool == nil {
		return nil
	}
	return pool.Health()
}

// ListenerReady waits until this process is connected to the hub at hubURL and has subscribed to everything there; see
// [Listener.Ready]. It waits for its turn if another process that shares the database listens, and fails with an *[Invalid] if
// nothing is subscribed at that hub.
func (s *System) ListenerReady(ctx context.Context, hubURL string) error {
	if s.receiver == nil {
		return errors.New("relay: this server has no tickets and listens to nobody")
	}
	t := time.NewTicker(shareRound)
	defer t.Stop()
	for {
		if pool := s.receiver.listeners(); pool != nil {
			return pool.Ready(ctx, hubURL)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("relay: another process listens: %w", ctx.Err())
		}
	}
}

// openTickets opens what becomes of events, and listens to the hubs that were subscribed to before.
func (s *System) openTickets(ctx context.Context) (err error) {
	if s.config.Tickets == nil {
		return nil
	}
	c := *s.config.Tickets
	if c.Database.URL == "" && c.Database.Dir == "" {
		name := c.Database.Name
		c.Database = s.config.Database
		c.Database.Name = name
	}
	if c.Logger == nil {
		c.Logger = s.log
	}
	if c.Clock == nil {
		c.Clock = s.config.Clock
	}
	c.ViewModels.Events = s
	if s.queue, err = ticket.Open(ctx, c); err != nil {
		return err
	}
	if s.receiver, err = newReceiver(ctx, s, s.queue); err != nil {
		return err
	}
	s.own = s.receiver.own
	s.queue.Start()
	return nil
}

// closeTickets hears of no more events and lets running tickets finish.
func (s *System) closeTickets() error {
	if s.receiver != nil {
		s.receiver.close()
	}
	if s.queue == nil {
		return nil
	}
	return s.queue.Close()
}

// Tickets returns what becomes of events, nil if there is none.
func (s *System) Tickets() *ticket.Queue { return s.queue }
