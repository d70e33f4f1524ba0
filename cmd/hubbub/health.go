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
	draining chan struct{} // closed when the server stops
}

// live answers as long as the process can answer at all.
func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "live"})
}

// ready answers 503 while the server drains or a check fails. What exactly fails is for the log and not for strangers.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
	}{"ready", nil}
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
