package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/systems/catalog"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// CatalogConfig is for the catalog system.
type CatalogConfig struct {
	Enabled    bool     `yaml:"enabled" doc:"Serve the catalog system."`
	Path       string   `yaml:"path" doc:"Address of both hubs for classic clients. Those for Core clients stay at /centro/events."`
	TokenTypes []string `yaml:"tokenTypes" doc:"Types that a token may have in the header Authorization: TYPE TOKEN. Each stands for the same tokens."`

	MaxSubscriptionsPerConnection int  `yaml:"maxSubscriptionsPerConnection" doc:"Parts and pipelines that one connection watches at a time, on each hub."`
	MaxEventSize                  int  `yaml:"maxEventSize" doc:"Longest event, in bytes."`
	Schema                        bool `yaml:"schema" doc:"Accept only events of the types that Centro has, and complete them. Else any JSON."`

	ResourceRight  string            `yaml:"resourceRight" doc:"Scope, role or right that reaching ResourceEventHub needs. Empty: a token is enough."`
	JobRight       string            `yaml:"jobRight" doc:"The same for JobEventHub."`
	PartRights     map[string]string `yaml:"partRights" doc:"Scope, role or right that watching a part needs, by part key. The key * stands for all that are not listed."`
	PipelineRights map[string]string `yaml:"pipelineRights" doc:"The same for pipelines."`

	Classic struct {
		Transports        []string      `yaml:"transports" doc:"Transports that classic clients may use."`
		DisconnectTimeout time.Duration `yaml:"disconnectTimeout" doc:"How long a classic client may be away before its connection ends; 6s at least."`
		KeepAlive         time.Duration `yaml:"keepAlive" doc:"Time between two words to a classic client with nothing to hear; at most a third of disconnectTimeout."`
		JSONP             bool          `yaml:"jsonp" doc:"Let long polling clients of other origins ask with script elements."`
		SlowConsumer      string        `yaml:"slowConsumer" doc:"What happens to a classic client that does not read: close ends its connection, dropOldest drops the oldest messages as SignalR 2.x does."`
		MessageBufferSize int           `yaml:"messageBufferSize" doc:"Messages kept for a classic client that comes back."`
	} `yaml:"classic"`
}

func defaultCatalog() CatalogConfig {
	c := CatalogConfig{Enabled: true, Path: catalog.ClassicPath, TokenTypes: []string{"Bearer"}, MaxSubscriptionsPerConnection: 1000,
		MaxEventSize: 256 << 10}
	c.Classic.Transports = []string{"webSockets", "serverSentEvents", "foreverFrame", "longPolling"}
	c.Classic.DisconnectTimeout, c.Classic.KeepAlive = 30*time.Second, 10*time.Second
	c.Classic.SlowConsumer, c.Classic.MessageBufferSize = "close", 1000
	return c
}

// takenPaths belong to others, with everything below them.
var takenPaths = []string{"/api", "/signalr/v1", "/page", "/health", "/metrics", "/status", "/centro/parts", "/centro/pipelines", catalog.CorePath,
	gateway.HubPath, "/chathub", gateway.SwaggerPath, "/economy", "/catalog-svc", "/inventory-svc", "/identity-svc", "/trading-svc"}

func (l *loaded) checkCatalog() {
	c, fault := &l.Catalog, l.set.Fault
	path := strings.ToLower(c.Path)
	switch {
	case !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.ContainsAny(path, "?#{} "):
		fault("catalog.path", "%q, want a path such as %s", c.Path, catalog.ClassicPath)
	case path == "/centro" || slices.ContainsFunc(takenPaths, func(taken string) bool { return strings.HasPrefix(path+"/", taken+"/") }):
		fault("catalog.path", "%q is taken, want another path such as %s", c.Path, catalog.ClassicPath)
	}
	if len(c.TokenTypes) == 0 {
		fault("catalog.tokenTypes", "is empty, want at least one type, such as Bearer")
	}
	for _, t := range c.TokenTypes {
		if t == "" || strings.ContainsAny(t, " \t,=\"") {
			fault("catalog.tokenTypes", "%q, want one word such as Bearer", t)
		}
	}
	l.atLeast("catalog.maxSubscriptionsPerConnection", c.MaxSubscriptionsPerConnection, 1)
	l.atLeast("catalog.maxEventSize", c.MaxEventSize, 1)
	l.atLeast("catalog.classic.messageBufferSize", c.Classic.MessageBufferSize, 1)
	if _, err := classicTransports(c.Classic.Transports); err != nil {
		fault("catalog.classic.transports", "%v", err)
	}
	if c.Classic.DisconnectTimeout < 6*time.Second {
		fault("catalog.classic.disconnectTimeout", "is %v, want 6s or more", c.Classic.DisconnectTimeout)
	} else if c.Classic.KeepAlive < 2*time.Second || c.Classic.KeepAlive > c.Classic.DisconnectTimeout/3 {
		fault("catalog.classic.keepAlive", "is %v, want 2s to a third of disconnectTimeout", c.Classic.KeepAlive)
	}
	l.oneOf("catalog.classic.slowConsumer", c.Classic.SlowConsumer, "close", "dropOldest")
}

