package signalr

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub"
)

// maxNegotiateVersion is the newest negotiate version (TransportProtocols.md, "POST [endpoint-base]/negotiate request").
const maxNegotiateVersion = 1

type negotiateAnswer struct {
	UseStatefulReconnect bool            `json:"useStatefulReconnect,omitempty"`
	NegotiateVersion     int             `json:"negotiateVersion"`
	ConnectionID         string          `json:"connectionId"`
	ConnectionToken      string          `json:"connectionToken,omitempty"`
	TokenLifetimeSeconds int64           `json:"tokenLifetimeSeconds,omitempty"`
	AvailableTransports  []transportInfo `json:"availableTransports"`
}

type transportInfo struct {
	Transport       string   `json:"transport"`
	TransferFormats []string `json:"transferFormats"`
}

var transportInfos = []struct {
	t    Transport
	info transportInfo
}{
	{WebSockets, transportInfo{"WebSockets", []string{"Text", "Binary"}}},
	{ServerSentEvents, transportInfo{"ServerSentEvents", []string{"Text"}}},
	{LongPolling, transportInfo{"LongPolling", []string{"Text", "Binary"}}},
}

// serveNegotiate answers POST {path}/negotiate. It keeps nothing: the token says all that its first use needs.
func (e *endpoint) serveNegotiate(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		answer(w, http.StatusMethodNotAllowed, "")
		return
	}
	if e.stopping() {
		answer(w, http.StatusServiceUnavailable, "")
		return
	}
	version := 0
	if text, ok := queryValue(r, "negotiateVersion"); ok {
		n, ok := parseInt32(text)
		if !ok {
			answerError(w, "The client requested a non-integer protocol version.")
			return
		}
		version = n
	}
	if version < e.opts.MinimumProtocolVersion {
		answerError(w, fmt.Sprintf("The client requested version '%d', but the server does not support this version.", version))
		return
	}
	version = min(version, maxNegotiateVersion)
	stateful := false
	if text, ok := queryValue(r, "useStatefulReconnect"); ok {
		stateful = parseBool(text) && e.opts.AllowStatefulReconnects
	}
	user := hubbub.UserFrom(r.Context())
	now := time.Now()
	t := token{stateful: stateful, version: version, node: e.node, user: userHash(user), bindBy: now.Add(e.opts.DisconnectTimeout)}
	rand.Read(t.id[:])
	signed := t.encode(e.opts.Keys, endpointPath(r.URL.Path))
	a := negotiateAnswer{UseStatefulReconnect: stateful, NegotiateVersion: version, ConnectionID: signed, AvailableTransports: []transportInfo{}}
	if version > 0 {
		a.ConnectionID, a.ConnectionToken = t.connectionID(), signed
	}
	if e.opts.EnableAuthenticationRefresh && user != nil {
		a.TokenLifetimeSeconds = lifetimeSeconds(e.expiry(user, now), now)
	}
	for _, ti := range transportInfos {
		if e.opts.Transports&ti.t != 0 {
			a.AvailableTransports = append(a.AvailableTransports, ti.info)
		}
	}
	body, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and numbers
	}
	answerJSON(w, http.StatusOK, body)
}

func answerError(w http.ResponseWriter, text string) {
	body, _ := json.Marshal(struct {
		Error string `json:"error"`
	}{text})
	answerJSON(w, http.StatusOK, body)
}

// expiry is when the credential of u ends, capped as the options say; zero if it does not.
func (e *endpoint) expiry(u *hubbub.User, now time.Time) time.Time {
	if u == nil {
		return time.Time{}
	}
	expires := u.Expires
	if limit := e.opts.MaximumAuthenticationExpiration; limit > 0 {
		if capped := now.Add(limit); expires.IsZero() || capped.Before(expires) {
			expires = capped
		}
	}
	return expires
}

// lifetimeSeconds is what clients are told of an expiry: whole seconds, 0 (left out) if there is none or it has passed.
func lifetimeSeconds(expires, now time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	return min(max(int64(expires.Sub(now)/time.Second), 0), math.MaxInt32)
}
