package trading

import (
	"log/slog"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Audience is what access tokens for the service are for.
const Audience = "Trading"

// Config of the service. Zero fields have the default of their comment.
type Config struct {
	// Database is the service's own. Its Name is "trading" by default.
	Database store.Config
	// Bus with the queues of contracts.Queues. Needed.
	Bus *bus.Bus
	// Verify decides which access tokens are good, those for [Audience]. Needed.
	Verify auth.Verifier
	// PathBase is what stands before the paths of the service. Default "".
	PathBase string
	// Deadline is how long a purchase may take before it is called off. Default 60 s.
	Deadline time.Duration
	// Resend is how long a service may be silent before it is told again, the first time. Default 5 s.
	Resend time.Duration
	// GrantFirst hands items out before they are paid, as the original does. Default: they are reserved, paid and then handed
	// out.
	GrantFirst bool
	// Retention is how long a buyer who was away is told how a purchase ended. Default 1 h.
	Retention time.Duration
	// Hub are the options of the hub. RequireUser is always set. Its Backplane connects the nodes; by default the
	// bus does, if its server is elsewhere.
	Hub hubbub.Options
	// Box has the options of outbox and inbox; its Store and Bus are those of the service.
	Box box.Config
	// Border is for tests that crash: it is called at each border that a crash may fall between, with its name: "accepted"
	// (a purchase is stored and its buyer does not know), "telling" (before a buyer is told), "told" (before that is noted),
	// "noted" (after it). Default: nothing.
	Border func(name string)
	// Logger for what goes wrong. Default slog.Default().
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Database.Name == "" {
		c.Database.Name = "trading"
	}
	if c.Deadline <= 0 {
		c.Deadline = time.Minute
	}
	if c.Resend <= 0 {
		c.Resend = 5 * time.Second
	}
	if c.Retention <= 0 {
		c.Retention = time.Hour
	}
	if c.Border == nil {
		c.Border = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Hub.Logger == nil {
		c.Hub.Logger = c.Logger
	}
	if c.Box.Logger == nil {
		c.Box.Logger = c.Logger
	}
	c.Hub.RequireUser = true
}
