package auth

import (
	"bufio"
	"net"
	"net/http"
)

// Challenge answers 401 without a body. The header WWW-Authenticate is "Bearer", or `Bearer error="invalid_token"` if the
// middleware found a bad token in r (RFC 6750, section 3); another scheme of the middleware stands there alone.
func Challenge(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", challenge(r))
	empty(w, http.StatusUnauthorized)
}

// Forbid answers 403 without a body: the user is known, and may not.
func Forbid(w http.ResponseWriter) { empty(w, http.StatusForbidden) }

func empty(w http.ResponseWriter, status int) {
	w.Header().Del("Content-Type")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

func challenge(r *http.Request) string {
	o, ok := r.Context().Value(outcomeKey{}).(*outcome)
	switch {
	case !ok:
		return "Bearer"
	case o.err != nil && o.scheme == "Bearer":
		return `Bearer error="invalid_token"`
	}
	return o.scheme
}

// challenger puts WWW-Authenticate on a 401 of a handler that knows nothing of this package, such as that of a hub.
type challenger struct {
	http.ResponseWriter
	r *http.Request
}

// Unwrap is for [http.ResponseController].
func (c *challenger) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *challenger) WriteHeader(status int) {
	if h := c.Header(); status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", challenge(c.r))
	}
	c.ResponseWriter.WriteHeader(status)
}

// Flush and Hijack are for handlers that ask for these interfaces and not for a response controller.

func (c *challenger) Flush() { http.NewResponseController(c.ResponseWriter).Flush() }

func (c *challenger) FlushError() error { return http.NewResponseController(c.ResponseWriter).Flush() }

func (c *challenger) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(c.ResponseWriter).Hijack()
}
