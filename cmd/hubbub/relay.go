package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub/classic"
	other "github.com/hubbub-go/hubbub/systems/dial"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
)

// RelayConfig is for the relay of events between servers.
type RelayConfig struct {
	Enabled     bool   `yaml:"enabled" doc:"Serve the relay of events between servers."`
	Path        string `yaml:"path" doc:"Address of the event hub for Core clients."`
	ClassicPath string `yaml:"classicPath" doc:"Address of EventHub and clientPushHub for classic clients."`
	PushPath    string `yaml:"pushPath" doc:"Address of the push hub for Core clients."`
	Access      string `yaml:"access" doc:"Who may subscribe over the event hub: right, those with the right events:subscribe; user, every user; anybody, clients without a token too."`
	EndAtHub    bool   `yaml:"endAtHub" doc:"A blank cookie, or endsubscription, in a call of the event hub ends the subscription. Off: it is a cookie like any other."`

	CookieRegistry   bool `yaml:"cookieRegistry" doc:"Run only cookies that this server has handed out itself. Off: whatever an event giver sends."`
	RetentionMinutes int  `yaml:"retentionMinutes" doc:"How long an event is kept for listeners that are away. 0: not at all."`
	RetentionEvents  int  `yaml:"retentionEvents" doc:"How many events are kept for one listener."`

	MaxSubscriptionsPerConnection int           `yaml:"maxSubscriptionsPerConnection" doc:"Events that one connection subscribes to at a time."`
	MaxGuidSize                   int           `yaml:"maxGuidSize" doc:"Longest eventguid, in bytes."`
	MaxCookieSize                 int           `yaml:"maxCookieSize" doc:"Longest cookie, in bytes."`
	MaxWebhooks                   int           `yaml:"maxWebhooks" doc:"Subscriptions of webhooks in all."`
	MaxListeners                  int           `yaml:"maxListeners" doc:"Listeners for which events are kept."`
	PushPause                     time.Duration `yaml:"pushPause" doc:"Shortest time between two hints of the push hub. Those in between become one."`

	Webhook struct {
		Tries      int           `yaml:"tries" doc:"Calls of a webhook before an event is dropped."`
		FirstDelay time.Duration `yaml:"firstDelay" doc:"Time before the second call; each further one doubles it."`
		MaxDelay   time.Duration `yaml:"maxDelay" doc:"Longest time between two calls."`
		Timeout    time.Duration `yaml:"timeout" doc:"Time for one call."`
		Workers    int           `yaml:"workers" doc:"Webhooks that are called at a time."`
	} `yaml:"webhook"`

	Listener string     `yaml:"listener" doc:"Name by which the hubs of other servers know this one. Empty: a random one, kept in the database."`
	Allowed  []string   `yaml:"allowedHubs" doc:"Servers whose hubs view models may listen to, as http://host:port or https://host. Empty: any, so that whoever may change objects and make tickets decides where this server connects to."`
	Hubs     []RelayHub `yaml:"hubs" doc:"Hubs of other servers that need a token, or are not to be found out about. All others need no entry."`

	TicketWorkers int                `yaml:"ticketWorkers" doc:"Tickets that run at a time."`
	Demo          bool               `yaml:"demo" doc:"Have the view models SubscribeVM, TriggerVM, SomeVM and WebhookVM."`
	ViewModels    []viewmodel.Config `yaml:"viewModels" doc:"View models that tickets run: name, class, columns, actions, every, select."`
}

// RelayHub is the hub of another server.
type RelayHub struct {
	URL     string            `yaml:"url" secret:"url"`
	Token   string            `yaml:"token" secret:"true"`
	Header  map[string]string `yaml:"header" secret:"true"`
	Dialect string            `yaml:"dialect"` // auto, core, classic
	HubName string            `yaml:"hubName"`
}

func defaultRelay() RelayConfig {
	c := RelayConfig{Enabled: true, Path: relay.CorePath, ClassicPath: relay.ClassicPath, PushPath: relay.PushPath, Access: "right", EndAtHub: true,
		CookieRegistry: true, RetentionEvents: 1000, MaxSubscriptionsPerConnection: 1000, MaxGuidSize: 1024, MaxCookieSize: 64 << 10,
		MaxWebhooks: 10_000, MaxListeners: 10_000, PushPause: 200 * time.Millisecond, TicketWorkers: 4, Demo: true}
	c.Webhook.Tries, c.Webhook.Workers = 8, 4
	c.Webhook.FirstDelay, c.Webhook.MaxDelay, c.Webhook.Timeout = 5*time.Second, 10*time.Minute, 10*time.Second
	return c
}

