package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// API is a service over HTTP, at one address or at several that are alike. Zero fields have the default of their comment.
type API struct {
	// BaseURLs are its addresses. There must be one.
	BaseURLs []string
	// Balance says which address gets a request. Default [Random].
	Balance Balance
	// Check asks the addresses whether they are well. Default: it does not.
	Check HealthCheck
	// Header replaces what the client has sent in each request. Default none.
	Header http.Header
	// Timeout bounds a request, its body included. Default 30 s.
	Timeout time.Duration
	// Cache is for how long answers to GET and HEAD are kept. Default 0: they are not.
	Cache time.Duration
	// CacheRules say how they are kept. Default by all that they depend on, by everybody.
	CacheRules CacheRules
	// Transport sends the requests. Default one of the service's own, with the settings of http.DefaultTransport, which does
	// not decompress.
	Transport http.RoundTripper
	// Guard says who may use the routes, beside that of [Config] and their own. Default everybody.
	Guard
}

func (a *API) check() error {
	if len(a.BaseURLs) == 0 {
		return errors.New("no BaseURLs, want at least one")
	}
	if a.Balance > LeastPending {
		return fmt.Errorf("balance %d, want random, round robin or least pending", a.Balance)
	}
	if err := errors.Join(a.Check.check(), a.CacheRules.check()); err != nil {
		return err
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
	// CacheRules say how they are kept. Default those of the service.
	CacheRules *CacheRules
	// Summary and Description are texts for people, in the OpenAPI document; the second may be Markdown. Default none.
	Summary, Description string
	// RequestSchema and ResponseSchema are JSON schemas of the bodies, for the orchestration and the OpenAPI document; [SchemaOf]
	// makes them of types. Default none.
	RequestSchema, ResponseSchema json.RawMessage
	// Guard says who may use the route, beside that of the service. Default everybody.
	Guard
}

func (r *Route) check() error {
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, r.Verb) {
		return fmt.Errorf("verb %q, want GET, POST, PUT, PATCH or DELETE", r.Verb)
	}
	if r.CacheRules != nil {
		if err := r.CacheRules.check(); err != nil {
			return err
		}
	}
	for _, schema := range []json.RawMessage{r.RequestSchema, r.ResponseSchema} {
		if schema == nil {
			continue
		}
		if err := checkSchema(schema); err != nil {
			return err
		}
	}
	_, err := parseTemplate(r.Path)
	return err
}
