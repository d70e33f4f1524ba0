package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Problem is the body of every error of the gateway itself (RFC 9457), but for those of unknown routes, which have none.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// serve finds what a path below RESTPath means, in any case. An unknown one, or another verb, is 404 without a body.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	parts, ok := segments(r.URL)
	t := g.table()
	switch {
	case !ok:
	case len(parts) == 1 && strings.EqualFold(parts[0], "orchestration"):
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			g.orchestration(w, r, &Access{Operation: OperationOrchestration})
			return
		}
	case len(parts) == 2:
		if a := t.apiOf(parts[0]); a != nil {
			if route := a.route(parts[1]); route != nil && (route.Verb == r.Method || (route.Verb == http.MethodGet && r.Method == http.MethodHead)) {
				route.serve(w, r, &Access{Operation: OperationRequest, API: a.key, Route: route.key})
				return
			}
		}
	case len(parts) == 3 && strings.EqualFold(parts[0], "hub"):
		if h := t.hubOf(parts[1]); h != nil && r.Method == http.MethodPost {
			if route := h.route(parts[2]); route != nil && route.InvokeMethod != "" {
				route.serve(w, r, &Access{Operation: OperationInvoke, API: h.key, Route: route.key})
				return
			}
		}
	}
	notFound(w)
}

// segments returns what follows RESTPath in a path, decoded.
func segments(u *url.URL) ([]string, bool) {
	path := u.EscapedPath()
	if len(path) < len(RESTPath) || !strings.EqualFold(path[:len(RESTPath)], RESTPath) {
		return nil, false
	}
	path, ok := strings.CutPrefix(path[len(RESTPath):], "/")
	if !ok {
		return nil, false
	}
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i, p := range parts {
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return nil, false
		}
	}
	return parts, true
}

// postHub calls a hub with the elements of the body as arguments. It waits for the end of the call, whose result it returns
// with ?wait=result.
func (g *Gateway) postHub(w http.ResponseWriter, r *http.Request, h *hubEntry, route *hubRoute) {
	wait := r.URL.Query().Get("wait")
	if wait != "" && wait != "result" {
		refuse(w, http.StatusBadRequest, "The query value wait is "+strconv.Quote(clip(wait))+", want result or none.")
		return
	}
	args, ok := g.arguments(w, r)
	if !ok {
		return
	}
	result, err := h.call(r.Context(), route, args)
	if err != nil {
		e := err.(*callError)
		refuse(w, e.status, e.text)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if wait == "" {
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Write(result)
}

// arguments reads a JSON array, or answers why it cannot.
func (g *Gateway) arguments(w http.ResponseWriter, r *http.Request) (args []json.RawMessage, ok bool) {
	if !isJSON(r.Header.Get("Content-Type")) {
		refuse(w, http.StatusUnsupportedMediaType, "The Content-Type is "+strconv.Quote(clip(r.Header.Get("Content-Type")))+", want application/json.")
		return nil, false
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
	if err := json.Unmarshal(body, &args); err != nil || args == nil {
		refuse(w, http.StatusBadRequest, "The body is no JSON array of arguments.")
		return nil, false
	}
	if len(args) > g.config.MaxArguments {
		refuse(w, http.StatusBadRequest, "The array has "+strconv.Itoa(len(args))+" elements, want at most "+strconv.Itoa(g.config.MaxArguments)+".")
		return nil, false
	}
	return args, true
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// notFound is the answer to all that is no route: no body, so that it says nothing about what there is.
func notFound(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNotFound)
}

func refuse(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	if err != nil { // texts always have a JSON form
		http.Error(w, detail, status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}
