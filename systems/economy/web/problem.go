// Package web is what the services of Play Economy have in common towards HTTP: problem details, bodies with rules, and who may do
// what.
package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/hubbub-go/hubbub/systems/store"
)

// Problem is an error that goes to the client as problem details (RFC 9457).
type Problem struct {
	Type   string `json:"type,omitempty"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Errors of a body or query, by the name of its member.
	Errors map[string][]string `json:"errors,omitempty"`
}

// Error returns title and detail.
func (p *Problem) Error() string { return strings.TrimSuffix(p.Title+": "+p.Detail, ": ") }

// Failure returns a problem of a status.
func Failure(status int, detail string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(detail, args...)}
}

// NotFound returns the problem of something that is not there.
func NotFound(what string, id any) *Problem {
	return Failure(http.StatusNotFound, "There is no %s %v.", what, id)
}

// invalid returns the problem of a body or query with these errors.
func invalid(errors map[string][]string) *Problem {
	return &Problem{
		Type: "https://www.rfc-editor.org/rfc/rfc9110#name-400-bad-request", Title: "One or more validation errors occurred.",
		Status: http.StatusBadRequest, Errors: errors,
	}
}

// Write answers with a JSON value.
func Write(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = w.Write(body)
	if err != nil {
		return errGone
	}
	return nil
}

// errGone says that the client is not there any more.
var errGone = errors.New("the client is gone")

// WriteProblem answers with the problem that err is; one that passes (see [store.IsPassing]) is a 503; of any
// other error the client learns nothing but that there was one.
func WriteProblem(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if errors.Is(err, errGone) {
		return
	}
	p, ok := errors.AsType[*Problem](err)
	switch {
	case ok:
	case store.IsPassing(err):
		p = Failure(http.StatusServiceUnavailable, "The service cannot do this at the moment. Try again later.")
		w.Header().Set("Retry-After", "1")
		log.WarnContext(r.Context(), "economy: database is away", "method", r.Method, "path", r.URL.Path, "error", err)
	default:
		p = &Problem{Title: "An error occurred while processing your request.", Status: http.StatusInternalServerError}
		if r.Context().Err() == nil {
			log.ErrorContext(r.Context(), "economy: request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
	}
	body, _ := json.Marshal(p) // texts and numbers only
	h := w.Header()
	h.Set("Content-Type", "application/problem+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	w.Write(body)
}
