package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// hopByHop are the headers that concern one connection, not the request (RFC 9110, section 7.6.1).
var hopByHop = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade"}

// callAPI sends a request to the service of a route and passes the answer back: its status, its headers, its body as it comes.
func (g *Gateway) callAPI(w http.ResponseWriter, r *http.Request, route *apiRoute) {
	parameters, err := parametersOf(r.URL)
	if err != nil {
		refuse(w, http.StatusBadRequest, "The query cannot be read.")
		return
	}
	path, err := route.template.fill(parameters)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	body, ok := g.requestBody(w, r)
	if !ok {
		return
	}
	if !route.cacheable(r) {
		g.forward(w, r, route, path, body, nil)
		return
	}
	g.cached(w, r, route, path)
}

// requestBody reads the body of a request of a verb that has one, or answers why it cannot.
func (g *Gateway) requestBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil, true
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, g.config.MaxBodySize))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		refuse(w, http.StatusRequestEntityTooLarge, "The body has more than "+strconv.FormatInt(g.config.MaxBodySize, 10)+" bytes.")
		return nil, false
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "The body cannot be read.")
		return nil, false
	}
	return body, true
}

// forward sends the request on. keep, if not nil, gets an answer that may be kept, before the client does, or nil as soon as it is
// known that there is none.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, route *apiRoute, path string, body []byte, keep func(*answer)) {
	ctx, cancel := context.WithTimeout(r.Context(), route.Timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	base, done := route.api.state.balancer.take()
	target, err := url.Parse(base + path)
	if err != nil {
		done(true)
		refuse(w, http.StatusBadRequest, "The parameters make an invalid path.")
		return
	}
	out := (&http.Request{Method: r.Method, URL: target, Host: target.Host, Header: forwarded(r, route), ContentLength: int64(len(body))}).WithContext(ctx)
	if len(body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	res, err := route.api.state.transport.RoundTrip(out)
	if err != nil {
		done(connected.Load() || r.Context().Err() != nil)
		g.badGateway(w, r, route, err)
		return
	}
	defer res.Body.Close()
	defer done(true)
	g.passBack(w, r, route, res, keep)
}

// badGateway answers a request that the service has not.
func (g *Gateway) badGateway(w http.ResponseWriter, r *http.Request, route *apiRoute, err error) {
	if r.Context().Err() == nil {
		g.config.Logger.WarnContext(r.Context(), "gateway: request of a service failed", "api", route.api.key, "route", route.key, "error", err)
	}
	timeout, ok := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || (ok && timeout.Timeout()) {
		refuse(w, http.StatusGatewayTimeout, "The service has not answered in time.")
		return
	}
	refuse(w, http.StatusBadGateway, "The service could not be reached.")
}

// forwarded returns the headers for the service.
func forwarded(r *http.Request, route *apiRoute) http.Header {
	h := r.Header.Clone()
	dropHopByHop(h)
	if r.Method == http.MethodPatch {
		h.Set("Content-Type", "application/json-patch+json")
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		h.Set("X-Forwarded-For", strings.Join(append(h.Values("X-Forwarded-For"), host), ", "))
	}
	if _, ok := h["User-Agent"]; !ok {
		h.Set("User-Agent", "") // else the transport would send its own
	}
	for name, values := range route.api.api.Header {
		h[name] = slices.Clone(values)
	}
	return h
}

func dropHopByHop(h http.Header) {
	for _, line := range h.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
}

// passBack gives the answer of the service to the client. One that breaks off breaks the connection to the client off too.
func (g *Gateway) passBack(w http.ResponseWriter, r *http.Request, route *apiRoute, res *http.Response, keep func(*answer)) {
	dropHopByHop(res.Header)
	if keep != nil && route.storable(res) {
		done, err := keepBody(w, r, route, res, keep)
		if err != nil {
			g.badGateway(w, r, route, err)
		}
		if done || err != nil {
			return
		}
	} else if keep != nil {
		keep(nil)
	}
	h := w.Header()
	for name, values := range res.Header {
		h[name] = values
	}
	if text, must := route.control(); must || h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", text)
		if strings.HasPrefix(text, "private") {
			addVary(h, route.rules().VaryByHeader)
		}
	}
	w.WriteHeader(res.StatusCode)
	var to io.Writer = w
	if res.ContentLength < 0 {
		f := &flushing{w, http.NewResponseController(w)}
		if to = f; f.flush() != nil { // the status may be all for a while
			panic(http.ErrAbortHandler)
		}
	}
	if _, err := io.Copy(to, res.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// flushing sends what is written at once: an answer whose length is not known may be a stream of events.
type flushing struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write implements [io.Writer].
func (f *flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.flush()
}

func (f *flushing) flush() error {
	if err := f.control.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
