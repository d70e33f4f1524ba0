package gateway

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"strings"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// groupSubscription is the argument of SubscribeToGroup and UnsubscribeFromGroup.
type groupSubscription struct {
	API          string `json:"api"`
	Key          string `json:"key"`
	ReceiveKey   string `json:"receiveKey"`
	ReceiveGroup string `json:"receiveGroup"`
}

// routeSubscription is the argument of SubscribeToRoute and UnsubscribeFromRoute.
type routeSubscription struct {
	API        string `json:"api"`
	Key        string `json:"key"`
	ReceiveKey string `json:"receiveKey"`
	UserID     string `json:"userId"`
}

// downstreamCall is the argument of InvokeDownstreamHub. Data is the one argument of the call; without it DataArray are all.
type downstreamCall struct {
	API        string            `json:"api"`
	Key        string            `json:"key"`
	ReceiveKey string            `json:"receiveKey"`
	Data       json.RawMessage   `json:"data"`
	DataArray  []json.RawMessage `json:"dataArray"`
}

// newHub returns the GatewayHub. It has no method Receive: what hubs downstream say does not come from clients.
func (g *Gateway) newHub() *hubbub.Hub {
	o := g.config.GatewayHub
	o.Backplane = nil // each node hears what hubs say by itself; over a backplane clients would hear it once for each node
	h := hubbub.NewHub("GatewayHub", &o)
	h.Handle("SubscribeToGroup", hubbub.Action1(g.subscribeToGroup))
	h.Handle("UnsubscribeFromGroup", hubbub.Action1(g.unsubscribeFromGroup))
	h.Handle("SubscribeToRoute", hubbub.Action1(g.subscribeToRoute))
	h.Handle("UnsubscribeFromRoute", hubbub.Action1(g.unsubscribeFromRoute))
	h.Handle("InvokeDownstreamHub", hubbub.Action1(g.invokeDownstreamHub))
	return h
}

// subscriptions are those of one connection, which are forgotten with it: by audience the users that have subscribed.
type subscriptions struct {
	mu    sync.Mutex
	users map[string]map[string]bool
	count int
}

type subscriptionsKey struct{}

func subscriptionsOf(c *hubbub.Caller) *subscriptions {
	s, _ := c.Items().LoadOrStore(subscriptionsKey{}, &subscriptions{users: make(map[string]map[string]bool)})
	return s.(*subscriptions)
}

// find returns a route if the client has shown the right secret for it.
func (g *Gateway) find(api, key, secret string, want func(h *hubEntry) string) (*hubRoute, error) {
	h := g.table().hubOf(api)
	if h == nil {
		return nil, hubbub.Errorf("There is no hub %q.", clip(api))
	}
	r := h.route(key)
	if r == nil {
		return nil, hubbub.Errorf("The hub %q has no route %q.", h.key, clip(key))
	}
	if w := want(h); w != "" && subtle.ConstantTimeCompare([]byte(w), []byte(secret)) != 1 {
		return nil, hubbub.Errorf("The receiveKey is not that of the hub %q.", h.key)
	}
	return r, nil
}

func receiveKey(h *hubEntry) string { return h.hub.ReceiveKey }
func invokeKey(h *hubEntry) string  { return h.hub.InvokeKey }

// subscribable returns a route that clients subscribe to in this way.
func (g *Gateway) subscribable(api, key, secret string, b Broadcast) (*hubRoute, error) {
	r, err := g.find(api, key, secret, receiveKey)
	if err == nil && r.BroadcastType != b {
		return nil, hubbub.Errorf("The broadcast type of the route %q is %v, want %v.", r.key, r.BroadcastType, b)
	}
	return r, err
}

func (g *Gateway) groupRoute(s groupSubscription) (*hubRoute, error) {
	r, err := g.subscribable(s.API, s.Key, s.ReceiveKey, BroadcastGroup)
	if err == nil && s.ReceiveGroup != r.ReceiveGroup {
		err = hubbub.Errorf("The route %q has no group %q.", r.key, clip(s.ReceiveGroup))
	}
	return r, err
}

func (g *Gateway) subscribeToGroup(ctx context.Context, s groupSubscription) error {
	r, err := g.groupRoute(s)
	if err == nil {
		err = g.passCall(ctx, OperationSubscribe, r)
	}
	if err != nil {
		return err
	}
	return g.subscribe(ctx, r.group, "")
}

func (g *Gateway) unsubscribeFromGroup(ctx context.Context, s groupSubscription) error {
	r, err := g.groupRoute(s)
	if err != nil {
		return err
	}
	return unsubscribe(ctx, r.group, "")
}

