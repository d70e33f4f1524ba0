package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/dial"
)

// Event is an event of a hub that has fired.
type Event struct {
	Guid, Cookie string // as they were subscribed
	// ID names the event at its hub; "" if the hub does not retain events.
	ID string
}

// ListenOptions are those of a [Listener]. Zero fields have the default of their comment.
type ListenOptions struct {
	// Hub says how to connect: token, headers, transports, dialect. Its URL, Handlers and hooks are set by the listener. Its dialect
	// is found out by default, and the name of the hub on a classic server is [EventHub].
	Hub dial.Hub
	// OnEvent hears of events, one after the other, in their order. An error says that the event could not be taken: it is given
	// again, after 0.1 s at first and 5 s at most, and those behind it wait; so return nil for one that nobody can handle. Its
	// context ends with the listener. A panic is logged, and the event counts as taken. Needed.
	OnEvent func(ctx context.Context, e Event) error
	// Name is what the hub knows this listener by: with retention, the hub keeps what fires while the listener is away, and the
	// listener drops what comes twice. The name is for one listener at a time. Default none: what fires meanwhile is lost.
	Name string
	// After is the id of the last event that was taken before: what the hub has kept after it comes first. Default none.
	After string
	// Reconnect says when to try again while the hub is away. Default after 0.5 s, then twice as long up to 30 s, for ever, with a
	// jitter of half of it, so that the listeners of a hub that restarts do not come all at once.
	Reconnect hubbub.RetryPolicy
	// ConnectTimeout bounds one attempt to connect, without the subscriptions. Default 10 s.
	ConnectTimeout time.Duration
	// CallTimeout is how long the hub may take to answer a subscription; after that the connection is made anew. Default 10 s.
	CallTimeout time.Duration
	// RetryRefused is how often the hub is asked again for subscriptions that it has refused. Default 1 min.
	RetryRefused time.Duration
	// MostQueued bounds the events that wait for OnEvent; past that the connection is not read. Default 1024.
	MostQueued int
	// MostSubscriptions bounds the subscriptions. Default 100,000.
	MostSubscriptions int
	// Logger for what goes wrong. Default slog.Default().
	Logger *slog.Logger

	take func(ctx context.Context, list []Event) (int, error) // instead of OnEvent: many at a time, as many of the first as it says
	any  bool                                                 // events that nobody has subscribed to are given too
}

