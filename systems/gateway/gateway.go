package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// Gateway has the routes. Register hubs and services before [Gateway.Start]; all other methods are safe for concurrent use.
type Gateway struct {
	config Config
	hub    *hubbub.Hub // nil if it is off
	hubs   []*HubRoutes
	apis   []*APIRoutes
	cache  cache

	mu      sync.Mutex
	started bool
	closed  bool
}

// New returns a gateway without routes.
func New(c Config) *Gateway {
	c.setDefaults()
	g := &Gateway{config: c}
	if !c.NoGatewayHub {
		g.hub = g.newHub()
	}
	return g
}

// AddHub registers a hub downstream under key, which is unique among hubs without regard to case. It panics if the hub or the key
// cannot be used, and after [Gateway.Start]. It returns where its routes are added.
func (g *Gateway) AddHub(key string, h Hub) *HubRoutes {
	g.registering("AddHub " + key)
	key = g.newKey("AddHub ", key, g.hubOf(key) != nil)
	if err := h.check(); err != nil {
		panic(fmt.Sprintf("gateway: AddHub %s: %v", key, err))
	}
	h.setDefaults()
	h.Header = h.Header.Clone()
	r := &HubRoutes{g: g, key: key, hub: h}
	g.hubs = append(g.hubs, r)
	return r
}

// registering panics when it is too late for it.
func (g *Gateway) registering(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.started || g.closed {
		panic("gateway: " + what + ": the gateway has started, want all registered before")
	}
}

// newKey returns key in lower case, or panics if it is none or taken.
func (g *Gateway) newKey(what, key string, taken bool) string {
	switch {
	case key == "" || strings.ContainsAny(key, "/\x00"):
		panic(fmt.Sprintf("gateway: %s%q: want a key without slashes", what, key))
	case taken:
		panic(fmt.Sprintf("gateway: %s%s: the key is taken", what, key))
	}
	return strings.ToLower(key)
}

// hubOf returns the hub with that key in any case, nil if there is none.
func (g *Gateway) hubOf(key string) *HubRoutes {
	for _, h := range g.hubs {
		if strings.EqualFold(h.key, key) {
			return h
		}
	}
	return nil
}

// Start begins to connect to the hubs downstream, whose handlers are registered before. It does not wait: a hub that is down is
// no error. It fails if the gateway has been started before.
func (g *Gateway) Start() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.started || g.closed {
		return errors.New("gateway: start: the gateway has been started or closed before")
	}
	g.started = true
	for _, h := range g.hubs {
		h.link = newDownstream(h)
		go h.link.run()
	}
	return nil
}

// Close asks the clients of the GatewayHub to leave, ends the connections downstream and returns when nothing of the gateway
// runs any more, or when ctx ends, with its error. Calls that wait fail. Closing twice does nothing.
func (g *Gateway) Close(ctx context.Context) error {
	g.mu.Lock()
	started, closed := g.started, g.closed
	g.closed = true
	g.mu.Unlock()
	if closed {
		return nil
	}
	var err error
	if g.hub != nil {
		err = g.hub.Shutdown(ctx, 0)
	}
	for _, a := range g.apis {
		if a.own != nil {
			a.own.CloseIdleConnections()
		}
	}
	if !started {
		return err
	}
	for _, h := range g.hubs {
		h.link.cancel()
	}
	for _, h := range g.hubs {
		select {
		case <-h.link.done:
		case <-ctx.Done():
			return errors.Join(err, fmt.Errorf("gateway: close: the hub %s: %w", h.key, ctx.Err()))
		}
	}
	return err
}

// GatewayHub returns the hub, for counters; nil if it is off.
func (g *Gateway) GatewayHub() *hubbub.Hub { return g.hub }

// Mount makes the GatewayHub and the REST endpoints reachable at their paths. For paths without regard to case wrap the mux in
// [Gateway.FoldCase].
func (g *Gateway) Mount(mux interface{ Handle(string, http.Handler) }) {
	if g.hub != nil {
		signalr.MapHub(mux, HubPath, g.hub, &g.config.Core)
	}
	mux.Handle(RESTPath, http.HandlerFunc(g.serve))
	mux.Handle(RESTPath+"/", http.HandlerFunc(g.serve))
}

// FoldCase wraps the mux of [Gateway.Mount] so that everything mounted there is found without regard to case.
func (g *Gateway) FoldCase(mux http.Handler) http.Handler {
	hub := signalr.FoldCase(mux, HubPath)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if prefix := RESTPath + "/"; len(r.URL.Path) >= len(prefix) && strings.EqualFold(r.URL.Path[:len(prefix)], prefix) {
			g.serve(w, r)
			return
		}
		hub.ServeHTTP(w, r)
	})
}

// Handler returns all of the gateway, found without regard to case. What is none of its paths is answered with 404.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	g.Mount(mux)
	return g.FoldCase(mux)
}

// HubHealth is how a connection downstream is.
type HubHealth struct {
	Key       string
	Connected bool
	Dialect   Dialect // of the server; Auto while it is not known
	Err       error   // why it is not connected, nil if it is
	Connects  uint64  // times that it was connected
	Invoked   uint64  // calls that have succeeded
	Failed    uint64  // calls that have failed: the hub was down, slow, or answered with an error
	Refused   uint64  // calls that were not sent, since MaxPending others waited
	Delivered uint64  // messages of the hub that were relayed, each counted once whatever the listeners
}

// Health tells how the connections downstream are, in the order of registration. A gateway with one that is not connected is
// degraded, not down. It does not block.
func (g *Gateway) Health() []HubHealth {
	g.mu.Lock()
	started := g.started
	g.mu.Unlock()
	all := make([]HubHealth, len(g.hubs))
	for i, h := range g.hubs {
		c := &h.count
		all[i] = HubHealth{Key: h.key, Dialect: h.hub.Dialect, Err: errNotStarted, Connects: c.connects.Load(), Invoked: c.invoked.Load(),
			Failed: c.failed.Load(), Refused: c.refused.Load(), Delivered: c.delivered.Load()}
		if started {
			all[i].Connected, all[i].Dialect, all[i].Err = h.link.health()
		}
	}
	return all
}