// relayAccess are the values of relay.access.
var relayAccess = map[string]relay.Access{"right": relay.NeedRight, "user": relay.AnyUser, "anybody": relay.Anybody}

func (l *loaded) checkRelay() {
	c := &l.Relay
	l.checkRelayPaths()
	l.oneOf("relay.access", c.Access, "right", "user", "anybody")
	l.atLeast("relay.retentionMinutes", c.RetentionMinutes, 0)
	for path, n := range map[string]int{
		"relay.retentionEvents": c.RetentionEvents, "relay.maxSubscriptionsPerConnection": c.MaxSubscriptionsPerConnection,
		"relay.maxGuidSize": c.MaxGuidSize, "relay.maxCookieSize": c.MaxCookieSize, "relay.maxWebhooks": c.MaxWebhooks,
		"relay.maxListeners": c.MaxListeners, "relay.webhook.tries": c.Webhook.Tries, "relay.webhook.workers": c.Webhook.Workers,
		"relay.ticketWorkers": c.TicketWorkers,
	} {
		l.atLeast(path, n, 1)
	}
	l.moreThanNothing("relay.pushPause", c.PushPause)
	l.moreThanNothing("relay.webhook.firstDelay", c.Webhook.FirstDelay)
	l.moreThanNothing("relay.webhook.maxDelay", c.Webhook.MaxDelay)
	l.moreThanNothing("relay.webhook.timeout", c.Webhook.Timeout)
	for i, text := range c.Allowed {
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			l.set.Fault("relay.allowedHubs", "entry %d is %q, want http://host:port or https://host", i+1, text)
		}
	}
	for i, h := range c.Hubs {
		u, err := url.Parse(h.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			l.set.Fault("relay.hubs", "hub %d has no url that can be used, want http://host/path without a user", i+1)
		}
		if h.Dialect != "" {
			l.oneOf("relay.hubs", strings.ToLower(h.Dialect), "auto", "core", "classic")
		}
	}
	o := c.viewModels()
	o.Events = noEvents{}
	set, err := viewmodel.New(o)
	if err != nil {
		l.set.Fault("relay.viewModels", "%s", strings.TrimPrefix(err.Error(), "viewmodel: "))
		return
	}
	set.Close()
}

// checkRelayPaths finds addresses that are none or that belong to somebody else.
func (l *loaded) checkRelayPaths() {
	c := &l.Relay
	taken := append(slices.Clone(takenPaths), "/realtime/events", "/realtime/tickets", "/realtime/objects", "/realtime/push", strings.ToLower(l.Catalog.Path))
	for _, one := range []struct{ name, path, usual string }{
		{"relay.path", c.Path, relay.CorePath}, {"relay.classicPath", c.ClassicPath, relay.ClassicPath}, {"relay.pushPath", c.PushPath, relay.PushPath},
	} {
		path := strings.ToLower(one.path)
		switch {
		case !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.ContainsAny(path, "?#{} "):
			l.set.Fault(one.name, "%q, want a path such as %s", one.path, one.usual)
		case slices.ContainsFunc(taken, func(t string) bool { return strings.HasPrefix(path+"/", t+"/") || strings.HasPrefix(t+"/", path+"/") }):
			l.set.Fault(one.name, "%q is taken, want another path such as %s", one.path, one.usual)
		}
		taken = append(taken, path)
	}
}

// noEvents is where view models are sent that are only looked at.
type noEvents struct{}

func (noEvents) Trigger(context.Context, string) (int, error)            { return 0, nil }
func (noEvents) Subscribe(context.Context, string, string, string) error { return nil }

// viewModels returns those of the configuration and of the demo.
func (c *RelayConfig) viewModels() viewmodel.Options {
	o := viewmodel.Options{ViewModels: slices.Clone(c.ViewModels)}
	if c.Demo {
		var demo []viewmodel.Config
		demo, o.Functions = viewmodel.Demo()
		o.ViewModels = append(o.ViewModels, demo...)
	}
	return o
}

