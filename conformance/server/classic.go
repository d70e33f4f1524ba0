package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// patience is how long clients wait for a transport: machines that run tests are busy.
const patience = 20 * time.Second

// classicApp is the part of the application for clients of classic SignalR.
type classicApp struct {
	keys   *hubbub.KeyRing
	auth   func(http.Handler) http.Handler
	log    requestLog
	events eventLog
	lives  lives
	ref    *refHub
	raw    *hubbub.Hub
	hubs   []*hubbub.Hub
}

// newClassicApp mounts everything below paths that begin with /classic.
func newClassicApp(mux *http.ServeMux, auth func(http.Handler) http.Handler) *classicApp {
	c := &classicApp{keys: hubbub.RandomKeyRing(), auth: auth}
	c.ref = newRefHub("RefHub", &hubbub.Options{}, &c.events)
	detailed := newRefHub("DetailHub", &hubbub.Options{EnableDetailedErrors: true}, &c.events)
	users := newRefHub("AuthHub", &hubbub.Options{RequireUser: true}, &c.events)
	nobody := newRefHub("MemberHub", &hubbub.Options{Require: []hubbub.Rule{hubbub.RequireRole("member")}}, &c.events)
	hubs := []*hubbub.Hub{c.ref.hub, detailed.hub, users.hub, nobody.hub}
	c.raw = newRawHub(&c.events)
	c.hubs = append(hubs, c.raw)

	endpoint := func(path string, change func(*classic.Options)) {
		o := classic.Options{Auth: auth, Keys: c.keys, TransportConnectTimeout: patience}
		change(&o)
		classic.MapHubs(mux, path, &o, hubs...)
	}
	endpoint("/classic", func(*classic.Options) {})
	endpoint("/classic-short", func(o *classic.Options) {
		o.EnableJSONP = true
		o.DisconnectTimeout, o.KeepAlive = 6*time.Second, 2*time.Second
	})
	endpoint("/classic-brisk", func(o *classic.Options) { o.KeepAlive = 2 * time.Second })
	endpoint("/classic-jsonp", func(o *classic.Options) { o.EnableJSONP = true })
	endpoint("/classic-noproxies", func(o *classic.Options) { o.DisableJavaScriptProxies = true })
	endpoint("/classic-nowebsockets", func(o *classic.Options) { o.Transports = classic.AllTransports &^ classic.WebSockets })
	endpoint("/classic-polling", func(o *classic.Options) {
		o.Transports, o.LongPollDelay = classic.LongPolling, 20*time.Millisecond
	})
	classic.MapHubs(mux, "/classic-both", &classic.Options{
		Auth: auth, Keys: c.keys, EnableJSONP: true, TransportConnectTimeout: patience, Otherwise: signalr.Handler(c.ref.hub, &signalr.Options{Auth: auth, Keys: c.keys}),
	}, c.ref.hub)
	classic.MapConnection(mux, "/classic-raw", &classic.Options{Auth: auth, Keys: c.keys, EnableJSONP: true, TransportConnectTimeout: patience}, c.raw)
	c.mountControls(mux)
	return c
}

// mountControls are the addresses by which a test looks behind the scenes.
func (c *classicApp) mountControls(mux *http.ServeMux) {
	mux.HandleFunc("GET /classic-requests", c.log.serve)
	mux.HandleFunc("GET /classic-events", c.events.serve)
	mux.HandleFunc("POST /classic-publish", c.publish)
	mux.HandleFunc("GET /classic-encoded", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, encodings.of(r.URL.Query().Get("name")))
	})
	mux.HandleFunc("GET /classic-redirect/signalr/negotiate", redirectNegotiate)
	c.lives.keys, c.lives.events = c.keys, &c.events
	mux.HandleFunc("POST /classic-restart/{name}", c.lives.restart)
	mux.HandleFunc("/classic-life/{name}/", c.lives.serve)
}

// handler records what is asked below the classic paths.
func (c *classicApp) handler(next http.Handler) http.Handler { return c.log.handler(next) }

func (c *classicApp) all() []*hubbub.Hub { return append(c.lives.hubs(), c.hubs...) }

// publish sends the numbers from…to to a group, as the application would, outside of any call.
func (c *classicApp) publish(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, err1 := strconv.Atoi(q.Get("from"))
	to, err2 := strconv.Atoi(q.Get("to"))
	if err := errors.Join(err1, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hub := c.ref.hub
	if name := q.Get("life"); name != "" {
		hub = c.lives.get(name).hub.hub
	}
	for i := from; i < to; i++ {
		if err := hub.Group(q.Get("group")).Send(r.Context(), "Item", i); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
}

// redirectNegotiate sends clients to the address that the query names, with a token for it.
func redirectNegotiate(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	writeJSON(w, map[string]string{"ProtocolVersion": "2.0", "RedirectUrl": q.Get("to"), "AccessToken": q.Get("with"), "Error": q.Get("fail")})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}

// newRawHub is the persistent connection: it greets, and sends back what it gets.
func newRawHub(events *eventLog) *hubbub.Hub {
	h := hubbub.NewHub("Raw", &hubbub.Options{})
	h.Handle("OnReceived", hubbub.Action1(func(ctx context.Context, text string) error {
		switch text {
		case "object":
			return hubbub.CallerFrom(ctx).Send(ctx, "", map[string]any{"Kind": text, "Number": 1})
		case "abort":
			hubbub.CallerFrom(ctx).Abort()
			return nil
		}
		return hubbub.CallerFrom(ctx).Send(ctx, "", text)
	}))
	events.follow(h)
	return h
}

// describeCaller is what a method sees of its connection.
func describeCaller(ctx context.Context) map[string]any {
	c := hubbub.CallerFrom(ctx)
	user := ""
	if u := c.User(); u != nil {
		user = u.ID
	}
	return map[string]any{
		"Id": c.ID(), "User": user, "Transport": c.Request().Transport, "Query": c.Request().Query.Get("own"),
		"Header": c.Request().Header.Get("X-Own"), "Agent": fmt.Sprint(len(c.Request().Header.Get("User-Agent")) > 0),
	}
}
