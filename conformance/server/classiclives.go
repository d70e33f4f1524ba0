package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// lives are servers that can be restarted by name: what follows knows nothing of what was before, but has the same keys.
type lives struct {
	keys   *hubbub.KeyRing
	events *eventLog

	mu   sync.Mutex
	now  map[string]*life
	past []*life
}

type life struct {
	hub     *refHub
	handler http.Handler
}

// get returns the server of that name; the first to ask brings it to life.
func (l *lives) get(name string) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now[name] == nil {
		l.begin(name)
	}
	return l.now[name]
}

// begin must be called with the lock held.
func (l *lives) begin(name string) {
	one := &life{hub: newRefHub("RefHub", &hubbub.Options{}, l.events)}
	one.handler = classic.Handler(&classic.Options{Keys: l.keys, EnableJSONP: true, KeepAlive: 2 * time.Second, TransportConnectTimeout: patience}, one.hub.hub)
	if l.now == nil {
		l.now = make(map[string]*life)
	}
	l.now[name] = one
}

// restart replaces the server of that name; with "gently" in the query the old one says goodbye, else it falls silent.
func (l *lives) restart(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	l.mu.Lock()
	old := l.now[name]
	l.begin(name)
	if old != nil {
		l.past = append(l.past, old)
	}
	l.mu.Unlock()
	if old != nil && r.URL.Query().Has("gently") {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if err := old.hub.hub.Shutdown(ctx, 0); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

func (l *lives) serve(w http.ResponseWriter, r *http.Request) {
	l.get(r.PathValue("name")).handler.ServeHTTP(w, r)
}

// hubs returns all hubs that ever lived.
func (l *lives) hubs() []*hubbub.Hub {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*hubbub.Hub
	for _, one := range l.now {
		list = append(list, one.hub.hub)
	}
	for _, one := range l.past {
		list = append(list, one.hub.hub)
	}
	return list
}
