package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Kinds of entries of the orchestration.
const (
	orchestrationAPI = 0
	orchestrationHub = 1
)

// orchestration is one entry: a service or a hub and its routes.
type orchestration struct {
	API       string          `json:"api"`
	Type      int             `json:"orchestrationType"`
	APIRoutes []apiRouteEntry `json:"apiRoutes,omitempty"`
	HubRoutes []hubRouteEntry `json:"hubRoutes,omitempty"`
}

type apiRouteEntry struct {
	Key            string          `json:"key"`
	Verb           string          `json:"verb"`
	DownstreamPath string          `json:"downstreamPath"`
	RequestSchema  json.RawMessage `json:"requestJsonSchema"`
	ResponseSchema json.RawMessage `json:"responseJsonSchema"`
}

type hubRouteEntry struct {
	Key                   string   `json:"key"`
	InvokeMethod          string   `json:"invokeMethod"`
	ReceiveMethod         string   `json:"receiveMethod"`
	ReceiveGroup          string   `json:"receiveGroup"`
	BroadcastType         string   `json:"broadcastType"`
	ReceiveParameterTypes []string `json:"receiveParameterTypes"`
}

// getOrchestration lists the routes whose keys have the given parts, in any case: those of services, then those of hubs, as they
// were registered. Secrets and addresses of hubs are not in it.
func (g *Gateway) getOrchestration(w http.ResponseWriter, r *http.Request, _ *Access) {
	q := r.URL.Query()
	api, route := filter(q, "apiKey", "api"), filter(q, "routeKey", "key")
	all, t := []orchestration{}, g.table()
	for _, a := range t.apis {
		e := orchestration{API: a.key, Type: orchestrationAPI}
		for _, x := range a.routes {
			if strings.Contains(x.key, route) {
				e.APIRoutes = append(e.APIRoutes, apiRouteEntry{x.key, x.Verb, x.Path, x.RequestSchema, x.ResponseSchema})
			}
		}
		if strings.Contains(a.key, api) && (e.APIRoutes != nil || route == "") {
			all = append(all, e)
		}
	}
	for _, h := range t.hubs {
		e := orchestration{API: h.key, Type: orchestrationHub}
		for _, x := range h.routes {
			if strings.Contains(x.key, route) {
				types := append([]string{}, x.ReceiveParameterTypes...)
				e.HubRoutes = append(e.HubRoutes, hubRouteEntry{x.key, x.InvokeMethod, x.ReceiveMethod, x.ReceiveGroup, x.BroadcastType.String(), types})
			}
		}
		if strings.Contains(h.key, api) && (e.HubRoutes != nil || route == "") {
			all = append(all, e)
		}
	}
	body, err := json.Marshal(all)
	if err != nil { // schemas were checked when they were registered
		refuse(w, http.StatusInternalServerError, "The orchestration has no JSON form.")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body)
}

// filter returns the part of a key that is asked for, by the first of the names that is there, in lower case.
func filter(q url.Values, names ...string) string {
	for name, values := range q {
		if strings.EqualFold(name, names[0]) && values[0] != "" {
			return strings.ToLower(values[0])
		}
	}
	if len(names) > 1 {
		return filter(q, names[1:]...)
	}
	return ""
}
