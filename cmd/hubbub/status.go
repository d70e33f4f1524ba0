package main

import (
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub/cmd/hubbub/page"
)

// status is what the page shows: nothing that a stranger may not know.
type status struct {
	Version     string         `json:"version"`
	Started     time.Time      `json:"started"`
	Uptime      int64          `json:"uptimeSeconds"`
	Development bool           `json:"development"`
	Draining    bool           `json:"draining"`
	Systems     []systemStatus `json:"systems"`
}

type systemStatus struct {
	Name  string      `json:"name"`
	Title string      `json:"title"`
	Hubs  []hubStatus `json:"hubs"`
	// Portal is the path of the system's own pages.
	Portal string `json:"portal,omitempty"`
}

type hubStatus struct {
	Name        string `json:"name"`
	Path        string `json:"path"`
	Connections int    `json:"connections"`
	Users       int    `json:"users"`
	Received    int64  `json:"received"`
	Sent        int64  `json:"sent"`
	Invocations int64  `json:"invocations"`
	Failed      int64  `json:"failed"`
	// Figures are those of the system, beside its first hub.
	Figures []figure `json:"figures,omitempty"`
}

// figure is a number of a system, for people.
type figure struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

func (s *server) mapPage(mux *http.ServeMux) {
	p := page.Handler()
	mux.Handle("GET /{$}", p)
	mux.Handle("GET /page/", p)
	mux.HandleFunc("GET /status", s.serveStatus)
}

func (s *server) serveStatus(w http.ResponseWriter, _ *http.Request) {
	answer := status{Version: versionText(), Started: s.started.UTC(), Uptime: int64(time.Since(s.started).Seconds()),
		Development: s.keys.Development, Systems: []systemStatus{}}
	select {
	case <-s.health.draining:
		answer.Draining = true
	default:
	}
	for _, one := range s.systems {
		state := systemStatus{Name: one.name, Title: one.title, Hubs: []hubStatus{}, Portal: one.portal}
		addresses := one.addresses
		if addresses == nil {
			addresses = one.paths
		}
		for i, h := range one.hubs {
			n := h.Stats()
			state.Hubs = append(state.Hubs, hubStatus{h.Name(), addresses[i], n.Connections, n.Users, n.Received, n.Sent, n.Invocations, n.Failed, nil})
			if i == 0 && one.figures != nil {
				state.Hubs[0].Figures = one.figures()
			}
		}
		answer.Systems = append(answer.Systems, state)
	}
	writeJSON(w, http.StatusOK, answer)
}
