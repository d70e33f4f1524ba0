package notify

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

// restPaths are what the REST endpoints answer to, for the mux around them.
var restPaths = []string{
	"/api/auth", "/api/auth/", "/api/sessions", "/api/sessions/", "/api/v1/license", "/api/v1/license/",
	"/api/v1/notifications", "/api/v1/subscriptions", "/api/v1/webhooks", "/api/v1/webhooks/",
}

// endpoint answers one method of one path; an error becomes a problem.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// methods are the endpoints of one path.
type methods map[string]endpoint

func (s *System) newREST() {
	mux := http.NewServeMux()
	routes := map[string]methods{
		"/api/auth":                           {"POST": s.postAuth, "GET": s.user(s.getAuth), "DELETE": s.user(s.deleteAuth)},
		"/api/auth/refresh":                   {"POST": s.postRefresh},
		"/api/sessions":                       {"GET": s.right(RightSessionGet, s.getSessions)},
		"/api/sessions/{id}":                  {"DELETE": s.user(s.deleteSession)},
		"/api/v1/license":                     {"GET": s.getLicense},
		"/api/v1/license/getrequestcode":      {"POST": s.postRequestCode},
		"/api/v1/license/activate":            {"POST": s.postActivate},
		"/api/v1/notifications":               {"POST": s.user(s.postNotification)},
		"/api/v1/subscriptions":               {"GET": s.right(RightSessionGet, s.getSubscriptions)},
		"/api/v1/webhooks":                    {"GET": s.right(RightWebhookGet, s.getWebhooks), "POST": s.right(RightWebhookManage, s.postWebhook)},
		"/api/v1/webhooks/{id}":               {"DELETE": s.right(RightWebhookManage, s.deleteWebhook)},
		"/api/v1/webhooks/parked":             {"GET": s.right(RightWebhookGet, s.getParked)},
		"/api/v1/webhooks/parked/{seq}":       {"DELETE": s.right(RightWebhookManage, s.deleteParked)},
		"/api/v1/webhooks/parked/{seq}/retry": {"POST": s.right(RightWebhookManage, s.postRetry)},
	}
	if s.config.Development {
		routes["/api/v1/license/issue"] = methods{"POST": s.postIssue}
	}
	for path, m := range routes {
		mux.Handle(path, s.handle(m))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.writeProblem(w, r, notFound("endpoint", r.URL.Path))
	})
	s.rest = mux
}

func (s *System) handle(m methods) http.Handler {
	allow := make([]string, 0, len(m))
	for name := range m {
		allow = append(allow, name)
	}
	slices.Sort(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := m[r.Method]
		if e == nil {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			s.writeProblem(w, r, problem(http.StatusMethodNotAllowed, 0, "The method is "+clip(r.Method)+", want "+strings.Join(allow, " or ")+"."))
			return
		}
		if err := e(w, r); err != nil {
			s.writeProblem(w, r, err)
		}
	})
}

var errUnauthenticated = problem(http.StatusUnauthorized, ErrorUnauthenticated, "A valid access token is needed, in the header Authorization.")

// user lets authenticated users pass: by the header alone, a token in the query is not looked at.
func (s *System) user(e endpoint) endpoint {
	authenticate := auth.Token(s.Verify, nil)
	return func(w http.ResponseWriter, r *http.Request) error {
		u, err := authenticate(r)
		if errors.Is(err, auth.ErrUnavailable) {
			s.log.ErrorContext(r.Context(), "notify: access token not checked", "error", err)
			return problem(http.StatusServiceUnavailable, 0, "The access token cannot be checked at the moment.")
		}
		if err != nil || u == nil {
			return errUnauthenticated
		}
		return e(w, r.WithContext(hubbub.WithUser(r.Context(), u)))
	}
}

// right lets users with a right pass.
func (s *System) right(right string, e endpoint) endpoint {
	return s.user(func(w http.ResponseWriter, r *http.Request) error {
		if !hasRight(hubbub.UserFrom(r.Context()), right) {
			return missingRight(right)
		}
		return e(w, r)
	})
}

func missingRight(right string) *ProblemDetails {
	return problem(http.StatusForbidden, ErrorUnauthorized, "The right "+right+" is needed.")
}

// list is the body of every list.
type list[T any] struct {
	Items []T `json:"items"`
	Count int `json:"count"`
}

func writeList[T any](w http.ResponseWriter, items []T) {
	if items == nil {
		items = []T{}
	}
	writeJSON(w, http.StatusOK, list[T]{items, len(items)})
}
