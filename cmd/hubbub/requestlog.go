package main

import (
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub/auth"
)

// logRequests writes a line for every request at level debug, without tokens, and for every panic of a handler at level error.
func logRequests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				if v != http.ErrAbortHandler {
					log.Error("panic in a request", "method", r.Method, "url", redactURL(r.URL), "panic", v, "stack", string(debug.Stack()))
				}
				panic(http.ErrAbortHandler) // net/http ends the connection, and says nothing more
			}
		}()
		if !log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		began, address := time.Now(), redactURL(r.URL)
		recorded := &statusRecorder{ResponseWriter: w}
		next.ServeHTTP(recorded, r)
		log.Debug("request", "method", r.Method, "url", address, "status", recorded.status,
			"took", time.Since(began).Round(time.Microsecond).String(), "remote", r.RemoteAddr)
	})
}

// redactURL returns an address without the secrets that SignalR's clients put there: the access token, and the connection
// token in the parameter id.
func redactURL(u *url.URL) string {
	c := *u
	q := c.Query()
	secret := false
	for name := range q {
		if strings.EqualFold(name, "id") { // hubs read it in any case
			q[name], secret = []string{"REDACTED"}, true
		}
	}
	if secret {
		c.RawQuery = q.Encode()
	}
	return auth.RedactURL(&c)
}

// statusRecorder remembers the status of an answer. Flushing and hijacking go through [http.ResponseController].
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (s *statusRecorder) WriteHeader(code int) {
	if s.status == 0 || s.status < 200 {
		s.status = code
	}
	s.ResponseWriter.WriteHeader(code)
}

// Write implements [http.ResponseWriter].
func (s *statusRecorder) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
