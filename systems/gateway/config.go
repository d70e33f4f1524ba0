package gateway

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// Where [Gateway.Mount] puts things.
const (
	RESTPath = "/api/Gateway" // all of the REST endpoints, below it
	HubPath  = "/gatewayhub"  // the GatewayHub
)

// Config of a [Gateway]. Zero fields, and numbers below it, have the default of their comment.
type Config struct {
	// NoGatewayHub turns the GatewayHub off: its path is answered with 404 and nothing is relayed. Calls over POST go on.
	NoGatewayHub bool
	// MaxArguments bounds the arguments of one call of a hub. Default 10.
	MaxArguments int
	// MaxBodySize bounds the body of a request, in bytes. Default 1 MiB.
	MaxBodySize int64
	// MaxCacheSize bounds what the cache of answers keeps in all, in bytes; of one answer 1 MiB. Default 32 MiB.
	MaxCacheSize int64
	// MaxSubscriptions bounds the groups and users that one client of the GatewayHub subscribes to at a time. Default 100.
	MaxSubscriptions int
	// MaxKeyLength bounds keys, groups and user ids that clients of the GatewayHub send, in bytes. Default 256.
	MaxKeyLength int
	// Auth wraps the REST endpoints and, if [Config.Core] has none, the GatewayHub, and puts the user into the context of each
	// request, as auth.Bearer does. Default none: nobody is known.
	Auth func(http.Handler) http.Handler
	// Guard says who may use any route at all; connections to the GatewayHub are not meant, see [hubbub.Options]. Default
	// everybody.
	Guard Guard
	// Orchestration says who may have the list of routes and the OpenAPI document, beside Guard; the filters are for the list only.
	// Default everybody.
	Orchestration Guard
	// GatewayHub are the options of the GatewayHub. Its Backplane is not used: each of several nodes has connections of its own to
	// the hubs downstream, and tells its own clients what they say.
	GatewayHub hubbub.Options
	// OpenAPI says how the gateway describes itself.
	OpenAPI OpenAPI
	// Core are the options of its endpoint.
	Core signalr.Options
	// Logger for what goes wrong. Default slog.Default().
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	positive(&c.MaxArguments, 10)
	positive(&c.MaxBodySize, 1<<20)
	positive(&c.MaxCacheSize, 32<<20)
	positive(&c.MaxSubscriptions, 100)
	positive(&c.MaxKeyLength, 256)
	c.OpenAPI.setDefaults()
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Core.Auth == nil {
		c.Core.Auth = c.Auth
	}
	if c.GatewayHub.Logger == nil {
		c.GatewayHub.Logger = c.Logger
	}
}

func positive[T int | int64 | time.Duration](p *T, v T) {
	if *p <= 0 {
		*p = v
	}
}
