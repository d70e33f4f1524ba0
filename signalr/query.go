package signalr

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/hubbub-go/hubbub"
)

// queryValue returns a query value as ASP.NET Core does: names without regard to case, several values joined by a comma.
func queryValue(r *http.Request, name string) (string, bool) {
	if r.URL.RawQuery == "" {
		return "", false
	}
	var values []string
	for k, v := range r.URL.Query() {
		if strings.EqualFold(k, name) {
			values = append(values, v...)
		}
	}
	return strings.Join(values, ","), len(values) > 0
}

// connectionTokenOf returns the id that a request names, "" if it names none.
func connectionTokenOf(r *http.Request) string {
	id, _ := queryValue(r, "id")
	return id
}

// parseInt32 reads a number as .NET does: blanks around it and a leading plus are fine.
func parseInt32(s string) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	return int(n), err == nil
}

func parseBool(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "true") }

// acceptsEventStream reports whether the client wants an event stream: one element of Accept is exactly that, without parameters.
func acceptsEventStream(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept") {
		for e := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(e), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// remoteAddr is the address of a peer as net/http tells it.
type remoteAddr string

func (remoteAddr) Network() string  { return "tcp" }
func (a remoteAddr) String() string { return string(a) }

var _ net.Addr = remoteAddr("")

// snapshot copies what hub methods may ask about the request that opened a connection.
func snapshot(r *http.Request, t Transport) *hubbub.Request {
	return &hubbub.Request{
		Transport: t.String(), Path: r.URL.Path, Header: r.Header.Clone(), Query: r.URL.Query(), Cookies: r.Cookies(),
		RemoteAddr: remoteAddr(r.RemoteAddr),
	}
}

// String returns the name of a single transport as it stands in the answer to negotiate.
func (t Transport) String() string {
	switch t {
	case WebSockets:
		return "WebSockets"
	case ServerSentEvents:
		return "ServerSentEvents"
	case LongPolling:
		return "LongPolling"
	}
	return "Transport(" + strconv.Itoa(int(t)) + ")"
}
