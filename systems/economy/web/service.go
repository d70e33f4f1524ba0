package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

// How long a request may take, and the question whether the service is ready.
const (
	maximumTime  = 10 * time.Second
	maximumReady = 3 * time.Second
)

// Service is the REST side of a service: a mux whose endpoints return errors, and know who asks.
type Service struct {
	mux *http.ServeMux
	ask auth.Authenticator
	log *slog.Logger
}

// Endpoint answers a request; an error goes to the client as [WriteProblem] does.
type Endpoint func(w http.ResponseWriter, r *http.Request) error

// NewService returns a service without endpoints, except /health/live and /health/ready. verify decides which access tokens are
// good for it; they come by the header alone. ready has 3 s to answer.
func NewService(verify auth.Verifier, ready func(context.Context) error, log *slog.Logger) *Service {
	s := &Service{mux: http.NewServeMux(), ask: auth.Token(Canonical(verify), nil), log: log}
	s.mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("Healthy")) })
	s.mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), maximumReady)
		defer cancel()
		if err := ready(ctx); err != nil {
			http.Error(w, "Unhealthy", http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("Healthy"))
	})
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, r, log, Failure(http.StatusNotFound, "There is no such endpoint."))
	})
	return s
}

// ServeHTTP implements [http.Handler]. As with the original a slash at the end of a path does not matter.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.Path; len(p) > 1 && strings.HasSuffix(p, "/") {
		u, own := *r.URL, *r
		u.Path, u.RawPath = p[:len(p)-1], ""
		own.URL, r = &u, &own
	}
	s.mux.ServeHTTP(w, r)
}

// Mount serves the endpoints below base, "" or a path without a slash at its end, of a mux.
func (s *Service) Mount(mux interface{ Handle(string, http.Handler) }, base string) {
	mux.Handle(base+"/", http.StripPrefix(base, s))
}

// Canonical makes a verifier write the ids of users that are UUIDs in lower case, as the services do.
func Canonical(verify auth.Verifier) auth.Verifier {
	return func(ctx context.Context, token string) (*hubbub.User, error) {
		u, err := verify(ctx, token)
		if err != nil || u == nil {
			return u, err
		}
		if id, err := ParseID(u.ID); err == nil && id.String() != u.ID {
			own := *u
			own.ID = id.String()
			return &own, nil
		}
		return u, nil
	}
}

// Policy decides whether a user may use an endpoint.
type Policy func(u *hubbub.User) bool

// Anybody who is logged in.
func Anybody(*hubbub.User) bool { return true }

// AdminRole is the role of those who keep the catalog and the users.
const AdminRole = "Admin"

// Admin with one of the scopes; without scopes, any admin.
func Admin(scopes ...string) Policy {
	return func(u *hubbub.User) bool {
		if !u.HasRole(AdminRole) {
			return false
		}
		for _, s := range scopes {
			if u.HasScope(s) {
				return true
			}
		}
		return len(scopes) == 0
	}
}

// Handle serves a pattern of [http.ServeMux] for those whom the policy admits: others get 401 or 403 without a body.
// Each request is a span of OpenTelemetry's global tracer provider, and has 10 s: a database that does not answer by then is a 503.
func (s *Service) Handle(pattern string, may Policy, e Endpoint) {
	s.mux.HandleFunc(pattern, traced(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), maximumTime)
		defer cancel()
		r = r.WithContext(ctx)
		u, err := s.ask(r)
		switch {
		case errors.Is(err, auth.ErrUnavailable):
			s.log.ErrorContext(r.Context(), "economy: access token not checked", "error", err)
			WriteProblem(w, r, s.log, Failure(http.StatusServiceUnavailable, "The access token cannot be checked at the moment."))
		case err != nil:
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		case u == nil:
			auth.Challenge(w, r)
		case !may(u):
			auth.Forbid(w)
		default:
			if err := e(w, r.WithContext(hubbub.WithUser(r.Context(), u))); err != nil {
				WriteProblem(w, r, s.log, err)
			}
		}
	}))
}

// PathID returns the id in the path, or the problem of one that is none.
func PathID(r *http.Request, name string) (uuid.UUID, error) {
	id, err := ParseID(r.PathValue(name))
	if err != nil {
		return uuid.Nil, Failure(http.StatusNotFound, "The path has no id.")
	}
	return id, nil
}

// UserID returns the id of who asks, or 403 if it is no UUID, as those of all players are.
func UserID(r *http.Request) (uuid.UUID, error) {
	id, err := ParseID(hubbub.UserFrom(r.Context()).ID)
	if err != nil {
		return uuid.Nil, Failure(http.StatusForbidden, "The access token is of no player.")
	}
	return id, nil
}

// QueryID returns a needed id in the query.
func QueryID(r *http.Request, name string) (uuid.UUID, error) {
	id, err := ParseID(r.URL.Query().Get(name))
	if err != nil {
		return uuid.Nil, invalid(map[string][]string{name: {"The value of " + name + " is not an id."}})
	}
	return id, nil
}
