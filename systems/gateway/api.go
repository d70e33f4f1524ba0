package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// API is a service over HTTP, at one address or at several that are alike. Zero fields have the default of their comment.
type API struct {
	// BaseURLs are its addresses. There must be one.
	BaseURLs []string
	// Balance says which address gets a request. Default [Random].
	Balance Balance
	// Header replaces what the client has sent in each request. Default none.
	Header http.Header
	// Timeout bounds a request, its body included. Default 30 s.
	Timeout time.Duration
	// Cache is for how long answers to GET and HEAD are kept. Default 0: they are not.
	Cache time.Duration
	// Transport sends the requests. Default one of the service's own, with the settings of http.DefaultTransport, which does
	// not decompress.
	Transport http.RoundTripper
}

func (a *API) check() error {
	if len(a.BaseURLs) == 0 {
		return errors.New("no BaseURLs, want at least one")
	}
	if a.Balance > LeastPending {
		return fmt.Errorf("balance %d, want random, round robin or least pending", a.Balance)
	}
	for _, raw := range a.BaseURLs {
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			return fmt.Errorf("address: %w", err)
		case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
			return fmt.Errorf("address %q, want http://host/path or https://host/path", raw)
		}
	}
	return nil
}

// Route is one operation of a service.
type Route struct {
	// Verb is GET, which answers HEAD too, POST, PUT, PATCH or DELETE. Default GET.
	Verb string
	// Path is the path below the address of the service, with a query if need be. The query value parameters of a request is
	// appended to it. If the path has placeholders such as {id}, parameters has their values instead, as in a query:
	// id=7&year=2026.
	Path string
	// Timeout is that of the route. Default that of the service.
	Timeout time.Duration
	// Cache is for how long answers are kept, for GET only. Default that of the service; negative is not at all.
	Cache time.Duration
	// RequestSchema and ResponseSchema are JSON schemas of the bodies, for the orchestration. Default none.
	RequestSchema, ResponseSchema json.RawMessage
}

func (r *Route) check() error {
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, r.Verb) {
		return fmt.Errorf("verb %q, want GET, POST, PUT, PATCH or DELETE", r.Verb)
	}
	for _, schema := range []json.RawMessage{r.RequestSchema, r.ResponseSchema} {
		if schema != nil && !json.Valid(schema) {
			return errors.New("a schema is no JSON")
		}
	}
	_, err := parseTemplate(r.Path)
	return err
}

// APIRoutes is where the routes of one service are registered.
type APIRoutes struct {
	g         *Gateway
	key       string // in lower case
	api       API
	transport http.RoundTripper
	own       *http.Transport // nil if the transport is another's
	balancer  *balancer
	routes    []*apiRoute // as registered
}

type apiRoute struct {
	Route
	api      *APIRoutes
	key      string // in lower case
	template template
}

// AddAPI registers a service under key, which is unique among services without regard to case. It panics if the service or the key
// cannot be used, and after [Gateway.Start]. It returns where its routes are added.
func (g *Gateway) AddAPI(key string, a API) *APIRoutes {
	g.registering("AddAPI " + key)
	key = g.newKey("AddAPI ", key, g.apiOf(key) != nil)
	if err := a.check(); err != nil {
		panic(fmt.Sprintf("gateway: AddAPI %s: %v", key, err))
	}
	positive(&a.Timeout, 30*time.Second)
	a.Header = a.Header.Clone()
	r := &APIRoutes{g: g, key: key, api: a, transport: a.Transport, balancer: newBalancer(a.Balance, a.BaseURLs)}
	if r.transport == nil {
		r.own = http.DefaultTransport.(*http.Transport).Clone()
		r.own.DisableCompression = true
		r.transport = r.own
	}
	g.apis = append(g.apis, r)
	return r
}

// AddRoute registers a route under key, which is unique in the service without regard to case. It panics if the route or the key
// cannot be used, and after [Gateway.Start]. It returns a.
func (a *APIRoutes) AddRoute(key string, r Route) *APIRoutes {
	a.g.registering("AddRoute " + a.key + "/" + key)
	key = a.g.newKey("AddRoute "+a.key+"/", key, a.route(key) != nil)
	if r.Verb == "" {
		r.Verb = http.MethodGet
	}
	r.Verb = strings.ToUpper(r.Verb)
	if err := r.check(); err != nil {
		panic(fmt.Sprintf("gateway: AddRoute %s/%s: %v", a.key, key, err))
	}
	positive(&r.Timeout, a.api.Timeout)
	if r.Cache == 0 {
		r.Cache = a.api.Cache
	}
	t, _ := parseTemplate(r.Path) // checked above
	a.routes = append(a.routes, &apiRoute{Route: r, api: a, key: key, template: t})
	return a
}

// route returns the route with that key in any case, nil if there is none.
func (a *APIRoutes) route(key string) *apiRoute {
	for _, r := range a.routes {
		if strings.EqualFold(r.key, key) {
			return r
		}
	}
	return nil
}

// apiOf returns the service with that key in any case, nil if there is none.
func (g *Gateway) apiOf(key string) *APIRoutes {
	for _, a := range g.apis {
		if strings.EqualFold(a.key, key) {
			return a
		}
	}
	return nil
}
