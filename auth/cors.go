package auth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"
)

// CORSOptions are those of [CORS].
type CORSOptions struct {
	// Origins lists the origins whose pages may read answers, as [ParseOrigins] reads them. Empty: none, which leaves pages of
	// the same origin, for they need no permission.
	Origins []string
	// NoCredentials keeps browsers from sending cookies and the like. SignalR's JavaScript client asks for credentials unless
	// told otherwise, so they are allowed by default, and then Origins cannot be "*".
	NoCredentials bool
	// Headers are request headers that pages may set beside those of SignalR's clients: X-Requested-With,
	// X-SignalR-User-Agent, X-SignalR-Connection-Token, Authorization and Content-Type. "*" is all.
	Headers []string
	// Methods are those that pages may use beside GET, POST, DELETE and OPTIONS.
	Methods []string
	// Expose are answer headers that pages may read beside the few they always may.
	Expose []string
	// MaxAge is how long a browser may remember the answer to a preflight, in whole seconds. Default: not said, which is 5 s in
	// most browsers.
	MaxAge time.Duration
}

var (
	corsHeaders = []string{"Authorization", "Content-Type", "X-Requested-With", "X-SignalR-Connection-Token", "X-SignalR-User-Agent"}
	corsMethods = []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions}
)

// CORS returns middleware that lets pages of other origins use what is behind it. A preflight ends there with 204. Other
// requests pass on, whatever their origin: it is the browser that keeps the answer from the page, so check the upgrade of a
// WebSocket with [Origins.Allowed] as well. CORS fails on a malformed origin and on "*" together with credentials, with
// which every page of the world could act in the name of whoever looks at it.
func CORS(o CORSOptions) (func(http.Handler) http.Handler, error) {
	if slices.Contains(o.Origins, "*") && !o.NoCredentials {
		return nil, errors.New(`auth: cors: origin "*" together with credentials, want exact origins or NoCredentials`)
	}
	if o.MaxAge < 0 {
		return nil, fmt.Errorf("auth: cors: max age is %v, want none or more", o.MaxAge)
	}
	origins, err := ParseOrigins(o.Origins...)
	if err != nil {
		return nil, fmt.Errorf("%w (cors)", err)
	}
	options := cors.Options{
		AllowedMethods:   slices.Concat(corsMethods, o.Methods),
		AllowedHeaders:   slices.Concat(corsHeaders, o.Headers),
		ExposedHeaders:   o.Expose,
		MaxAge:           int(o.MaxAge / time.Second),
		AllowCredentials: !o.NoCredentials,
	}
	if origins.any {
		options.AllowedOrigins = []string{"*"}
	} else {
		options.AllowOriginVaryRequestFunc = func(_ *http.Request, origin string) (bool, []string) {
			return origins.contains(origin), nil
		}
	}
	return cors.New(options).Handler, nil
}