// classicTransports turns their names into a set.
func classicTransports(names []string) (classic.Transport, error) {
	var set classic.Transport
	for _, n := range names {
		var one classic.Transport
		for t := classic.WebSockets; t <= classic.LongPolling; t <<= 1 {
			if strings.EqualFold(n, t.String()) {
				one = t
			}
		}
		if one == 0 {
			return 0, fmt.Errorf("%q, want webSockets, serverSentEvents, foreverFrame or longPolling", n)
		}
		set |= one
	}
	if set == 0 {
		return 0, fmt.Errorf("is empty, want at least one transport")
	}
	return set, nil
}

// needs returns the rule of those who have a right, nil if none is needed.
func needs(right string) hubbub.Rule {
	if right == "" {
		return nil
	}
	return func(_ context.Context, u *hubbub.User, _ *hubbub.Invocation) bool { return catalog.HasRight(u, right) }
}

// rightOf looks the right up that watching something needs.
func rightOf(rights map[string]string) catalog.Right {
	if len(rights) == 0 {
		return nil
	}
	return func(_ context.Context, u *hubbub.User, key string) (bool, error) {
		right, listed := rights[key]
		if !listed {
			right = rights["*"]
		}
		return right == "" || catalog.HasRight(u, right), nil
	}
}

// mountCatalog makes the catalog. It takes every token that the server takes elsewhere.
func mountCatalog(_ context.Context, at *site) (*system, error) {
	c := &at.config.Catalog
	if !c.Enabled {
		return nil, nil
	}
	set, _ := classicTransports(c.Classic.Transports) // checked with the configuration
	config := catalog.Config{
		ClassicPath:      c.Path,
		ResourceRule:     needs(c.ResourceRight),
		JobRule:          needs(c.JobRight),
		PartRight:        rightOf(c.PartRights),
		PipelineRight:    rightOf(c.PipelineRights),
		MaxSubscriptions: c.MaxSubscriptionsPerConnection,
		MaxEventSize:     c.MaxEventSize,
		Schema:           c.Schema,
		Hub:              at.hubOptions(at.log),
		Core:             *at.endpointOptions(),
		Logger:           at.log,
		Classic: classic.Options{
			Transports:                      set,
			DisconnectTimeout:               c.Classic.DisconnectTimeout,
			KeepAlive:                       c.Classic.KeepAlive,
			EnableJSONP:                     c.Classic.JSONP,
			MessageBufferSize:               c.Classic.MessageBufferSize,
			CloseOnAuthenticationExpiration: at.config.Auth.CloseOnExpiration,
			CheckOrigin:                     at.origin,
			Keys:                            at.keys,
		},
	}
	if c.Classic.SlowConsumer == "dropOldest" {
		config.Classic.SlowConsumer = classic.DropOldest
	}
	for _, t := range c.TokenTypes {
		config.TokenTypes = append(config.TokenTypes, catalog.TokenType{Scheme: t, Verify: at.verify})
	}
	s, err := catalog.New(config)
	if err != nil {
		return nil, err
	}
	s.Mount(at.mux)
	return &system{name: "catalog", title: "Catalog events", paths: s.Paths(), hubs: s.Hubs(),
		addresses:  []string{c.Path, c.Path, catalog.CorePath},
		fold:       s.FoldCase,
		collectors: []prometheus.Collector{catalogCollector{s}},
		close:      func() error { return nil }}, nil
}

// catalogCollector reads the counters of a catalog when it is asked.
type catalogCollector struct{ s *catalog.System }

var (
	catalogPublished = prometheus.NewDesc("hubbub_catalog_events_total", "Events published.", nil, nil)
	catalogUnheard   = prometheus.NewDesc("hubbub_catalog_events_unheard_total", "Events published while nobody on this node watched.", nil, nil)
	catalogRefused   = prometheus.NewDesc("hubbub_catalog_subscriptions_refused_total", "Subscriptions refused, for want of a right or past the limit.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c catalogCollector) Describe(out chan<- *prometheus.Desc) {
	out <- catalogPublished
	out <- catalogUnheard
	out <- catalogRefused
}

// Collect implements [prometheus.Collector].
func (c catalogCollector) Collect(out chan<- prometheus.Metric) {
	n := c.s.Stats()
	count := func(d *prometheus.Desc, v uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	count(catalogPublished, n.Published)
	count(catalogUnheard, n.Unheard)
	count(catalogRefused, n.Refused)
}
