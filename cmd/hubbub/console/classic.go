package console

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// classicClient has the hubs of a classic server behind one name space: "HUB.METHOD", or "METHOD" where there is one hub only.
type classicClient struct {
	*classic.Client
	hubs     []*classic.HubProxy
	progress func(target string, v hubbub.Value) // may be nil
}

// newClassic returns a client of a classic server. Its address is taken as it is.
func (s *session) newClassic(w wiring) (*classicClient, error) {
	s.dialect = dialectClassic
	hubs, err := s.classicHubs(w.targets)
	if err != nil {
		return nil, err
	}
	s.hubs = hubs
	u := *s.url
	u.RawQuery, u.Fragment = "", ""
	o := &classic.ClientOptions{
		ExactURL: true, Query: s.url.Query(), Header: s.opts.Header, Token: s.opts.Token, HTTPClient: s.http,
		CloseTimeout: s.opts.CloseTimeout, Transports: classicTransports(s.opts.Transports), Trace: w.classicTrace(),
	}
	o.Logger, o.OnClosed = s.opts.Logger, s.closed
	if w.reconnect {
		s.reconnecting(&o.ClientOptions, w.again)
	} else {
		o.Reconnect = func(hubbub.Retry) (wait time.Duration, again bool) { return 0, false }
	}
	c := &classicClient{Client: classic.NewClient(u.String(), o), progress: s.progress}
	for _, name := range hubs {
		c.hubs = append(c.hubs, c.Hub(name))
	}
	if w.call != nil {
		c.OnReceived(func(_ context.Context, v hubbub.Value) error {
			w.call(classicCall(v))
			return nil
		})
	}
	return c, nil
}

// classicHubs are the hubs of --hub and those in targets. A client hears no others.
func (s *session) classicHubs(targets []string) (hubs []string, err error) {
	seen := map[string]bool{}
	add := func(name string) {
		if lower := strings.ToLower(name); name != "" && !seen[lower] {
			seen[lower] = true
			hubs = append(hubs, name)
		}
	}
	for _, name := range s.flags.hubs {
		add(name)
	}
	for _, t := range targets {
		if hub, _, ok := strings.Cut(t, "."); ok {
			add(hub)
		}
	}
	if hubs == nil {
		return nil, &Failure{CodeClassic, fmt.Errorf("%s is an ASP.NET SignalR server, which speaks the older protocol and may have several hubs: "+
			"want --hub NAME, or HUB.METHOD", s.url)}
	}
	return hubs, nil
}

func classicTransports(t signalr.Transport) (list classic.Transport) {
	for core, transport := range map[signalr.Transport]classic.Transport{
		signalr.WebSockets: classic.WebSockets, signalr.ServerSentEvents: classic.ServerSentEvents, signalr.LongPolling: classic.LongPolling,
	} {
		if t&core != 0 {
			list |= transport
		}
	}
	return list
}

// classicCall reads a call of the server. What is none is a value that a persistent connection sent.
func classicCall(v hubbub.Value) *hubbub.Invocation {
	var m struct {
		H, M string
		A    []json.RawMessage
	}
	raw, dec := v.Raw()
	if json.Unmarshal(raw, &m) != nil || m.H == "" || m.M == "" {
		return &hubbub.Invocation{Args: hubbub.RawArgs([][]byte{raw}, dec)}
	}
	args := make([][]byte, len(m.A))
	for i, a := range m.A {
		args[i] = a
	}
	return &hubbub.Invocation{Target: m.H + "." + m.M, Args: hubbub.RawArgs(args, dec)}
}

// find returns the hub of a target, and the method.
func (c *classicClient) find(target string) (hub *classic.HubProxy, method string, err error) {
	name, method, ok := strings.Cut(target, ".")
	if !ok {
		if len(c.hubs) > 1 {
			return nil, "", usageError{fmt.Errorf("%q: there are %d hubs, want HUB.METHOD", target, len(c.hubs))}
		}
		return c.hubs[0], target, nil
	}
	for _, h := range c.hubs {
		if strings.EqualFold(h.Name(), name) {
			return h, method, nil
		}
	}
	return nil, "", usageError{fmt.Errorf("%q: %s is not among the hubs of this connection, name it with --hub", target, name)}
}

// Invoke implements hubbub.Invoker.
func (c *classicClient) Invoke(ctx context.Context, result any, target string, args ...any) error {
	hub, method, err := c.find(target)
	if err != nil {
		return err
	}
	return hub.InvokeProgress(ctx, result, func(v hubbub.Value) { c.progress(target, v) }, method, args...)
}

// Send implements client.
func (c *classicClient) Send(ctx context.Context, target string, args ...any) error {
	hub, method, err := c.find(target)
	if err != nil {
		return err
	}
	return hub.Send(ctx, method, args...)
}

// progress prints how far a call is.
func (s *session) progress(target string, v hubbub.Value) {
	raw := jsonOf(v)
	s.print.note(struct {
		Event  string          `json:"event"`
		Target string          `json:"target"`
		Value  json.RawMessage `json:"value"`
	}{"progress", target, raw}, fmt.Sprintf("%s: %s", target, raw))
}
