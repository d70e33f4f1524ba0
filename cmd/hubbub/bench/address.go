package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// address is a target's URL, taken apart once. The name is resolved once too, or a resolver would be under load.
type address struct {
	host   string // as sent
	dialTo string
	path   string // with the query
	tls    bool
	server string // name of the certificate
}

func newAddress(raw string) (*address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", raw, err)
	}
	a := &address{host: u.Host, path: u.RequestURI(), tls: u.Scheme == "https" || u.Scheme == "wss", server: u.Hostname()}
	port := u.Port()
	if port == "" {
		port = "80"
		if a.tls {
			port = "443"
		}
	}
	resolved, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", raw, err)
	}
	a.dialTo = resolved.String()
	return a, nil
}

func (a *address) dial(ctx context.Context, d *net.Dialer, insecure bool) (net.Conn, error) {
	nc, err := d.DialContext(ctx, "tcp", a.dialTo)
	if err != nil || !a.tls {
		return nc, err
	}
	t := tls.Client(nc, &tls.Config{ServerName: a.server, InsecureSkipVerify: insecure, NextProtos: []string{"http/1.1"}})
	if err := t.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return t, nil
}

func withQuery(uri, query string) string {
	switch {
	case query == "":
		return uri
	case strings.Contains(uri, "?"):
		return uri + "&" + query
	default:
		return uri + "?" + query
	}
}

func readResponse(r io.Reader) (*http.Response, error) {
	return http.ReadResponse(bufio.NewReader(r), nil)
}
