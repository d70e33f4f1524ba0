package classic

import (
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/hubbub-go/hubbub"
)

// values are names and values as SignalR 2.x reads them: names without regard to case, several values of one name joined with
// commas, pairs separated by & or ;, brackets and the like as they are.
type values map[string]string

// maximumNames is how many different names are read, and how many pairs of a query are kept for hub methods: as many as
// ASP.NET reads.
const maximumNames = 1000

// parseValues reads a query or the body of a form. What cannot be unescaped stays as it is.
func parseValues(s string) values {
	v := make(values)
	var lists map[string]*strings.Builder // of names that come more than once
	for pair := range pairs(s) {
		name, value, _ := strings.Cut(pair, "=")
		name, value = strings.ToLower(unescape(name)), unescape(value)
		before, again := v[name]
		switch list := lists[name]; {
		case list != nil:
			list.WriteString("," + value)
		case again:
			if lists == nil {
				lists = make(map[string]*strings.Builder)
			}
			list = new(strings.Builder)
			list.WriteString(before + "," + value)
			lists[name] = list
		case len(v) < maximumNames:
			v[name] = value
		}
	}
	for name, list := range lists {
		v[name] = list.String()
	}
	return v
}

func pairs(s string) iter.Seq[string] {
	return strings.FieldsFuncSeq(s, func(r rune) bool { return r == '&' || r == ';' })
}

func unescape(s string) string {
	u, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return u
}

// get returns the value of a name in lower case.
func (v values) get(name string) string { return v[name] }

func (v values) has(name string) bool {
	_, ok := v[name]
	return ok
}

// remoteAddr is the address of a peer as net/http tells it.
type remoteAddr string

func (remoteAddr) Network() string  { return "tcp" }
func (a remoteAddr) String() string { return string(a) }

var _ net.Addr = remoteAddr("")

// snapshot copies what hub methods may ask about a request.
func snapshot(r *http.Request, t Transport) *hubbub.Request {
	query, n := make(url.Values), 0
	for pair := range pairs(r.URL.RawQuery) {
		if n++; n > maximumNames {
			break
		}
		name, value, _ := strings.Cut(pair, "=")
		query.Add(unescape(name), unescape(value))
	}
	return &hubbub.Request{
		Transport: t.String(), Path: r.URL.Path, Header: r.Header.Clone(), Query: query, Cookies: r.Cookies(),
		RemoteAddr: remoteAddr(r.RemoteAddr),
	}
}
