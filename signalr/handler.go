// Package signalr speaks ASP.NET Core SignalR: it makes the hubs of package hubbub reachable for its clients over WebSockets,
// Server-Sent Events and Long Polling, in the json and messagepack protocols.
package signalr

import (
	"net/http"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/ws"
)

// Mux is where handlers are registered: an *http.ServeMux, or anything with its Handle.
type Mux interface {
	Handle(pattern string, h http.Handler)
}

// MapHub makes hub reachable at path and at path/negotiate, each with or without one trailing slash; opts may be nil. A hub
// may be mapped to several paths: it stays one set of connections and groups. Paths are matched as the mux does; see
// [FoldCase].
func MapHub(mux Mux, path string, hub *hubbub.Hub, opts *Options) {
	mapEndpoint(mux, path, newEndpoint(hub, nil, opts))
}

// MapConnection makes a raw connection handler reachable at path. See [MapHub].
func MapConnection(mux Mux, path string, handler ConnectionHandler, opts *Options) {
	mapEndpoint(mux, path, newEndpoint(nil, handler, opts))
}

// Handler serves a hub for other routers: it expects the requests for a path, for its /negotiate and, with authentication
// refresh, its /refresh. opts may be nil.
func Handler(hub *hubbub.Hub, opts *Options) http.Handler {
	e := newEndpoint(hub, nil, opts)
	negotiate, refresh, base := e.guard(e.serveNegotiate), e.guard(e.serveRefresh), e.guard(e.serveBase)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.ToLower(strings.TrimSuffix(r.URL.Path, "/")); {
		case strings.HasSuffix(path, "/negotiate"):
			negotiate.ServeHTTP(w, r)
		case strings.HasSuffix(path, "/refresh") && e.opts.EnableAuthenticationRefresh:
			refresh.ServeHTTP(w, r)
		default:
			base.ServeHTTP(w, r)
		}
	})
}

func mapEndpoint(mux Mux, path string, e *endpoint) {
	path = strings.TrimSuffix(path, "/")
	both := func(p string, f http.HandlerFunc) {
		h := e.guard(f)
		if p != "" {
			mux.Handle(p, h)
		}
		mux.Handle(p+"/{$}", h)
	}
	both(path, e.serveBase)
	both(path+"/negotiate", e.serveNegotiate)
	if e.opts.EnableAuthenticationRefresh {
		both(path+"/refresh", e.serveRefresh)
	}
}

// guard authenticates and authorises every request of the endpoint.
func (e *endpoint) guard(f http.HandlerFunc) http.Handler {
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.hub != nil {
			user := hubbub.UserFrom(r.Context())
			if !e.hub.Authorize(r.Context(), user) {
				refuse(w, user)
				return
			}
		}
		f(w, r)
	}))
	if e.opts.Auth != nil {
		h = e.opts.Auth(h)
	}
	return h
}

// refuse answers a user who may not come here. The body must be empty: clients print it.
func refuse(w http.ResponseWriter, user *hubbub.User) {
	if user == nil {
		answerBare(w, http.StatusUnauthorized, "")
		return
	}
	answerBare(w, http.StatusForbidden, "")
}

// serveBase answers the requests of the transports.
func (e *endpoint) serveBase(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		switch {
		case acceptsEventStream(r):
			e.serveEvents(w, r)
		case ws.IsUpgrade(r):
			e.serveWebSocket(w, r)
		default:
			e.servePoll(w, r)
		}
	case http.MethodPost:
		e.servePost(w, r)
	case http.MethodDelete:
		e.serveDelete(w, r)
	default:
		answer(w, http.StatusMethodNotAllowed, "")
	}
}

// FoldCase wraps a mux so that requests for the given paths, and for what is below them, find their handler without regard to
// case: path by path, in the spelling it is registered with, and in lower case below it.
func FoldCase(h http.Handler, paths ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, path := range paths {
			path = strings.TrimSuffix(path, "/")
			n := len(path)
			p := r.URL.Path
			if len(p) < n || !strings.EqualFold(p[:n], path) || (len(p) > n && p[n] != '/') {
				continue
			}
			if want := path + strings.ToLower(p[n:]); want != p {
				u := *r.URL
				u.Path, u.RawPath = want, ""
				r2 := *r
				r2.URL = &u
				r = &r2
			}
			break
		}
		h.ServeHTTP(w, r)
	})
}
