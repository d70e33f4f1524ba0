package classic

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/ws"
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

// exchange is one request and what is known of it.
type exchange struct {
	e       *endpoint
	w       http.ResponseWriter
	r       *http.Request
	q       values
	form    values // of the body, once it was read
	command string
	t       Transport
	user    *hubbub.User
	id      string     // of the connection
	old     bool       // the connection is older than this server, or negotiated elsewhere
	hubs    []*service // listed in connectionData and allowed
	refused []*service // listed and not allowed, while another is
}

// serve answers every request, with the checks in the order of SignalR 2.x.
func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodOptions { // what is no preflight, or was not answered as one: the original would run the command
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	x := &exchange{e: e, w: w, r: r, q: parseValues(r.URL.RawQuery), command: commandOf(r.URL.Path), user: hubbub.UserFrom(r.Context())}
	if x.q.has("callback") {
		if !e.opts.EnableJSONP {
			x.refuse(http.StatusForbidden, "Forbidden: JSONP is disabled.")
			return
		}
		if !validCallback(x.q.get("callback")) {
			x.refuse(http.StatusInternalServerError, "")
			return
		}
	}
	if !x.authorize() {
		return
	}
	switch x.command {
	case "hubs", "js":
		if e.raw == nil {
			x.serveProxies()
			return
		}
		x.command = ""
	case "negotiate":
		x.serveNegotiate()
		return
	case "ping":
		x.json([]byte(`{ "Response": "pong" }`))
		return
	}
	if x.identify() {
		x.run()
	}
}

// run carries out the command for a connection.
func (x *exchange) run() {
	switch x.command {
	case "start":
		x.serveStart()
	case "send":
		x.serveSend()
	case "abort":
		x.serveAbort()
	default:
		x.serveStream()
	}
}

// authorize finds the hubs that the request lists and drops those that the user may not reach. It reports false if it has
// answered.
func (x *exchange) authorize() bool {
	if raw := x.e.raw; raw != nil {
		x.hubs = x.e.hubs
		if !raw.hub.Authorize(x.r.Context(), x.user) {
			x.refuseUser()
			return false
		}
		return true
	}
	listed, err := parseConnectionData(x.q.get("connectiondata"))
	if err != nil {
		x.e.logger().Debug("classic: connectionData refused", "error", err)
		x.refuse(http.StatusInternalServerError, "")
		return false
	}
	seen := make(map[*service]bool, len(listed))
	for _, name := range listed {
		s := x.e.find(name)
		if s == nil || seen[s] {
			x.e.logger().Debug("classic: connectionData names an unknown hub, or one twice", "hub", name)
			x.refuse(http.StatusInternalServerError, "")
			return false
		}
		seen[s] = true
		if s.hub.Authorize(x.r.Context(), x.user) {
			x.hubs = append(x.hubs, s)
		} else {
			x.refused = append(x.refused, s)
		}
	}
	if len(listed) > 0 && len(x.hubs) == 0 {
		x.refuseUser()
		return false
	}
	return true
}

// parseConnectionData returns the names of the hubs in a list like [{"name":"refhub"}].
func parseConnectionData(s string) ([]string, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	if depthOf([]byte(s)) > maximumDepth {
		return nil, fmt.Errorf("connectionData nested more than %d deep", maximumDepth)
	}
	var list []struct{ Name *string }
	if err := json.Unmarshal([]byte(s), &list); err != nil {
		return nil, fmt.Errorf("connectionData of %d characters: %w", len(s), err)
	}
	names := make([]string, len(list))
	for i, h := range list {
		if h.Name == nil {
			return nil, fmt.Errorf("connectionData: hub %d has no name", i)
		}
		names[i] = *h.Name
	}
	return names, nil
}

// Sentences of SignalR 2.x that users search for.
const (
	textTransport = "Protocol error: Unknown transport."
	textToken     = "Protocol error: Missing connection token."
	textBadToken  = "The ConnectionId is in the incorrect format."
	textUser      = "Unrecognized user identity.  The user identity cannot change during an active SignalR connection."
	textSocket    = "Not a valid web socket request."
	textEnded     = "The server has ended the connection."
	textGone      = "The connection has ended."
)

// identify finds out which transport and which connection the request is for. It reports false if it has answered.
func (x *exchange) identify() bool {
	for _, n := range transportNames {
		if strings.EqualFold(n.name, x.q.get("transport")) && x.e.opts.Transports&n.t != 0 {
			x.t = n.t
		}
	}
	token := x.q.get("connectiontoken")
	switch {
	case x.t == 0:
		x.refuse(http.StatusBadRequest, textTransport)
		return false
	case token == "":
		x.refuse(http.StatusBadRequest, textToken)
		return false
	}
	t, ok := parseConnectionToken(token, x.e.opts.Keys)
	switch {
	case !ok:
		x.refuse(http.StatusBadRequest, textBadToken)
		return false
	case t.user != userHash(x.user):
		x.refuse(http.StatusForbidden, textUser)
		return false
	}
	x.id, x.old = t.connectionID(), t.made.Before(x.e.started)
	return true
}

