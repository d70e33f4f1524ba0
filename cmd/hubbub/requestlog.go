package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub/auth"
)

// logRequests writes a line for every request at level debug, without access tokens.
func logRequests(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		began, url := time.Now(), auth.RedactURL(r.URL)
		recorded := &statusRecorder{ResponseWriter: w}
		next.ServeHTTP(recorded, r)
		log.Debug("request", "method", r.Method, "url", url, "status", recorded.status,
			"took", time.Since(began).Round(time.Microsecond), "remote", r.RemoteAddr)
	})
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
