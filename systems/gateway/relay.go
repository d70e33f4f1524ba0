package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hubbub-go/hubbub"
)

// hears returns the routes by the methods that the hub calls; none if nobody could hear of it. Of routes that would reach the
// same clients in the same form one is left.
func (h *hubEntry) hears() map[string][]*hubRoute {
	if h.g.hub == nil {
		return nil
	}
	type delivery struct {
		method, audience string
		unwrap           bool
	}
	seen, all := make(map[delivery]bool), make(map[string][]*hubRoute)
	for _, r := range h.routes {
		d := delivery{r.ReceiveMethod, r.group, r.Unwrap}
		if r.ReceiveMethod != "" && !seen[d] {
			seen[d] = true
			all[r.ReceiveMethod] = append(all[r.ReceiveMethod], r)
		}
	}
	return all
}

// audience is the group of the GatewayHub that hears of the route, "" for all its clients. Keys have no zero bytes. With another
// ReceiveKey it is another group: who has shown the key before has to show the new one.
func (r *hubRoute) audience() string {
	switch r.BroadcastType {
	case BroadcastGroup:
		return "group\x00" + r.hub.key + "\x00" + r.hub.seal() + "\x00" + r.ReceiveGroup
	case BroadcastIndividual:
		return "route\x00" + r.hub.key + "\x00" + r.hub.seal() + "\x00" + r.key
	}
	return ""
}

// seal stands for the ReceiveKey of the hub and does not give it away.
func (h *hubEntry) seal() string {
	sum := sha256.Sum256([]byte("gateway receiveKey\x00" + h.hub.ReceiveKey))
	return hex.EncodeToString(sum[:12])
}

// relay sends what a hub has called to those who listen. It waits for nobody.
func (h *hubEntry) relay(ctx context.Context, method string, args hubbub.Args) error {
	routes := h.heard[method]
	if len(routes) == 0 {
		return nil
	}
	raw := make([]json.RawMessage, args.Len())
	for i := range raw {
		if err := args.Decode(i, &raw[i]); err != nil {
			return fmt.Errorf("gateway: relay %s of hub %s: argument %d: %w", method, h.key, i, err)
		}
	}
	h.state.delivered.Add(1)
	var errs error
	for _, r := range routes {
		r.delivered.Inc()
		to := h.g.hub.All()
		if r.group != "" {
			to = h.g.hub.Group(r.group)
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
