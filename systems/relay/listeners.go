package relay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// Listeners are the listeners of many hubs, one for each: it connects to a hub with the first subscription and leaves with the last.
// It is safe for concurrent use.
type Listeners struct {
	options func(hubURL string) ListenOptions
	most    int

	mu     sync.Mutex
	all    map[string]*shared // by address
	closed bool
	ending sync.WaitGroup
}

// shared is a listener that several may be using.
type shared struct {
	*Listener
	users int // that are about to subscribe
}

// NewListeners returns listeners without a hub. options says how to listen to the hub at an address, in the spelling of
// [Listener.URL]; it is called once before each first subscription, and must not block. At most so many hubs are listened to at a
// time; 0 is 1000. Close them when done.
func NewListeners(options func(hubURL string) ListenOptions, mostHubs int) *Listeners {
	positive(&mostHubs, 1000)
	return &Listeners{options: options, most: mostHubs, all: make(map[string]*shared)}
}

// Subscribe is [Listener.Subscribe] for the hub at hubURL. It fails with an *[Invalid] for an address that cannot be used, and for one
// hub too many.
func (p *Listeners) Subscribe(ctx context.Context, hubURL, guid, cookie string) error {
	address, err := hubAddress(hubURL)
	if err != nil {
		return err
	}
	settle, err := p.want(address, guid, cookie, true)
	if err != nil {
		return err
	}
	return settle(ctx)
}

// want notes what is to be subscribed, and returns how to wait until the hub knows. settle must be called. want does not wait. The hub
// is told again what it knows only if again is set.
func (p *Listeners) want(address, guid, cookie string, again bool) (settle func(context.Context) error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("relay: listeners: %w", hubbub.ErrClosed)
	}
	s := p.all[address]
	fresh := s == nil
	if fresh {
		if ends(cookie) { // there is none to end
			return func(context.Context) error { return nil }, nil
		}
		if len(p.all) >= p.most {
			return nil, &Invalid{fmt.Sprintf("there are %d hubs, the limit", len(p.all))}
		}
		s = &shared{Listener: newListener(address, p.options(address))}
	}
	w, version, err := s.want(guid, cookie, again)
	if err != nil {
		return nil, err
	}
	if fresh {
		p.all[address] = s
		s.begin()
	}
	s.users++
	return func(ctx context.Context) error {
		defer p.leave(s)
		return s.settle(ctx, w, version)
	}, nil
}

// resume listens again to what was subscribed before: to each hub with all its subscriptions at once.
func (p *Listeners) resume(log *slog.Logger, list []handedOut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range list {
		s := p.all[h.hub]
		if s == nil {
			s = &shared{Listener: newListener(h.hub, p.options(h.hub))}
			p.all[h.hub] = s
		}
		if _, _, err := s.want(h.guid, h.cookie, true); err != nil {
			log.Error("relay: subscription not taken up again", "hub", h.hub, "eventguid", clip(h.guid), "error", err)
		}
	}
	for _, s := range p.all {
		s.begin()
	}
}

// leave ends a listener that nobody uses any more.
func (p *Listeners) leave(s *shared) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
	if s.users > 0 || p.closed || !s.idle() {
		return
	}
	delete(p.all, s.url)
	p.ending.Go(s.Close)
}

// idle reports whether nothing is subscribed and nothing has to be told.
func (l *Listener) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.wishes) == 0
}

// Health tells how the listeners are, in the order of their addresses.
func (p *Listeners) Health() []ListenerHealth {
	p.mu.Lock()
	list := make([]*shared, 0, len(p.all))
	for _, s := range p.all {
		list = append(list, s)
	}
	p.mu.Unlock()
	slices.SortFunc(list, func(a, b *shared) int { return strings.Compare(a.url, b.url) })
	all := make([]ListenerHealth, len(list))
	for i, s := range list {
		all[i] = s.Health()
	}
	return all
}

// Ready is [Listener.Ready] for the hub at hubURL. It fails with an *[Invalid] if that is not listened to.
func (p *Listeners) Ready(ctx context.Context, hubURL string) error {
	address, err := hubAddress(hubURL)
	if err != nil {
		return err
	}
	p.mu.Lock()
	s := p.all[address]
	p.mu.Unlock()
	if s == nil {
		return &Invalid{fmt.Sprintf("nothing is subscribed at %q", clip(address))}
	}
	return s.Ready(ctx)
}

// Close closes all listeners, as [Listener.Close] does. Subscribe fails afterwards.
func (p *Listeners) Close() {
	p.mu.Lock()
	p.closed = true
	for _, s := range p.all {
		p.ending.Go(s.Close)
	}
	p.mu.Unlock()
	p.ending.Wait()
}
