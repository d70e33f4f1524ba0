package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Routes are services and hubs with their routes, to be put in force by [Gateway.Reload]. The zero value has none. What cannot be
// used is remembered and refused there, as a whole. It is not safe for concurrent use.
type Routes struct {
	hubs []*HubRoutes
	apis []*APIRoutes
	errs []error
	own  *Gateway // if they are those that a gateway starts with
}

// HubRoutes is where the routes of one hub are registered.
type HubRoutes struct {
	in     *Routes
	key    string // in lower case
	hub    Hub
	routes []*hubRoute // as registered
}

// APIRoutes is where the routes of one service are registered.
type APIRoutes struct {
	in     *Routes
	key    string // in lower case
	api    API
	routes []*apiRoute // as registered
}

// Err returns all that cannot be used, nil if there is nothing.
func (r *Routes) Err() error { return errors.Join(r.errs...) }

// AddHub registers a hub downstream under key, which is unique among hubs without regard to case. It returns where its routes are
// added.
func (r *Routes) AddHub(key string, h Hub) *HubRoutes {
	r.registering("AddHub " + key)
	key, err := newKey(key, r.HasHub(key))
	r.note("AddHub "+key, errors.Join(err, h.check()))
	h.Header = h.Header.Clone()
	added := &HubRoutes{in: r, key: key, hub: h}
	r.hubs = append(r.hubs, added)
	return added
}

// AddRoute registers a route under key, which is unique in the hub without regard to case. It returns h.
func (h *HubRoutes) AddRoute(key string, r HubRoute) *HubRoutes {
	h.in.registering("AddRoute " + h.key + "/" + key)
	key, err := newKey(key, slices.ContainsFunc(h.routes, func(x *hubRoute) bool { return strings.EqualFold(x.key, key) }))
	h.in.note("AddRoute "+h.key+"/"+key, errors.Join(err, r.check(&h.hub)))
	r.ReceiveParameterTypes = slices.Clone(r.ReceiveParameterTypes)
	h.routes = append(h.routes, &hubRoute{HubRoute: r, key: key})
	return h
}

// AddAPI registers a service under key, which is unique among services without regard to case. It returns where its routes are
// added.
func (r *Routes) AddAPI(key string, a API) *APIRoutes {
	r.registering("AddAPI " + key)
	key, err := newKey(key, r.HasAPI(key))
	r.note("AddAPI "+key, errors.Join(err, a.check()))
	positive(&a.Timeout, 30*time.Second)
	a.Header, a.BaseURLs = a.Header.Clone(), slices.Clone(a.BaseURLs)
	added := &APIRoutes{in: r, key: key, api: a}
	r.apis = append(r.apis, added)
	return added
}

// AddRoute registers a route under key, which is unique in the service without regard to case. It returns a.
func (a *APIRoutes) AddRoute(key string, r Route) *APIRoutes {
	a.in.registering("AddRoute " + a.key + "/" + key)
	key, err := newKey(key, slices.ContainsFunc(a.routes, func(x *apiRoute) bool { return strings.EqualFold(x.key, key) }))
	if r.Verb == "" {
		r.Verb = http.MethodGet
	}
	r.Verb = strings.ToUpper(r.Verb)
	a.in.note("AddRoute "+a.key+"/"+key, errors.Join(err, r.check()))
	positive(&r.Timeout, a.api.Timeout)
	if r.Cache == 0 {
		r.Cache = a.api.Cache
	}
	t, _ := parseTemplate(r.Path) // checked above
	a.routes = append(a.routes, &apiRoute{Route: r, key: key, template: t})
	return a
}

// newKey returns key in lower case, and why it cannot be one.
func newKey(key string, taken bool) (string, error) {
	var err error
	switch {
	case key == "" || strings.ContainsAny(key, "/\x00"):
		err = fmt.Errorf("key %q, want one without slashes", key)
	case taken:
		err = fmt.Errorf("the key is taken")
	}
	return strings.ToLower(key), err
}

// registering panics when it is too late for it.
func (r *Routes) registering(what string) {
	if g := r.own; g != nil && g.busy() {
		panic("gateway: " + what + ": the gateway has started, want all registered before")
	}
}

// note keeps what is wrong, or panics with it: a gateway's own routes are code, whose mistakes should show at once.
func (r *Routes) note(what string, err error) {
	if err == nil {
		return
	}
	err = fmt.Errorf("gateway: %s: %w", what, err)
	if r.own != nil {
		panic(err.Error())
	}
	r.errs = append(r.errs, err)
}

// HasHub reports whether there is a hub with that key in any case.
func (r *Routes) HasHub(key string) bool {
	return slices.ContainsFunc(r.hubs, func(x *HubRoutes) bool { return strings.EqualFold(x.key, key) })
}

// HasAPI reports whether there is a service with that key in any case.
func (r *Routes) HasAPI(key string) bool {
	return slices.ContainsFunc(r.apis, func(x *APIRoutes) bool { return strings.EqualFold(x.key, key) })
}
