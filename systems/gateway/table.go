package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// table is all routes in force. It does not change: other routes are another table. What lives longer than a table, such as a
// connection, is in the states that one hands over to the next.
type table struct {
	hubs  []*hubEntry // as registered
	apis  []*apiEntry
	byHub map[string]*hubEntry // by key in lower case
	byAPI map[string]*apiEntry
}

// hubEntry is a hub with its routes.
type hubEntry struct {
	g      *Gateway
	key    string // in lower case
	hub    Hub    // with its defaults
	given  Hub    // without
	routes []*hubRoute
	heard  map[string][]*hubRoute // by the method that the hub calls
	state  *hubState
	link   *downstream // nil before the start
}

// hubState is what a hub keeps, whatever its connection, as long as there is one of that key.
type hubState struct{ invoked, failed, refused, delivered, connects atomic.Uint64 }

// hubRoute is a route of a hub.
type hubRoute struct {
	HubRoute
	hub       *hubEntry
	key       string // in lower case
	group     string // see audience
	guards    guards
	serve     Handler // POST
	delivered prometheus.Counter
}

// apiEntry is a service with its routes.
type apiEntry struct {
	key    string // in lower case
	api    API
	routes []*apiRoute
	state  *apiState
}

// apiState is what a service keeps as long as its settings are the same.
type apiState struct {
	number    uint64 // unlike that of any other
	transport http.RoundTripper
	own       *http.Transport // nil if the transport is another's
	balancer  *balancer
	stop      context.CancelFunc // of the checks, nil if there are none
}

// apiRoute is a route of a service.
type apiRoute struct {
	Route
	api      *apiEntry
	key      string // in lower case
	template template
	guards   guards
	serve    Handler
}

// hubOf returns the hub with that key in any case, nil if there is none.
func (t *table) hubOf(key string) *hubEntry { return t.byHub[strings.ToLower(key)] }

// apiOf returns the service with that key in any case, nil if there is none.
func (t *table) apiOf(key string) *apiEntry { return t.byAPI[strings.ToLower(key)] }

// route returns the route with that key in any case, nil if there is none.
func (h *hubEntry) route(key string) *hubRoute {
	key = strings.ToLower(key)
	for _, r := range h.routes {
		if r.key == key {
			return r
		}
	}
	return nil
}

// route returns the route with that key in any case, nil if there is none.
func (a *apiEntry) route(key string) *apiRoute {
	key = strings.ToLower(key)
	for _, r := range a.routes {
		if r.key == key {
			return r
		}
	}
	return nil
}

// newTable returns the table of routes, with what old has that stays. It starts and ends nothing.
func (g *Gateway) newTable(routes *Routes, old *table) *table {
	t := &table{byHub: make(map[string]*hubEntry), byAPI: make(map[string]*apiEntry)}
	for _, a := range routes.apis {
		e := &apiEntry{key: a.key, api: a.api}
		if before := old.apiOf(a.key); before != nil && a.api.goesOnAs(&before.api) {
			e.state = before.state
		} else {
			e.state = g.newAPIState(&a.api)
		}
		for _, r := range a.routes {
			x := &apiRoute{Route: r.Route, api: e, key: r.key, template: r.template}
			x.guards = guards{&g.config.Guard, &e.api.Guard, &x.Guard}
			x.serve = g.guarded(kindAPI, e.key, r.key, x.guards, func(w http.ResponseWriter, r *http.Request, _ *Access) { g.callAPI(w, r, x) })
			e.routes = append(e.routes, x)
		}
		t.apis, t.byAPI[a.key] = append(t.apis, e), e
	}
	for _, h := range routes.hubs {
		e := &hubEntry{g: g, key: h.key, hub: h.hub, given: h.hub}
		e.hub.setDefaults()
		for _, r := range h.routes {
			x := &hubRoute{HubRoute: r.HubRoute, hub: e, key: r.key}
			x.group = x.audience()
			x.delivered = g.metrics.delivered.WithLabelValues(e.key, r.key)
			x.guards = guards{&g.config.Guard, &e.hub.Guard, &x.Guard}
			x.serve = g.guarded(kindHub, e.key, r.key, x.guards, func(w http.ResponseWriter, r *http.Request, _ *Access) { g.postHub(w, r, e, x) })
			e.routes = append(e.routes, x)
		}
		e.heard = e.hears()
		if before := old.hubOf(h.key); before == nil {
			e.state = new(hubState)
		} else if e.state = before.state; before.given.goesOnAs(&e.given) {
			e.link = before.link
		}
		t.hubs, t.byHub[h.key] = append(t.hubs, e), e
	}
	return t
}

// goesOnAs reports whether the connection of h is good for other.
func (h *Hub) goesOnAs(other *Hub) bool {
	if h.Revision != "" && h.Revision == other.Revision {
		return true
	}
	x, y := *h, *other
	for _, z := range []*Hub{&x, &y} { // those that are looked at with each call
		z.ReceiveKey, z.InvokeKey, z.InvokeTimeout, z.MaxPending, z.Revision, z.Guard = "", "", 0, 0, "", Guard{}
	}
	return same(x, y)
}

// goesOnAs reports whether the state of a is good for other.
func (a *API) goesOnAs(other *API) bool {
	x, y := *a, *other
	for _, z := range []*API{&x, &y} { // those that are looked at with each request
		z.Timeout, z.Cache, z.CacheRules, z.Guard = 0, 0, CacheRules{}, Guard{}
	}
	return same(x, y)
}

func (g *Gateway) newAPIState(a *API) *apiState {
	s := &apiState{number: g.states.Add(1), transport: a.Transport, balancer: newBalancer(a.Balance, a.BaseURLs)}
	if s.transport == nil {
		s.own = http.DefaultTransport.(*http.Transport).Clone()
		s.own.DisableCompression = true
		s.transport = s.own
	}
	return s
}

// end lets go what has no requests; those that run finish.
func (s *apiState) end() {
	if s.stop != nil {
		s.stop()
	}
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
}