// body reads the body as a form, whatever its type says: .NET clients send none. It reports false if it has answered.
func (x *exchange) body() bool {
	x.form = values{}
	if x.r.Method != http.MethodPost {
		return true
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(postTimeout)) // net/http takes it back for the next request
	b, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, x.e.opts.MaximumPostSize))
	if err != nil {
		x.refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is larger than %d bytes, or was cut.", x.e.opts.MaximumPostSize))
		return false
	}
	x.form = parseValues(string(b))
	return true
}

// field returns a value of the query, or of the body where the query has none.
func (x *exchange) field(name string) string {
	if x.q.has(name) {
		return x.q.get(name)
	}
	return x.form.get(name)
}

// refuse answers with a text and no type, as the original does.
func (x *exchange) refuse(status int, text string) {
	h := x.w.Header()
	h["Content-Type"] = nil
	h.Set("Content-Length", strconv.Itoa(len(text)))
	x.w.WriteHeader(status)
	io.WriteString(x.w, text)
}

func (x *exchange) refuseUser() {
	if x.user == nil {
		x.refuse(http.StatusUnauthorized, "")
		return
	}
	x.refuse(http.StatusForbidden, "")
}

// json answers with a JSON text, wrapped for a script element where the request wants that.
func (x *exchange) json(b []byte) {
	h := x.w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	if callback := x.q.get("callback"); callback != "" {
		h.Set("Content-Type", "application/javascript; charset=UTF-8")
		b = wrap(callback, b)
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(b)
}

// protocolVersion is clientProtocol, as near as the server comes to it: 1.2 to 2.0.
func (x *exchange) protocolVersion() (major, minor int) {
	a, b, ok := strings.Cut(x.q.get("clientprotocol"), ".")
	major, err1 := strconv.Atoi(a)
	minor, err2 := strconv.Atoi(b)
	switch {
	case !ok || err1 != nil || err2 != nil || major < 1 || (major == 1 && minor < 2):
		return 1, 2
	case major >= 2:
		return 2, 0
	}
	return major, minor
}

// startsItself reports whether the client never asks for a start: before protocol 1.4 connect was one.
func (x *exchange) startsItself() bool {
	major, minor := x.protocolVersion()
	return major == 1 && minor < 4
}

type negotiateAnswer struct {
	URL                     string `json:"Url"`
	ConnectionToken         string
	ConnectionID            string `json:"ConnectionId"`
	KeepAliveTimeout        *seconds
	DisconnectTimeout       seconds
	ConnectionTimeout       seconds
	TryWebSockets           bool
	ProtocolVersion         string
	TransportConnectTimeout seconds
	LongPollDelay           seconds
}

// seconds is a duration as a number with a point, as Json.NET writes it.
type seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s seconds) MarshalJSON() ([]byte, error) {
	f := time.Duration(s).Seconds()
	b := strconv.AppendFloat(nil, f, 'f', -1, 64)
	if f == float64(int64(f)) {
		b = append(b, ".0"...)
	}
	return b, nil
}

// serveNegotiate answers with a new connection token. It keeps nothing: the token says all that its first use needs.
func (x *exchange) serveNegotiate() {
	o := &x.e.opts
	if x.e.stopping() {
		x.refuse(http.StatusServiceUnavailable, "")
		return
	}
	t := newConnectionToken(x.user)
	major, minor := x.protocolVersion()
	a := negotiateAnswer{
		URL: o.URL, ConnectionToken: t.encode(o.Keys), ConnectionID: t.connectionID(),
		DisconnectTimeout: seconds(o.DisconnectTimeout), ConnectionTimeout: seconds(o.ConnectionTimeout),
		TryWebSockets: o.Transports&WebSockets != 0, ProtocolVersion: fmt.Sprintf("%d.%d", major, minor),
		TransportConnectTimeout: seconds(o.TransportConnectTimeout), LongPollDelay: seconds(o.LongPollDelay),
	}
	if a.URL == "" {
		a.URL = strings.TrimSuffix(x.r.URL.Path, "/negotiate")
	}
	if o.KeepAlive > 0 {
		timeout := seconds(o.keepAliveTimeout())
		a.KeepAliveTimeout = &timeout
	}
	b, err := json.Marshal(a)
	if err != nil {
		x.refuse(http.StatusInternalServerError, "")
		return
	}
	x.json(b)
}

// isUpgrade reports whether the request wants to become a WebSocket.
func (x *exchange) isUpgrade() bool { return ws.IsUpgrade(x.r) }
