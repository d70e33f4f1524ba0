package classic

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

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
