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

// isUpgrade reports whether the request wants to become a WebSocket.
func (x *exchange) isUpgrade() bool { return ws.IsUpgrade(x.r) }
