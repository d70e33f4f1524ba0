package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/hubbub-go/hubbub"
)

// Operation is what somebody wants of the gateway.
type Operation uint8

// The operations.
const (
	OperationRequest       Operation = iota // a request of a service
	OperationInvoke                         // a call of a hub, by POST or by InvokeDownstreamHub
	OperationSubscribe                      // SubscribeToGroup or SubscribeToRoute
	OperationOrchestration                  // the list of routes, or the OpenAPI document
)

// Access is one attempt to use the gateway.
type Access struct {
	// Operation is what is wanted.
	Operation Operation
	// API and Route are the keys of the service or hub and of its route, in lower case. The list of routes has none.
	API, Route string
	// Verb is that of the request over HTTP, "" for a client of the GatewayHub.
	Verb string
	// User is who it is, nil if that is not known.
	User *hubbub.User
	// Request is the request over HTTP, nil for a client of the GatewayHub, whose [hubbub.Caller] is in the context. Its body has
	// not been read.
	Request *http.Request
}

// Authorization says whether an access is allowed: nil if it is. With [ErrUnauthenticated] the answer is 401, with any other error
// 403; the text of a *[hubbub.Error] is for the client, that of any other one for the log. The service or hub hears of neither. It
// is called by many at a time.
type Authorization func(ctx context.Context, a *Access) error

// ErrUnauthenticated is what an [Authorization] returns if it has to know who it is.
var ErrUnauthenticated = errors.New("gateway: not authenticated")

// Handler answers a request over HTTP that has found its route.
type Handler func(w http.ResponseWriter, r *http.Request, a *Access)

// Filter wraps the answers to requests over HTTP that are allowed: what it does before and after next, it does around the request of
// the service or the call of the hub; it may change the request and its body, replace what is written, or answer without calling
// next. It does not run for clients of the GatewayHub, whose calls have the filters of [hubbub.Hub.Use].
type Filter func(next Handler) Handler

// Guard says who may use something, and what runs around that.
type Guard struct {
	// Requires is the scope, role or right (claim rights) that users need, which those with the role or right admin have; "*" is
	// for every user who is known. Default none.
	Requires string
	// Authorize is asked after that. Default none.
	Authorize Authorization
	// Filters run around it, the first outermost. Default none.
	Filters []Filter
}

// guards are those of the gateway, of a service or hub, and of a route, in this order. An access has to pass all.
type guards []*Guard

// requires returns all that users need.
func (g guards) requires() []string {
	var all []string
	for _, one := range g {
		if one.Requires != "" && !slices.Contains(all, one.Requires) {
			all = append(all, one.Requires)
		}
	}
	return all
}

// around returns h with the filters.
func (g guards) around(h Handler) Handler {
	for _, one := range slices.Backward(g) {
		for _, f := range slices.Backward(one.Filters) {
			h = f(h)
		}
	}
	return h
}

// allow says why an access is not allowed, nil if it is.
func (g guards) allow(ctx context.Context, a *Access) error {
	for _, one := range g {
		switch {
		case one.Requires == "":
		case a.User == nil:
			return ErrUnauthenticated
		case one.Requires != "*" && !hasRight(a.User, one.Requires):
			return hubbub.Errorf("The right %s is needed.", one.Requires)
		}
		if one.Authorize == nil {
			continue
		}
		if err := one.Authorize(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// hasRight reports whether a user has a right: as a scope, as a role, or in the claim rights.
func hasRight(u *hubbub.User, right string) bool {
	if u.HasScope(right) || u.HasRole(right) || u.HasRole("admin") {
		return true
	}
	rights, _ := u.Claims["rights"].([]any)
	return slices.Contains(rights, any(right)) || slices.Contains(rights, any("admin"))
}

// denied returns the status and the text of a refusal, and logs what is not for the client.
func (g *Gateway) denied(ctx context.Context, a *Access, err error) (int, string) {
	if errors.Is(err, ErrUnauthenticated) {
		return http.StatusUnauthorized, "Who you are is not known."
	}
	if told, ok := errors.AsType[*hubbub.Error](err); ok {
		return http.StatusForbidden, told.Message
	}
	g.config.Logger.WarnContext(ctx, "gateway: access denied", "api", a.API, "route", a.Route, "verb", a.Verb, "error", err)
	return http.StatusForbidden, "This is not allowed."
}

// guarded returns what answers requests over HTTP for a route: h behind its guards, all counted.
func (g *Gateway) guarded(kind, api, route string, all guards, h Handler) Handler {
	h = all.around(h)
	return g.metrics.measured(kind, api, route, func(w http.ResponseWriter, r *http.Request, a *Access) { g.pass(w, r, a, all, h) })
}

// pass lets a request over HTTP through to h if it is allowed.
func (g *Gateway) pass(w http.ResponseWriter, r *http.Request, a *Access, all guards, h Handler) {
	a.Verb, a.User, a.Request = r.Method, hubbub.UserFrom(r.Context()), r
	if err := all.allow(r.Context(), a); err != nil {
		status, text := g.denied(r.Context(), a, err)
		refuse(w, status, text)
		return
	}
	h(w, r, a)
}

// passCall lets a client of the GatewayHub through.
func (g *Gateway) passCall(ctx context.Context, o Operation, r *hubRoute) error {
	a := &Access{Operation: o, API: r.hub.key, Route: r.key, User: hubbub.CallerFrom(ctx).User()}
	if err := r.guards.allow(ctx, a); err != nil {
		_, text := g.denied(ctx, a, err)
		return hubbub.Errorf("%s", text)
	}
	return nil
}
