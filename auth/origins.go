package auth

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Origins says from which pages browsers may come. A nil or zero Origins means pages of the same host and port, a list of
// [ParseOrigins] means exactly those on it; there the server's own must stand too. It is immutable and safe for concurrent use.
type Origins struct {
	any      bool
	listed   bool
	exact    map[string]bool
	patterns []originPattern
}

// originPattern is an origin with any port, or of any host below a domain.
type originPattern struct {
	scheme string
	host   string // "localhost", or ".example.com" for everything below
	port   string // "*" for any
}

// ParseOrigins reads a list of origins, written as browsers send them: scheme, host and port if it is not the scheme's own,
// such as "https://app.example.com". Two kinds of patterns exist: "http://localhost:*" is any port, "https://*.example.com" any
// host below a domain of at least two labels. "*" alone is every origin; [CORS] refuses it together with credentials. No
// entry is the zero Origins.
func ParseOrigins(list ...string) (*Origins, error) {
	o := &Origins{listed: len(list) > 0, exact: map[string]bool{}}
	for _, entry := range list {
		if entry == "*" {
			o.any = true
			continue
		}
		if err := o.add(entry); err != nil {
			return nil, fmt.Errorf("auth: origin %q: %w", entry, err)
		}
	}
	return o, nil
}

func (o *Origins) add(entry string) error {
	scheme, authority, ok := strings.Cut(entry, "://")
	if !ok {
		return fmt.Errorf("no scheme, want something like https://app.example.com")
	}
	p := originPattern{scheme: strings.ToLower(scheme)}
	authority, anyPort := strings.CutSuffix(authority, ":*")
	host, below := strings.CutPrefix(authority, "*.")
	u, err := splitOrigin(p.scheme + "://" + host)
	switch {
	case err != nil:
		return err
	case anyPort && u.Port() != "":
		return fmt.Errorf("two ports, want one or *")
	case below && (!strings.Contains(strings.Trim(u.Hostname(), "."), ".") || net.ParseIP(u.Hostname()) != nil):
		return fmt.Errorf("a pattern wants a domain of at least two labels below the star")
	case !anyPort && !below:
		o.exact[canonicalOrigin(u)] = true
		return nil
	}
	p.host, p.port = strings.ToLower(u.Hostname()), port(u)
	if below {
		p.host = "." + p.host
	}
	if anyPort {
		p.port = "*"
	}
	o.patterns = append(o.patterns, p)
	return nil
}

// Allowed reports whether the page that sent r may open a connection here. It is for WebSocket upgrades, which browsers let
// every page try. A request without the header "Origin" does not come from a page and is allowed; "null" is only if every
// origin is. The same host means equal host and port, and https if the request came by TLS: behind a proxy that changes the
// header "Host" list the public origin.
func (o *Origins) Allowed(r *http.Request) bool {
	headers := r.Header["Origin"]
	switch {
	case len(headers) == 0 || o != nil && o.any:
		return true
	case len(headers) > 1:
		return false
	case o == nil || !o.listed:
		return sameHost(headers[0], r)
	}
	return o.contains(headers[0])
}

// contains reports whether an origin is on the list.
func (o *Origins) contains(origin string) bool {
	if o == nil || origin == "" {
		return false
	}
	if o.any || o.exact[origin] {
		return true
	}
	u, err := splitOrigin(origin)
	if err != nil {
		return false
	}
	if o.exact[canonicalOrigin(u)] {
		return true
	}
	host := strings.ToLower(u.Hostname())
	for _, p := range o.patterns {
		if p.scheme != strings.ToLower(u.Scheme) || p.port != "*" && p.port != port(u) {
			continue
		}
		if below := p.host[0] == '.'; below && len(host) > len(p.host) && strings.HasSuffix(host, p.host) || !below && host == p.host {
			return true
		}
	}
	return false
}

func sameHost(origin string, r *http.Request) bool {
	u, err := splitOrigin(origin)
	if err != nil {
		return false
	}
	scheme := strings.ToLower(u.Scheme)
	if r.TLS != nil && scheme != "https" || scheme != "http" && scheme != "https" {
		return false
	}
	h, err := splitOrigin(scheme + "://" + r.Host)
	return err == nil && canonicalOrigin(u) == canonicalOrigin(h)
}

// splitOrigin parses an origin and refuses what is more, or less, than one.
func splitOrigin(origin string) (*url.URL, error) {
	u, err := url.Parse(origin)
	switch {
	case err != nil:
		return nil, fmt.Errorf("no origin, want scheme, host and port")
	case u.Scheme == "" || u.Hostname() == "" || strings.Contains(origin, "*"):
		return nil, fmt.Errorf("want scheme, host and port")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(origin, "?#@"):
		return nil, fmt.Errorf("more than scheme, host and port")
	}
	return u, nil
}

func canonicalOrigin(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	s := strings.ToLower(u.Scheme) + "://" + host
	if p := port(u); p != "" {
		s += ":" + p
	}
	return s
}

// port returns the port of an origin, "" for the scheme's own.
func port(u *url.URL) string {
	p := u.Port()
	if scheme := strings.ToLower(u.Scheme); scheme == "http" && p == "80" || scheme == "https" && p == "443" {
		return ""
	}
	return p
}
