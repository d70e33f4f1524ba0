package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// Gateway has the routes. Register hubs and services before [Gateway.Start], or put routes in force at any time with
// [Gateway.Reload]; all methods but AddHub and AddAPI are safe for concurrent use.
type Gateway struct {
	config        Config
	hub           *hubbub.Hub // nil if it is off
	cache         cache
	others        openAPIPart   // of the document
	states        atomic.Uint64 // numbers given
	now           atomic.Pointer[table]
	metrics       metrics
	orchestration Handler
	rest          http.Handler // the REST endpoints
	described     http.Handler // the OpenAPI document

	ctx    context.Context // ends with the gateway
	cancel context.CancelFunc
	links  sync.WaitGroup // connections downstream, those on their way out too

	mu      sync.Mutex
	routes  *Routes // to start with
	started bool
	closed  bool
}

// New returns a gateway without routes.
func New(c Config) *Gateway {
	c.setDefaults()
	g := &Gateway{config: c, metrics: newMetrics()}
	g.cache.limit = c.MaxCacheSize
	listed := guards{&g.config.Guard, &g.config.Orchestration}
	list := listed.around(g.getOrchestration)
	g.orchestration = func(w http.ResponseWriter, r *http.Request, a *Access) { g.pass(w, r, a, listed, list) }
	g.described = g.newDescribed(listed)
	if g.rest = http.HandlerFunc(g.serve); c.Auth != nil {
		g.rest = c.Auth(g.rest)
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.routes = &Routes{own: g}
	if !c.NoGatewayHub {
		g.hub = g.newHub()
	}
	return g
}

// AddHub registers a hub downstream under key, which is unique among hubs without regard to case. It panics if the hub or the key
// cannot be used, and after [Gateway.Start]. It returns where its routes are added, which panics alike.
func (g *Gateway) AddHub(key string, h Hub) *HubRoutes { return g.routes.AddHub(key, h) }

// AddAPI registers a service under key, which is unique among services without regard to case. It panics if the service or the key
// cannot be used, and after [Gateway.Start]. It returns where its routes are added, which panics alike.
func (g *Gateway) AddAPI(key string, a API) *APIRoutes { return g.routes.AddAPI(key, a) }

// busy reports whether it is too late to register.
func (g *Gateway) busy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started || g.closed
}

// table returns the routes in force; before the start those that are registered.
func (g *Gateway) table() *table {
	if t := g.now.Load(); t != nil {
		return t
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.now.Load(); t != nil {
		return t
	}
	return g.newTable(g.routes, new(table))
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
	g.swap(g.routes)
	return nil
}

// Reload puts routes in force in place of all that were, at once and as a whole; before [Gateway.Start] they are what it starts
// with. It fails, and changes nothing, if one of them cannot be used or the gateway is closed. It does not block.
//
// No client of the GatewayHub is disconnected. Calls and requests that run finish as they began. A hub whose settings are the
// same keeps its connection, whatever became of its routes, as does one with the same [Hub.Revision]; another one is connected
// anew, and what the connection before has not said by then is lost. Subscriptions of routes that are gone deliver nothing, those
// of routes that stay go on, unless the ReceiveKey of the hub is another.
//
// routes is not kept and may be changed and used again.
func (g *Gateway) Reload(routes *Routes) error {
	if err := routes.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return errors.New("gateway: reload: the gateway has been closed")
	case g.started:
		g.swap(routes)
	default:
		g.routes = &Routes{own: g, hubs: slices.Clone(routes.hubs), apis: slices.Clone(routes.apis)}
	}
	return nil
}

// swap puts routes in force, connects to hubs that are new and leaves those that are gone. It needs g.mu.
func (g *Gateway) swap(routes *Routes) {
	old := g.now.Load()
	if old == nil {
		old = new(table)
	}
	t := g.newTable(routes, old)
	var begin []*downstream
	for _, h := range t.hubs {
		if h.link == nil {
			h.link = newDownstream(h)
			begin = append(begin, h.link)
		} else {
			h.link.hear(h)
		}
	}
	g.now.Store(t)
	for _, a := range t.apis {
		a.state.begin(g, a.key, &a.api)
	}
	for _, d := range begin {
		g.links.Go(d.run)
	}
	for _, h := range old.hubs {
		if now := t.byHub[h.key]; now == nil || now.link != h.link {
			h.link.retire()
		}
	}
	for _, a := range old.apis {
		if now := t.byAPI[a.key]; now == nil || now.state != a.state {
			a.state.end()
		}
	}
	g.metrics.dropAbsent(old, t)
}

// Close asks the clients of the GatewayHub to leave, ends the connections downstream and returns when nothing of the gateway
// runs any more, or when ctx ends, with its error. Calls that wait fail. Closing twice does nothing.
func (g *Gateway) Close(ctx context.Context) error {
	g.mu.Lock()
	closed := g.closed
	g.closed = true
	g.mu.Unlock()
	if closed {
		return nil
	}
	t := g.table()
	var err error
	if g.hub != nil {
		err = g.hub.Shutdown(ctx, 0)
	}
	for _, a := range t.apis {
		a.state.end()
	}
	g.cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.links.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("gateway: close: connections downstream: %w", ctx.Err()))
	}
	return err
}

// GatewayHub returns the hub, for counters; nil if it is off.
func (g *Gateway) GatewayHub() *hubbub.Hub { return g.hub }

// Mount makes the GatewayHub, the REST endpoints and the page that describes them reachable at their paths. For paths without
// regard to case wrap the mux in [Gateway.FoldCase].
func (g *Gateway) Mount(mux interface{ Handle(string, http.Handler) }) {
	if g.hub != nil {
		signalr.MapHub(mux, HubPath, g.hub, &g.config.Core)
	}
	mux.Handle(RESTPath, g.rest)
	mux.Handle(RESTPath+"/", g.rest)
	mux.Handle(SwaggerPath, http.HandlerFunc(g.serveSwagger))
	mux.Handle(SwaggerPath+"/", http.HandlerFunc(g.serveSwagger))
}

// FoldCase wraps the mux of [Gateway.Mount] so that everything mounted there is found without regard to case.
func (g *Gateway) FoldCase(mux http.Handler) http.Handler {
	hub := signalr.FoldCase(mux, HubPath)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if prefix := RESTPath + "/"; len(r.URL.Path) >= len(prefix) && strings.EqualFold(r.URL.Path[:len(prefix)], prefix) {
			g.rest.ServeHTTP(w, r)
			return
		}
		if isSwagger(r.URL.Path) {
			g.serveSwagger(w, r)
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
	t := g.table()
	all := make([]HubHealth, len(t.hubs))
	for i, h := range t.hubs {
		s := h.state
		all[i] = HubHealth{Key: h.key, Dialect: h.hub.Dialect, Err: errNotStarted, Connects: s.connects.Load(), Invoked: s.invoked.Load(),
			Failed: s.failed.Load(), Refused: s.refused.Load(), Delivered: s.delivered.Load()}
		if h.link != nil {
			all[i].Connected, all[i].Dialect, all[i].Err = h.link.health()
		}
	}
	return all
}
