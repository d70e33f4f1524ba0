package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// readyTimeout bounds all checks of one request for readiness.
const readyTimeout = 2 * time.Second

// health answers whether the process lives and whether it should get new connections.
type health struct {
	checks   map[string]func(context.Context) error
	degraded map[string]func() map[string]string // what is away without which the rest goes on
	draining chan struct{}                       // closed when the server stops
}

// live answers as long as the process can answer at all.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "live"})
}

// ready answers 503 while the server drains or a check fails. What exactly fails is for the log and not for strangers. A server
// that is degraded is ready: what it cannot reach would be as far from another one.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
		// Degraded names what is away, by system.
		Degraded map[string]map[string]string `json:"degraded,omitempty"`
	}{Status: "ready"}
	select {
	case <-h.draining:
		answer.Status = "draining"
		writeJSON(w, http.StatusServiceUnavailable, answer)
		return
	default:
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	answer.Checks = make(map[string]string, len(h.checks))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, check := range h.checks {
		wg.Go(func() {
			state := "ok"
			if check(ctx) != nil {
				state = "failed"
			}
			mu.Lock()
			defer mu.Unlock()
			answer.Checks[name] = state
			if state != "ok" {
				answer.Status = "not ready"
			}
		})
	}
	wg.Wait()
	code := http.StatusOK
	if answer.Status != "ready" {
		code = http.StatusServiceUnavailable
	}
	for name, ask := range h.degraded {
		away := ask()
		if len(away) == 0 {
			continue
		}
		if answer.Degraded == nil {
			answer.Degraded = make(map[string]map[string]string)
		}
		answer.Degraded[name] = away
		if code == http.StatusOK {
			answer.Status = "degraded"
		}
	}
	writeJSON(w, code, answer)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}
