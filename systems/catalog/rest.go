package catalog

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

// restPaths are what the REST endpoints answer to, for the mux around them.
var restPaths = []string{"/centro/parts/", "/centro/pipelines/"}

// Problem is the body of every error of the REST endpoints (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (s *System) newREST() {
	s.rest = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, key, ok := target(r.URL)
		switch {
		case ok && kind == "parts":
			s.post(w, r, s.part, key)
		case ok && kind == "pipelines":
			s.post(w, r, s.pipeline, key)
		default:
			refuse(w, http.StatusNotFound, "There is no such endpoint.")
		}
	})
}

// target takes the kind, in lower case, and the key out of a path like /centro/parts/1882708/events.
func target(u *url.URL) (kind, key string, ok bool) {
	parts := strings.Split(u.EscapedPath(), "/") // a key may have an escaped slash
	if len(parts) != 5 || parts[0] != "" || !strings.EqualFold(parts[1], "centro") || !strings.EqualFold(parts[4], "events") {
		return "", "", false
	}
	key, err := url.PathUnescape(parts[3])
	return strings.ToLower(parts[2]), key, err == nil
}

// post publishes the body: 202 as soon as it is on its way, whether or not anybody watches.
func (s *System) post(w http.ResponseWriter, r *http.Request, t *topic, key string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "The method is "+clip(r.Method)+", want POST.")
		return
	}
	u, err := s.verify(r)
	switch {
	case errors.Is(err, auth.ErrUnavailable):
		s.config.Logger.ErrorContext(r.Context(), "catalog: token not checked", "error", err)
		refuse(w, http.StatusServiceUnavailable, "The token cannot be checked at the moment.")
		return
	case u == nil:
		for _, t := range s.config.TokenTypes {
			w.Header().Add("WWW-Authenticate", t.Scheme)
		}
		refuse(w, http.StatusUnauthorized, "A valid token is needed, in the header Authorization.")
		return
	case !HasRight(u, ScopePublish):
		refuse(w, http.StatusForbidden, "The scope "+ScopePublish+" is needed.")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.config.MaxEventSize)))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		refuse(w, http.StatusRequestEntityTooLarge, "The event has more than "+strconv.Itoa(s.config.MaxEventSize)+" bytes.")
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "The event was cut.")
		return
	}
	err = s.publish(r.Context(), t, key, body)
	if invalid, ok := errors.AsType[*Invalid](err); ok {
		refuse(w, http.StatusBadRequest, strings.ToUpper(invalid.Text[:1])+invalid.Text[1:]+".")
		return
	}
	if err != nil {
		s.config.Logger.ErrorContext(r.Context(), "catalog: event not published", "path", r.URL.Path, "error", err)
		refuse(w, http.StatusInternalServerError, "The event could not be published. The log says why.")
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// HasRight reports whether a user has a right: as a scope, as a role, or in the claim rights. The role or right admin stands for
// every right. A nil user has none.
func HasRight(u *hubbub.User, right string) bool {
	if u == nil {
		return false
	}
	if u.HasScope(right) || u.HasRole(right) || u.HasRole("admin") {
		return true
	}
	rights, _ := u.Claims["rights"].([]any)
	return slices.Contains(rights, any(right)) || slices.Contains(rights, any("admin"))
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
