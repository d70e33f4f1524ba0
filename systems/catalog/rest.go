package catalog

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
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
	mux := http.NewServeMux()
	mux.HandleFunc("/centro/parts/{key}/events", func(w http.ResponseWriter, r *http.Request) {
		s.post(w, r, func(event json.RawMessage) error { return s.PublishPart(r.Context(), r.PathValue("key"), event) })
	})
	mux.HandleFunc("/centro/pipelines/{key}/events", func(w http.ResponseWriter, r *http.Request) {
		s.post(w, r, func(event json.RawMessage) error { return s.PublishPipeline(r.Context(), r.PathValue("key"), event) })
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "There is no such endpoint.")
	})
	s.rest = mux
}

// post publishes the body: 202 as soon as it is on its way, whether or not anybody watches.
func (s *System) post(w http.ResponseWriter, r *http.Request, publish func(json.RawMessage) error) {
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
		w.Header().Set("WWW-Authenticate", s.config.TokenTypes[0].Scheme)
		refuse(w, http.StatusUnauthorized, "A valid token is needed, in the header Authorization.")
		return
	case !mayPublish(u):
		refuse(w, http.StatusForbidden, "The scope "+ScopePublish+" is needed.")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.config.MaxEventSize)))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "The event has more than "+strconv.Itoa(s.config.MaxEventSize)+" bytes, or was cut.")
		return
	}
	err = publish(body)
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

// mayPublish reports whether a user has the scope, the right, or every right.
func mayPublish(u *hubbub.User) bool {
	if u.HasScope(ScopePublish) || u.HasRole("admin") {
		return true
	}
	rights, _ := u.Claims["rights"].([]any)
	for _, r := range rights {
		if r == ScopePublish || r == "admin" {
			return true
		}
	}
	return false
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