// individual returns the route and the user of a subscription. A client that has proved who it is can only be that user.
func (g *Gateway) individual(ctx context.Context, s routeSubscription) (*hubRoute, string, error) {
	r, err := g.subscribable(s.API, s.Key, s.ReceiveKey, BroadcastIndividual)
	if err != nil {
		return nil, "", err
	}
	if u := hubbub.CallerFrom(ctx).User(); u != nil && u.ID != "" {
		if s.UserID != "" && s.UserID != u.ID {
			return nil, "", hubbub.Errorf("The userId is %q, but you are %q.", clip(s.UserID), clip(u.ID))
		}
		return r, u.ID, nil
	}
	switch {
	case strings.TrimSpace(s.UserID) == "":
		return nil, "", hubbub.Errorf("The userId is empty.")
	case len(s.UserID) > g.config.MaxKeyLength:
		return nil, "", hubbub.Errorf("The userId has %d bytes, want at most %d.", len(s.UserID), g.config.MaxKeyLength)
	}
	return r, s.UserID, nil
}

func (g *Gateway) subscribeToRoute(ctx context.Context, s routeSubscription) error {
	r, user, err := g.individual(ctx, s)
	if err == nil {
		err = g.passCall(ctx, OperationSubscribe, r)
	}
	if err != nil {
		return err
	}
	return g.subscribe(ctx, r.group, user)
}

func (g *Gateway) unsubscribeFromRoute(ctx context.Context, s routeSubscription) error {
	r, user, err := g.individual(ctx, s)
	if err != nil {
		return err
	}
	return unsubscribe(ctx, r.group, user)
}

// subscribe puts the caller into an audience for a user. Twice counts once; several users of a connection hear once.
func (g *Gateway) subscribe(ctx context.Context, audience, user string) error {
	c := hubbub.CallerFrom(ctx)
	s := subscriptionsOf(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[audience][user] {
		return nil
	}
	if s.count >= g.config.MaxSubscriptions {
		g.forget(ctx, c, s)
	}
	if s.count >= g.config.MaxSubscriptions {
		return hubbub.Errorf("The connection has %d subscriptions, the limit.", s.count)
	}
	if err := c.Join(ctx, audience); err != nil {
		return err
	}
	if s.users[audience] == nil {
		s.users[audience] = make(map[string]bool)
	}
	s.users[audience][user] = true
	s.count++
	return nil
}

// forget drops subscriptions of routes that are gone. It needs s.mu.
func (g *Gateway) forget(ctx context.Context, c *hubbub.Caller, s *subscriptions) {
	there := make(map[string]bool)
	for _, h := range g.table().hubs {
		for _, r := range h.routes {
			there[r.group] = true
		}
	}
	for group, users := range s.users {
		if !there[group] && c.Leave(ctx, group) == nil {
			delete(s.users, group)
			s.count -= len(users)
		}
	}
}

// unsubscribe undoes subscribe. It does no harm if there was none.
func unsubscribe(ctx context.Context, audience, user string) error {
	c := hubbub.CallerFrom(ctx)
	s := subscriptionsOf(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	users := s.users[audience]
	if !users[user] {
		return nil
	}
	if len(users) == 1 {
		if err := c.Leave(ctx, audience); err != nil {
			return err
		}
		delete(s.users, audience)
	}
	delete(users, user)
	s.count--
	return nil
}

func (g *Gateway) invokeDownstreamHub(ctx context.Context, d downstreamCall) error {
	r, err := g.find(d.API, d.Key, d.ReceiveKey, invokeKey)
	if err == nil {
		err = g.passCall(ctx, OperationInvoke, r)
	}
	if err != nil {
		return err
	}
	args := d.DataArray
	switch {
	case r.InvokeMethod == "":
		return hubbub.Errorf("The route %q cannot be called.", r.key)
	case len(d.Data) > 0 && string(d.Data) != "null":
		args = []json.RawMessage{d.Data}
	case d.DataArray == nil:
		return hubbub.Errorf("The call has neither data nor dataArray, want one.")
	case len(args) > g.config.MaxArguments:
		return hubbub.Errorf("dataArray has %d elements, want at most %d.", len(args), g.config.MaxArguments)
	}
	for i, a := range args {
		if a == nil {
			args[i] = json.RawMessage("null")
		}
	}
	if _, err := r.hub.call(ctx, r, args); err != nil {
		return hubbub.Errorf("%s", err.(*callError).text)
	}
	return nil
}

// clip shortens a text that a client sent, for a message.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}
