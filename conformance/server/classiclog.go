package main

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// requestLog keeps the requests that carry a "tag" in their query, by that tag.
type requestLog struct {
	mu   sync.Mutex
	seen map[string][]loggedRequest
}

type loggedRequest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   map[string]string `json:"query"`
	Headers map[string]string `json:"headers"`
}

func (l *requestLog) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if tag := q.Get("tag"); tag != "" && r.URL.Path != "/classic-requests" {
			one := loggedRequest{Method: r.Method, Path: r.URL.Path, Query: map[string]string{}, Headers: map[string]string{}}
			for k, v := range q {
				one.Query[k] = strings.Join(v, ",")
			}
			for k, v := range r.Header {
				one.Headers[strings.ToLower(k)] = strings.Join(v, ",")
			}
			l.mu.Lock()
			if l.seen == nil {
				l.seen = make(map[string][]loggedRequest)
			}
			l.seen[tag] = append(l.seen[tag], one)
			l.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// serve answers with the requests of a tag, in the order in which they came.
func (l *requestLog) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	list := append([]loggedRequest{}, l.seen[r.URL.Query().Get("tag")]...)
	l.mu.Unlock()
	writeJSON(w, list)
}

// eventLog keeps what became of each connection.
type eventLog struct {
	mu   sync.Mutex
	seen map[string][]string
}

func (l *eventLog) note(id, event string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = make(map[string][]string)
	}
	l.seen[id] = append(l.seen[id], event)
}

// follow notes the events of a hub, such as "RefHub connected".
func (l *eventLog) follow(h *hubbub.Hub) {
	name := h.Name()
	h.OnConnected(func(ctx context.Context) error {
		l.note(hubbub.CallerFrom(ctx).ID(), name+" connected")
		return nil
	})
	h.OnReconnected(func(ctx context.Context) error {
		l.note(hubbub.CallerFrom(ctx).ID(), name+" reconnected")
		return nil
	})
	h.OnDisconnected(func(ctx context.Context, err error) {
		how := " stopped"
		if err != nil {
			how = " lost"
		}
		l.note(hubbub.CallerFrom(ctx).ID(), name+how)
	})
}

// serve answers with the events of a connection, in their order.
func (l *eventLog) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	list := append([]string{}, l.seen[r.URL.Query().Get("id")]...)
	l.mu.Unlock()
	writeJSON(w, list)
}
