package notify

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

// client is a connection of this node.
type client struct {
	id   string
	user *hubbub.User
}

// Listener is a connection of this node with what it has subscribed to.
type Listener struct {
	Connection    string         `json:"connection"`
	User          string         `json:"user"`
	Device        string         `json:"device"`
	Subscriptions []Subscription `json:"subscriptions"`
}

func (s *System) newHub() {
	s.hub = hubbub.NewHub("notify", &s.config.Hub)
	s.hub.OnConnected(s.connected)
	s.hub.OnDisconnected(s.disconnected)
	s.hub.OnAuthenticationRefreshed(s.refreshed)
	s.hub.Handle("Subscribe", hubbub.Action1(s.subscribe))
	s.hub.Handle("Unsubscribe", hubbub.Action1(s.unsubscribe))
	s.hub.Handle("Subscriptions", hubbub.Func0(s.subscriptions))
}

// connected takes a connection in, unless the licence has expired or its session has ended meanwhile.
func (s *System) connected(ctx context.Context) error {
	c := hubbub.CallerFrom(ctx)
	u := c.User()
	s.mu.Lock()
	s.clients[c.ID()] = &client{c.ID(), u}
	s.mu.Unlock()
	s.index.put(c.ID(), func(right string) bool { return hasRight(u, right) })
	err := s.mayStay(ctx, u)
	if err == nil && s.keep != nil {
		err = s.keep.arrive(ctx, c.ID(), u)
	}
	if err != nil { // OnDisconnected is not for those who never were in
		s.forget(c.ID())
	}
	return err
}

// mayStay comes after the connection is known: whatever ends sessions or the licence later on closes it.
func (s *System) mayStay(ctx context.Context, u *hubbub.User) error {
	if err := s.licenceError(s.now()); err != nil {
		return hubbub.Errorf("%s", err.Detail)
	}
	id := u.Claim("sid")
	if id == "" {
		return nil
	}
	_, err := s.session(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return hubbub.Errorf("%s", reasonSession)
	}
	return err
}

func (s *System) forget(id string) []*filter {
	s.mu.Lock()
	delete(s.clients, id)
	s.mu.Unlock()
	return s.index.remove(id)
}

func (s *System) disconnected(ctx context.Context, _ error) {
	c := hubbub.CallerFrom(ctx)
	if s.keep == nil {
		s.forget(c.ID())
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.keep.leave(ctx, c.ID()); err != nil {
		s.log.Error("notify: remember where a client left", "connection", c.ID(), "error", err)
	}
}

// refreshed takes what the user may read from the new credential.
func (s *System) refreshed(ctx context.Context) error {
	c := hubbub.CallerFrom(ctx)
	u := c.User()
	s.mu.Lock()
	if known := s.clients[c.ID()]; known != nil {
		s.clients[c.ID()] = &client{c.ID(), u}
	}
	s.mu.Unlock()
	s.index.put(c.ID(), func(right string) bool { return hasRight(u, right) })
	return nil
}

// payload reads the argument of Subscribe and Unsubscribe, whatever it is.
func (s *System) payload(method string, v any) (*filter, error) {
	f, wrong := s.names.parse(v)
	if wrong != nil {
		return nil, hubbub.Errorf("%s: %s", method, wrong.text)
	}
	return f, nil
}

func (s *System) subscribe(ctx context.Context, payload any) error {
	f, err := s.payload("Subscribe", payload)
	if err != nil {
		return err
	}
	id := hubbub.CallerFrom(ctx).ID()
	if s.keep != nil {
		return s.keep.subscribe(ctx, id, f)
	}
	return s.want(id, f)
}

func (s *System) want(id string, f *filter) error {
	if err := s.index.subscribe(id, f, s.config.Limits); err != nil {
		return hubbub.Errorf("Subscribe: %w", err)
	}
	return nil
}

func (s *System) unsubscribe(ctx context.Context, payload any) error {
	f, err := s.payload("Unsubscribe", payload)
	if err != nil {
		return err
	}
	s.index.unsubscribe(hubbub.CallerFrom(ctx).ID(), f)
	return nil
}

func (s *System) subscriptions(ctx context.Context) ([]Subscription, error) {
	return s.listed(hubbub.CallerFrom(ctx).ID()), nil
}

// listed returns what a connection has subscribed to, in a fixed order.
func (s *System) listed(id string) []Subscription {
	filters := s.index.filters(id)
	slices.SortFunc(filters, func(a, b *filter) int { return strings.Compare(a.key(), b.key()) })
	all := make([]Subscription, len(filters))
	for i, f := range filters {
		all[i] = f.subscription()
	}
	return all
}

// Listeners returns the connections of this node with their subscriptions, in no order.
func (s *System) Listeners() []Listener {
	s.mu.Lock()
	clients := make([]*client, 0, len(s.clients))
	for _, c := range s.clients {
		clients = append(clients, c)
	}
	s.mu.Unlock()
	all := make([]Listener, len(clients))
	for i, c := range clients {
		who := identity(c.user)
		all[i] = Listener{c.id, who.User, who.Device, s.listed(c.id)}
	}
	return all
}
