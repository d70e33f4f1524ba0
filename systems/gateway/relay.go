package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hubbub-go/hubbub"
)

// heard returns the routes by the methods that the hub calls; none if nobody could hear of it. Of routes that would reach the
// same clients in the same form one is left.
func (h *HubRoutes) heard() map[string][]*hubRoute {
	if h.g.hub == nil {
		return nil
	}
	type delivery struct {
		method, audience string
		unwrap           bool
	}
	seen, all := make(map[delivery]bool), make(map[string][]*hubRoute)
	for _, r := range h.routes {
		d := delivery{r.ReceiveMethod, r.audience(), r.Unwrap}
		if r.ReceiveMethod != "" && !seen[d] {
			seen[d] = true
			all[r.ReceiveMethod] = append(all[r.ReceiveMethod], r)
		}
	}
	return all
}

// audience is the group of the GatewayHub that hears of the route, "" for all its clients. Keys have no zero bytes.
func (r *hubRoute) audience() string {
	switch r.BroadcastType {
	case BroadcastGroup:
		return "group\x00" + r.hub.key + "\x00" + r.ReceiveGroup
	case BroadcastIndividual:
		return "route\x00" + r.hub.key + "\x00" + r.key
	}
	return ""
}

// relay sends what a hub has called to those who listen. It waits for nobody.
func (g *Gateway) relay(ctx context.Context, h *HubRoutes, method string, routes []*hubRoute, args hubbub.Args) error {
	raw := make([]json.RawMessage, args.Len())
	for i := range raw {
		if err := args.Decode(i, &raw[i]); err != nil {
			return fmt.Errorf("gateway: relay %s of hub %s: argument %d: %w", method, h.key, i, err)
		}
	}
	h.count.delivered.Add(1)
	var errs error
	for _, r := range routes {
		to := g.hub.All()
		if group := r.audience(); group != "" {
			to = g.hub.Group(group)
		}
		errs = errors.Join(errs, to.Send(ctx, method, r.deliver(raw)...))
	}
	return errs
}

// deliver returns the arguments in the form of the route.
func (r *hubRoute) deliver(args []json.RawMessage) []any {
	if !r.Unwrap {
		var b bytes.Buffer
		b.WriteByte('[')
		for i, a := range args {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(a)
		}
		b.WriteByte(']')
		return []any{json.RawMessage(b.Bytes()), json.RawMessage("{}")}
	}
	all := make([]any, len(args))
	for i, a := range args {
		all[i] = a
	}
	return all
}
