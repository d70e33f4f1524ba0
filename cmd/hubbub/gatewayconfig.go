package main

import (
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// GatewayConfig is for the gateway.
type GatewayConfig struct {
	Enabled         bool   `yaml:"enabled" doc:"Serve the gateway at /api/Gateway, /gatewayhub and /swagger."`
	StartGatewayHub bool   `yaml:"startGatewayHub" doc:"Relay what hubs send to the clients of /gatewayhub. Off: its path is answered with 404, calls over POST go on."`
	Demo            bool   `yaml:"demo" doc:"Have a chat hub at /ChatHub behind the route chatservice/room, and the routes server/health and server/status. There are these with development keys only."`
	OpenAPI         bool   `yaml:"openapi" doc:"Describe the routes at /swagger/v1/swagger.json, with a page to try them at /swagger."`
	Title           string `yaml:"title" doc:"Title of that description."`

	Requires              string `yaml:"requires" doc:"Scope, role or right that every request and every call needs. The text * stands for any user with a token. Empty: nothing."`
	OrchestrationRequires string `yaml:"orchestrationRequires" doc:"The same for the list of routes, /api/Gateway/orchestration."`
	ConnectRequires       string `yaml:"connectRequires" doc:"The same for connecting to /gatewayhub. What is broadcast to all reaches every client there."`

	MaxArguments                  int `yaml:"maxArguments" doc:"Arguments of one call of a hub."`
	MaxBodySize                   int `yaml:"maxBodySize" doc:"Longest body of a request, in bytes."`
	MaxSubscriptionsPerConnection int `yaml:"maxSubscriptionsPerConnection" doc:"Groups and users that one client of /gatewayhub subscribes to at a time."`

	Watch    time.Duration `yaml:"watch" doc:"How often this file and settings are looked at for changes. Changed services, hubs and routes are put in force without a restart, on SIGHUP too. 0s: on SIGHUP alone."`
	Settings string        `yaml:"settings" doc:"JSON file with more services, as Veritas' gateway has them: {\"Settings\": [{\"ApiKey\": …}]}."`
	APIs     []GatewayAPI  `yaml:"apis" doc:"Services over HTTP. ${NAME} in an address, a header, a token or a key stands for that environment variable."`
	Hubs     []GatewayHub  `yaml:"hubs" doc:"SignalR hubs, of either generation."`
}

// GatewayAPI is a service of the gateway. Fields left out are as in [gateway.API].
type GatewayAPI struct {
	Key      string            `yaml:"key"`
	BaseURLs []string          `yaml:"baseUrls" secret:"url"`
	Balance  string            `yaml:"balance"` // random, roundRobin, leastPending
	Header   map[string]string `yaml:"header" secret:"true"`
	Timeout  time.Duration     `yaml:"timeout"`
	Cache    time.Duration     `yaml:"cache"`
	Rules    GatewayCacheRules `yaml:"cacheRules"`
	Check    GatewayCheck      `yaml:"check"`
	Requires string            `yaml:"requires"`
	Routes   []GatewayRoute    `yaml:"routes"`
}

// GatewayCheck says how the addresses of a service are checked from time to time. Fields left out are as in [gateway.HealthCheck].
type GatewayCheck struct {
	Path      string        `yaml:"path"`
	Interval  time.Duration `yaml:"interval"`
	Timeout   time.Duration `yaml:"timeout"`
	Failures  int           `yaml:"failures"`
	Successes int           `yaml:"successes"`
}

// GatewayCacheRules says how answers are kept. Fields left out are as in [gateway.CacheRules].
type GatewayCacheRules struct {
	Location        string   `yaml:"location"` // any, client, none
	VaryByHeader    []string `yaml:"varyByHeader"`
	VaryByQueryKeys []string `yaml:"varyByQueryKeys"`
	NoStore         bool     `yaml:"noStore"`
}

func (c *GatewayCacheRules) given() bool {
	return c.Location != "" || len(c.VaryByHeader) > 0 || len(c.VaryByQueryKeys) > 0 || c.NoStore
}

// GatewayRoute is a route of a service. Fields left out are as in [gateway.Route].
type GatewayRoute struct {
	Key            string            `yaml:"key"`
	Verb           string            `yaml:"verb"`
	Path           string            `yaml:"path"`
	Timeout        time.Duration     `yaml:"timeout"`
	Cache          time.Duration     `yaml:"cache"`
	Rules          GatewayCacheRules `yaml:"cacheRules"` // left out: those of the service
	Requires       string            `yaml:"requires"`
	Summary        string            `yaml:"summary"`
	Description    string            `yaml:"description"`
	RequestSchema  string            `yaml:"requestSchema"`
	ResponseSchema string            `yaml:"responseSchema"`
}

// GatewayHub is a hub of the gateway. Fields left out are as in [gateway.Hub].
type GatewayHub struct {
	Key               string            `yaml:"key"`
	URL               string            `yaml:"url" secret:"url"`
	Dialect           string            `yaml:"dialect"` // auto, core, classic
	HubName           string            `yaml:"hubName"`
	ReceiveKey        string            `yaml:"receiveKey" secret:"true"`
	InvokeKey         string            `yaml:"invokeKey" secret:"true"`
	Token             string            `yaml:"token" secret:"true"`
	Header            map[string]string `yaml:"header" secret:"true"`
	Transports        []string          `yaml:"transports"` // webSockets, serverSentEvents, longPolling
	Requires          string            `yaml:"requires"`
	ConnectTimeout    time.Duration     `yaml:"connectTimeout"`
	InvokeTimeout     time.Duration     `yaml:"invokeTimeout"`
	ReconnectDelay    time.Duration     `yaml:"reconnectDelay"`
	MaxReconnectDelay time.Duration     `yaml:"maxReconnectDelay"`
	MaxPending        int               `yaml:"maxPending"`
	MaxMessageSize    int               `yaml:"maxMessageSize"`
	Routes            []GatewayHubRoute `yaml:"routes"`
}

// GatewayHubRoute is a route of a hub. Fields left out are as in [gateway.HubRoute].
type GatewayHubRoute struct {
	Key                   string   `yaml:"key"`
	InvokeMethod          string   `yaml:"invokeMethod"`
	ReceiveMethod         string   `yaml:"receiveMethod"`
	ReceiveGroup          string   `yaml:"receiveGroup"`
	BroadcastType         string   `yaml:"broadcastType"` // All, Group, Individual
	ReceiveParameterTypes []string `yaml:"receiveParameterTypes"`
	Unwrap                bool     `yaml:"unwrap"`
	Requires              string   `yaml:"requires"`
	Summary               string   `yaml:"summary"`
	Description           string   `yaml:"description"`
	ArgumentSchemas       []string `yaml:"argumentSchemas"`
	ResultSchema          string   `yaml:"resultSchema"`
}

func defaultGateway() GatewayConfig {
	return GatewayConfig{Enabled: true, StartGatewayHub: true, Demo: true, OpenAPI: true, Title: "My Api Gateway",
		MaxArguments: 10, MaxBodySize: 1 << 20, MaxSubscriptionsPerConnection: 100, Watch: 2 * time.Second}
}

func (l *loaded) checkGateway() {
	c := &l.Gateway
	l.atLeast("gateway.maxArguments", c.MaxArguments, 1)
	l.atLeast("gateway.maxBodySize", c.MaxBodySize, 1)
	l.atLeast("gateway.maxSubscriptionsPerConnection", c.MaxSubscriptionsPerConnection, 1)
	if c.Watch < 0 || (c.Watch > 0 && c.Watch < 100*time.Millisecond) {
		l.set.Fault("gateway.watch", "is %v, want 0s, or 100ms or more", c.Watch)
	}
	if c.Title == "" {
		l.set.Fault("gateway.title", "is empty, want a text")
	}
	b := &gatewayBuilder{lookup: l.lookup, fault: func(path, text string) { l.set.Fault("gateway."+path, "%s", text) }, routes: new(gateway.Routes)}
	b.build(c)
	l.gateway = b.routes
}