func (o *ListenOptions) setDefaults() {
	text(&o.Hub.HubName, EventHub)
	positive(&o.ConnectTimeout, 10*time.Second)
	positive(&o.CallTimeout, 10*time.Second)
	positive(&o.RetryRefused, time.Minute)
	positive(&o.MostQueued, 1024)
	positive(&o.MostSubscriptions, 100_000)
	if o.Reconnect == nil {
		o.Reconnect = hubbub.Jitter(hubbub.RetryForever(500*time.Millisecond, 30*time.Second), 0.5)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Hub.Logger == nil {
		o.Hub.Logger = o.Logger
	}
}

// Listener hears of the events of one hub, over one connection for all its subscriptions. It connects, and connects again, until it
// is closed, and subscribes anew each time before it is healthy. It is safe for concurrent use.
type Listener struct {
	url string
	o   ListenOptions
	log *slog.Logger

	queue chan arrival
	busy  sync.Mutex // held while events are given, and while it is found out how far they are
	last  string     // id of the last event that was taken; needs busy

	mu      sync.Mutex
	wishes  map[string]*wish // subscriptions by eventguid
	conn    *dial.Conn       // nil while there is none
	number  uint64           // changes whenever the hub has to be told all wishes
	tag     uint64           // of the connection: what came over another one and has an id comes again
	ids     bool             // events of the connection have ids
	dropped chan struct{}    // the connection is of no more use
	healthy bool
	turned  chan struct{} // closed when healthy changes or an attempt has failed
	trying  bool          // an attempt runs
	health  ListenerHealth

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// ListenerHealth is how a [Listener] is, and what it has seen since its start.
type ListenerHealth struct {
	URL           string
	Healthy       bool         // connected, and everything is subscribed
	Dialect       dial.Dialect // of the hub; Auto while it is not known
	Err           error        // why it is not healthy, nil while the first attempt runs
	Subscriptions int
	Refused       int    // subscriptions that the hub does not take
	Connects      uint64 // connections that became healthy
	Events        uint64 // that were taken
	Doubles       uint64 // events that came again and were dropped
	Unwanted      uint64 // events that nobody has subscribed to
	Malformed     uint64 // calls of the hub that are no events
}

// Listen listens to the hub at hubURL: its address, http or https; one without a path gets [CorePath]. It does not wait for the
// hub, which may be down. Close the listener when done.
func Listen(hubURL string, o ListenOptions) (*Listener, error) {
	if o.OnEvent == nil && o.take == nil {
		return nil, errors.New("relay: listen: no OnEvent, want a function")
	}
	address, err := hubAddress(hubURL)
	if err != nil {
		return nil, fmt.Errorf("relay: listen: %w", err)
	}
	l := newListener(address, o)
	l.begin()
	return l, nil
}

func newListener(address string, o ListenOptions) *Listener {
	o.setDefaults()
	if o.take == nil {
		o.take = each(o.OnEvent, o.Logger)
	}
	l := &Listener{url: address, o: o, log: o.Logger, queue: make(chan arrival, o.MostQueued), last: o.After,
		wishes: make(map[string]*wish), turned: make(chan struct{}), trying: true}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *Listener) begin() {
	l.work.Go(l.run)
	l.work.Go(l.give)
}

// hubAddress is the address of a hub in one spelling.
func hubAddress(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return "", &Invalid{fmt.Sprintf("hub %q cannot be read", clip(text))}
	case (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return "", &Invalid{fmt.Sprintf("hub %q, want http://host/path or https://host/path", clip(text))}
	case u.User != nil:
		return "", &Invalid{fmt.Sprintf("hub of host %q has a user in its address, want none: give a token", clip(u.Hostname()))}
	case len(text) > mostAddress:
		return "", &Invalid{fmt.Sprintf("hub has an address of %d bytes, want at most %d", len(text), mostAddress)}
	}
	u.Host, u.Fragment, u.RawFragment = strings.ToLower(u.Host), "", ""
	if port := u.Port(); u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path, u.RawPath = CorePath, ""
	}
	return u.String(), nil
}

// URL returns the address of the hub, as the listener has understood it.
func (l *Listener) URL() string { return l.url }

// Health tells how the listener is.
func (l *Listener) Health() ListenerHealth {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.health
	h.URL, h.Healthy = l.url, l.healthy
	for _, w := range l.wishes {
		if !ends(w.cookie) {
			h.Subscriptions++
		}
		if w.refused != nil {
			h.Refused++
		}
	}
	return h
}

// Ready waits until the listener is healthy: connected, and everything is subscribed that was to be. It fails with the error of ctx
// and the reason why it is not, or if the listener is closed.
func (l *Listener) Ready(ctx context.Context) error {
	for {
		l.mu.Lock()
		healthy, turned, err := l.healthy, l.turned, l.health.Err
		l.mu.Unlock()
		if healthy {
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("relay: wait for %s: %w", l.url, ctx.Err()), err)
		case <-l.ctx.Done():
			return fmt.Errorf("relay: listener of %s: %w", l.url, hubbub.ErrClosed)
		}
	}
}

// Close ends the connection, and returns when nothing of the listener is left: after the running OnEvent, and some seconds at most
// for the goodbye. The hub keeps what fires from now on for a listener with a name, if it retains events. Events that came and were
// not taken yet are dropped; with a hub that retains events they come again to a listener of that name. Closing twice does nothing.
// It must not be called by OnEvent, which it waits for.
func (l *Listener) Close() {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	l.work.Wait()
}

// closed is the error of a listener that is closed.
func (l *Listener) closed() error {
	if l.ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("relay: listener of %s: %w", l.url, hubbub.ErrClosed)
}
