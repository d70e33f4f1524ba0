package relay

import (
	"context"
	"errors"
	"strings"

	"github.com/hubbub-go/hubbub"
)

// EndSubscription is the cookie that ends a subscription, as a blank one does.
const EndSubscription = "endsubscription"

// ends reports whether a cookie ends a subscription.
func ends(cookie string) bool {
	return cookie == EndSubscription || strings.TrimSpace(cookie) == ""
}

func (s *System) newHub() {
	o := s.config.Hub
	o.Backplane = nil // its messages are for connections that this node knows
	s.hub = hubbub.NewHub(EventHub, &o)
	s.hub.OnConnected(s.connected)
	s.hub.OnDisconnected(s.disconnected)
	s.hub.OnAuthenticationRefreshed(s.refreshed)
	s.hub.Handle("SubscribeToEvent", hubbub.Raw(s.subscribeToEvent))
}

func (s *System) connected(ctx context.Context) error {
	c := &conn{caller: hubbub.CallerFrom(ctx)}
	if s.keep == nil {
		s.index.enter(c)
		return nil
	}
	return s.keep.arrive(ctx, c)
}

func (s *System) disconnected(ctx context.Context, err error) {
	c := s.index.remove(hubbub.CallerFrom(ctx).ID())
	if c != nil && c.guest != nil {
		s.keep.leave(context.WithoutCancel(ctx), c.guest, err)
	}
}

// refreshed ends what the new credential is not for.
func (s *System) refreshed(ctx context.Context) error {
	caller := hubbub.CallerFrom(ctx)
	c := s.index.find(caller.ID())
	if c == nil {
		return nil
	}
	var all error
	for _, guid := range s.index.guidsOf(c) {
		if s.maySubscribe(caller.User(), guid) != nil {
			all = errors.Join(all, s.end(ctx, c, guid))
		}
	}
	return all
}

// subscribeToEvent is the method of the hub. Arguments that are no texts change nothing.
func (s *System) subscribeToEvent(ctx context.Context, args hubbub.Args) (any, error) {
	guid, cookie, err := texts(args)
	if err != nil {
		return nil, s.refuse(err)
	}
	l := &s.config.Limits
	switch {
	case guid == "":
		err = hubbub.Errorf("eventguid is empty, want a text")
	case len(guid) > l.GuidBytes:
		err = hubbub.Errorf("eventguid has %d bytes, want at most %d", len(guid), l.GuidBytes)
	case len(cookie) > l.CookieBytes:
		err = hubbub.Errorf("clientcookie has %d bytes, want at most %d", len(cookie), l.CookieBytes)
	}
	if err != nil {
		return nil, s.refuse(err)
	}
	caller := hubbub.CallerFrom(ctx)
	if err := s.maySubscribe(caller.User(), guid); err != nil {
		return nil, s.refuse(err)
	}
	if s.hub.Clients(caller.ID()).Count() == 0 { // a classic client may call a hub that it cannot hear
		return nil, s.refuse(hubbub.Errorf("The connection has not listed %s: create the proxy before the start.", EventHub))
	}
	c := s.index.find(caller.ID())
	if c == nil { // it has gone meanwhile
		return nil, nil
	}
	if ends(cookie) && !s.config.KeepBlank {
		return nil, s.end(ctx, c, guid)
	}
	return nil, s.subscribe(ctx, c, guid, cookie)
}

// texts reads the two arguments of SubscribeToEvent.
func texts(args hubbub.Args) (guid, cookie string, err error) {
	if err := args.Err(); err != nil {
		return "", "", err
	}
	if args.Len() != 2 {
		return "", "", hubbub.Errorf("the call has %d arguments, want eventguid and clientcookie", args.Len())
	}
	var values [2]string
	for i, name := range []string{"eventguid", "clientcookie"} {
		var v any
		if err := args.Decode(i, &v); err != nil {
			return "", "", err
		}
		t, ok := v.(string)
		if !ok {
			return "", "", hubbub.Errorf("%s is no text", name)
		}
		values[i] = t
	}
	return values[0], values[1], nil
}

func (s *System) refuse(err error) error {
	s.count.refused.Add(1)
	return err
}

// subscribe keeps the cookie for the connection: the last one for an eventguid counts.
func (s *System) subscribe(ctx context.Context, c *conn, guid, cookie string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := s.config.Limits.Subscriptions
	if s.index.full(c, guid, most) {
		return s.refuse(hubbub.Errorf("The connection has %d subscriptions, the limit.", most))
	}
	if c.guest != nil {
		if err := s.keep.subscribe(ctx, c.guest, guid, cookie); err != nil {
			return err
		}
	}
	s.index.put(c, guid, cookie, most)
	return nil
}

// end ends a subscription. One that there is not is no error.
func (s *System) end(ctx context.Context, c *conn, guid string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.index.end(c, guid)
	if c.guest != nil {
		return s.keep.end(ctx, c.guest, guid)
	}
	return nil
}

// deliver hands an event to the connections of this node that have subscribed to it, and returns how many there are. It waits
// for nobody. Only one call runs at a time, so events keep their order.
func (s *System) deliver(ctx context.Context, guid string) int {
	s.found = s.index.targets(guid, s.found[:0])
	for _, t := range s.found {
		if t.conn.guest != nil {
			t.conn.guest.wake()
			continue
		}
		if err := t.conn.caller.Send(ctx, "ReceiveEvent", guid, t.cookie); err != nil {
			s.log.ErrorContext(ctx, "relay: deliver an event", "connection", t.conn.caller.ID(), "error", err)
			continue
		}
		s.count.delivered.Add(1)
	}
	n := len(s.found)
	clear(s.found)
	return n
}
