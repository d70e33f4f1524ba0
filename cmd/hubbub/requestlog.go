package main

import (
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
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

// redactURL returns an address without the secrets that SignalR's clients put there: the access token, the connection token in
// the parameter id or connectionToken, and the groups token of classic clients.
func redactURL(u *url.URL) string {
	c := *u
	var query strings.Builder
	for rest := u.RawQuery; rest != ""; {
		pair, end := rest, ""
		if i := strings.IndexAny(rest, "&;"); i >= 0 { // classic endpoints divide at both
			pair, end = rest[:i], rest[i:i+1]
		}
		rest = rest[len(pair)+len(end):]
		if raw, _, ok := strings.Cut(pair, "="); ok && isSecret(raw) {
			pair = raw + "=REDACTED"
		}
		query.WriteString(pair + end)
	}
	c.RawQuery = query.String()
	return auth.RedactURL(&c)
}

// isSecret reports whether a parameter is one whose value may not be logged. Hubs read its name in any case.
func isSecret(raw string) bool {
	name, err := url.QueryUnescape(raw)
	return err != nil || slices.ContainsFunc([]string{"id", "connectionToken", "groupsToken"}, func(s string) bool { return strings.EqualFold(name, s) })
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