// hub says how to connect to the hub of another server.
func (c *RelayConfig) hub(address string) other.Hub {
	for _, h := range c.Hubs {
		if strings.TrimSuffix(h.URL, "/") != strings.TrimSuffix(address, "/") && h.URL+relay.CorePath != address {
			continue
		}
		d := other.Hub{HubName: h.HubName, Header: make(http.Header)}
		switch strings.ToLower(h.Dialect) {
		case "core":
			d.Dialect = other.Core
		case "classic":
			d.Dialect = other.Classic
		}
		for name, value := range h.Header {
			d.Header.Set(name, value)
		}
		if h.Token != "" {
			d.Token = func(context.Context) (string, error) { return h.Token, nil }
		}
		return d
	}
	return other.Hub{}
}

// mountRelay opens the relay. It takes every token that the server takes elsewhere.
func mountRelay(ctx context.Context, at *site) (*system, error) {
	c := &at.config.Relay
	if !c.Enabled {
		return nil, nil
	}
	config := relay.Config{
		Database:    store.Config{URL: at.config.Database, Dir: at.config.Data, Logger: at.log},
		Keys:        at.keys,
		Verify:      at.verify,
		Access:      relayAccess[c.Access],
		CorePath:    c.Path,
		ClassicPath: c.ClassicPath,
		PushPath:    c.PushPath,
		KeepBlank:   !c.EndAtHub,
		AnyCookie:   !c.CookieRegistry,
		PushPause:   c.PushPause,
		Limits: relay.Limits{Subscriptions: c.MaxSubscriptionsPerConnection, GuidBytes: c.MaxGuidSize, CookieBytes: c.MaxCookieSize,
			Webhooks: c.MaxWebhooks, Listeners: c.MaxListeners},
		Retention: relay.Retention{Window: time.Duration(c.RetentionMinutes) * time.Minute, Most: c.RetentionEvents},
		Webhooks: relay.Webhooks{Tries: c.Webhook.Tries, FirstDelay: c.Webhook.FirstDelay, MaxDelay: c.Webhook.MaxDelay,
			Timeout: c.Webhook.Timeout, Workers: c.Webhook.Workers},
		Tickets: &ticket.Config{ViewModels: c.viewModels(), Workers: c.TicketWorkers, Logger: at.log},
		Listen:  relay.Listening{Name: c.Listener, Hub: c.hub, Allow: c.mayListen()},
		Hub:     at.hubOptions(at.log),
		Core:    *at.endpointOptions(),
		Classic: classic.Options{
			CloseOnAuthenticationExpiration: at.config.Auth.CloseOnExpiration,
			CheckOrigin:                     at.origin,
			Keys:                            at.keys,
		},
		Logger: at.log,
	}
	s, err := relay.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	s.Mount(at.mux)
	return &system{name: "relay", title: "Events between servers", paths: s.Paths(), hubs: s.Hubs(),
		addresses:  []string{c.Path, c.PushPath},
		fold:       s.FoldCase,
		collectors: []prometheus.Collector{relayCollector{s, at.log}},
		openapi:    s.OpenAPI(),
		figures:    func() []figure { return relayFigures(s) },
		ready:      s.Ready,
		degraded:   func() map[string]string { return awayHubs(s) },
		close:      s.Close}, nil
}

// mayListen says whether view models may listen to the hub at an address; nil lets them listen to any.
func (c *RelayConfig) mayListen() func(hubURL string) bool {
	if len(c.Allowed) == 0 {
		return nil
	}
	allowed := make(map[string]bool)
	for _, text := range c.Allowed {
		allowed[serverOf(text)] = true
	}
	return func(hubURL string) bool { return allowed[serverOf(hubURL)] }
}

// serverOf is the scheme, host and port of an address.
func serverOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// awayHubs says how many hubs of other servers this one cannot listen to at the moment. Their addresses are not for strangers: the
// metrics and the page have them.
func awayHubs(s *relay.System) map[string]string {
	n, all := 0, s.Listeners()
	for _, h := range all {
		if !h.Healthy {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return map[string]string{"hubs": fmt.Sprintf("%d of %d away", n, len(all))}
}

// relayFigures are for the page.
func relayFigures(s *relay.System) []figure {
	n, t := s.Stats(), s.Tickets().Stats()
	return []figure{{"subscriptions", int64(n.Subscriptions)}, {"events", int64(n.Events)}, {"unheard", int64(n.Unheard)},
		{"tickets", t.Created}, {"done", t.Done}, {"failed", t.Failed}}
}

// bareURL is an address without its query, which may hold a secret.
func bareURL(address string) string {
	bare, _, _ := strings.Cut(address, "?")
	return bare
}
