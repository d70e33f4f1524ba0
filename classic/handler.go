package classic

import (
	"net/http"
	"strings"

	"github.com/hubbub-go/hubbub"
)

// Mux is where handlers are registered: an *http.ServeMux, or anything with its Handle.
type Mux interface {
	Handle(pattern string, h http.Handler)
}

// MapHubs makes hubs reachable at path and everything below it, over one connection for all of them; opts may be nil. Hubs are
// called by their names ([hubbub.NewHub]), without regard to case; the names must differ and have no dot. A hub may be mapped
// to several paths, and with signalr.MapHub: it stays one set of connections and groups.
func MapHubs(mux Mux, path string, opts *Options, hubs ...*hubbub.Hub) {
	mapPath(mux, path, Handler(opts, hubs...))
}

// MapConnection makes a persistent connection reachable at path and everything below it (SignalR 2.x, "PersistentConnection"):
// each text that a client sends is a call of the hub's method OnReceived with that one argument, and each [hubbub.Clients.Send]
// sends its one argument, whatever its target. opts may be nil.
func MapConnection(mux Mux, path string, opts *Options, hub *hubbub.Hub) {
	mapPath(mux, path, ConnectionHandler(opts, hub))
}

func mapPath(mux Mux, path string, h http.Handler) {
	path = strings.TrimSuffix(path, "/")
	if path != "" {
		mux.Handle(path, h)
	}
	mux.Handle(path+"/", h)
}

// Handler serves hubs for other routers: it expects the requests for a path and everything below it. See [MapHubs].
func Handler(opts *Options, hubs ...*hubbub.Hub) http.Handler {
	if len(hubs) == 0 {
		panic("classic: no hubs, want at least one")
	}
	return newEndpoint(opts, hubs...).handler()
}

// ConnectionHandler serves a persistent connection for other routers. See [MapConnection].
func ConnectionHandler(opts *Options, hub *hubbub.Hub) http.Handler {
	e := newEndpoint(opts)
	e.raw = e.add(hub, true)
	return e.handler()
}

func (e *endpoint) handler() http.Handler {
	h := http.Handler(http.HandlerFunc(e.serve))
	if e.opts.Auth != nil {
		h = e.opts.Auth(h)
	}
	other := e.opts.Otherwise
	if other == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isClassic(r) {
			other.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// commands are the last elements of paths that mean something, in lower case.
var commands = []string{"negotiate", "connect", "start", "reconnect", "poll", "send", "abort", "ping", "hubs", "js"}

// commandOf returns the command of a path, "" if it has none. Only the generated script may be asked for with a slash behind.
func commandOf(path string) string {
	folded := strings.ToLower(path)
	for _, c := range commands {
		if strings.HasSuffix(folded, "/"+c) || ((c == "hubs" || c == "js") && strings.HasSuffix(folded, "/"+c+"/")) {
			return c
		}
	}
	return ""
}

// isClassic tells the two generations of clients apart where both use one path. A Core client negotiates with POST and knows
// no other command; its streams are at the path itself.
func isClassic(r *http.Request) bool {
	switch commandOf(r.URL.Path) {
	case "negotiate":
		q := parseValues(r.URL.RawQuery)
		return q.has("clientprotocol") || (r.Method != http.MethodPost && !q.has("negotiateversion"))
	case "":
		return parseValues(r.URL.RawQuery).has("transport")
	}
	return true
}
