package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/hubbub-go/hubbub"
)

// Options are those of [Bearer], [Token] and [Middleware]. Nil stands for the defaults.
type Options struct {
	// Required answers 401 to every request without a good credential. Default: such a request passes on as anonymous, and
	// whoever needs a user refuses it.
	Required bool
	// QueryToken also accepts the access token from the query parameter access_token, because browsers cannot set a header on
	// a WebSocket or an event stream. Set it for hubs only: addresses end up in logs, histories and referrers.
	QueryToken bool
	// Scheme is the scheme of the header "Authorization", and the one that a 401 names. Default "Bearer".
	Scheme string
	// Logger hears at level debug of every refused credential, and at level error of credentials that could not be checked.
	// Nil stands for slog.Default().
	Logger *slog.Logger
}

func (o *Options) scheme() string {
	if o == nil || o.Scheme == "" {
		return "Bearer"
	}
	return o.Scheme
}

func (o *Options) logger() *slog.Logger {
	if o == nil || o.Logger == nil {
		return slog.Default()
	}
	return o.Logger
}

// Authenticator says who a request is from. It returns the user, with the time when the credential ends, so that a connection
// can be closed then or a refresh can replace both; nil and no error if the request has no credential of its kind; an error
// if it has one that is not good, or one that wraps [ErrUnavailable] if it cannot tell. The error is for the log and must not
// contain the credential. It may block until the request's context ends, must be safe for concurrent use, and must leave the
// request and its body alone.
type Authenticator func(r *http.Request) (*hubbub.User, error)

// First returns an [Authenticator] that asks others in order and takes the first user. A bad credential of one kind does not
// stand in the way of a good one of another: its error counts only if nobody knows the request. It panics on a nil one.
func First(authenticators ...Authenticator) Authenticator {
	for _, a := range authenticators {
		if a == nil {
			panic("auth: First with an authenticator that is nil")
		}
	}
	return func(r *http.Request) (*hubbub.User, error) {
		var first error
		for _, a := range authenticators {
			u, err := a(r)
			if u != nil && err == nil {
				return u, nil
			}
			if first == nil || errors.Is(err, ErrUnavailable) {
				first = err
			}
		}
		return nil, first
	}
}

// Middleware returns middleware that authenticates every request with a and puts the user into its context
// ([hubbub.UserFrom]). A request without a credential, or with a bad one, passes on as it came, unless o requires one; a 401
// that is written later on, by [Challenge] or by any other handler, then tells which of the two it was, in the header
// WWW-Authenticate. A credential that cannot be checked is answered with 503, because to go on as anonymous would be wrong
// and to ask for another one useless. Refusals have no body. The next handler never sees an access token in the URL,
// whether it was looked for there or not. o may be nil. It panics without an authenticator.
func Middleware(a Authenticator, o *Options) func(http.Handler) http.Handler {
	if a == nil {
		panic("auth: Middleware without an authenticator")
	}
	required, scheme, log := o != nil && o.Required, o.scheme(), o.logger()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, err := a(r)
			if err != nil {
				user = nil
				if errors.Is(err, ErrUnavailable) {
					log.ErrorContext(r.Context(), "auth: credential not checked", "path", r.URL.Path, "error", err)
					empty(w, http.StatusServiceUnavailable)
					return
				}
				log.DebugContext(r.Context(), "auth: credential refused", "path", r.URL.Path, "error", err)
			}
			ctx := context.WithValue(r.Context(), outcomeKey{}, &outcome{scheme: scheme, err: err})
			if user != nil {
				ctx = hubbub.WithUser(ctx, user)
			}
			r = r.WithContext(ctx)
			stripToken(r)
			if required && user == nil {
				Challenge(w, r)
				return
			}
			next.ServeHTTP(&challenger{ResponseWriter: w, r: r}, r)
		})
	}
}

// outcome is what the middleware leaves in the context beside the user.
type outcome struct {
	scheme string
	err    error
}

type outcomeKey struct{}

// ErrorFrom returns what was wrong with the credential of the request that ctx belongs to: nil if it was good, if there was
// none, or if no middleware of this package has seen the request. It is for logs, not for the client.
func ErrorFrom(ctx context.Context) error {
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		return o.err
	}
	return nil
}
