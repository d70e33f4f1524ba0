package notify

import (
	"log/slog"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Config of a [System]. Zero fields have the default of their comment.
type Config struct {
	// Database holds the state. Its Name is "notify" by default.
	Database store.Config
	// Keys sign access tokens and licences. Default: a random ring, whose tokens and licences die with the process. Nodes that
	// serve together must share it.
	Keys *hubbub.KeyRing
	// Tokens issues and verifies access tokens. Tokens that others made with the same issuer are accepted too, with their
	// claims "role", "scope" and "rights". Default: an issuer of Keys.
	Tokens *auth.Issuer
	// Foreign verifies the tokens that Tokens refuses, such as those of an OpenID issuer. They have no session: what they may do
	// is what their claims "role", "scope" and "rights" say. Default none.
	Foreign auth.Verifier
	// Users who may log in, each with a unique UserName.
	Users []Account
	// Devices that may log in. Default none: every device may, with the environment Tool.
	Devices []Device
	// MaxDevices bounds the devices with a live session, beside what the licence says; the smaller one counts. Default 0: no
	// bound of its own.
	MaxDevices int
	// Resources are the names of resources that subscriptions and notifications may use. Default none: any name.
	Resources []string
	// FoldResources matches names of resources without regard to case. Default: exactly.
	FoldResources bool
	// Rights maps a resource to the right that reading it needs; who has the right "admin" has all. Default none: whoever may
	// connect may read everything.
	Rights map[string]string
	// TokenLifetime of access tokens. Default 1 h.
	TokenLifetime time.Duration
	// SessionLifetime is how long a session lives after its login or last refresh. Default 24 h.
	SessionLifetime time.Duration
	// DedupeWindow is how long the reference of a notification is remembered. Default 10 min; negative: not at all.
	DedupeWindow time.Duration
	// Retention keeps notifications for users at devices that are away. Default off.
	Retention Retention
	// Webhooks says how webhooks are called.
	Webhooks Webhooks
	// Limits bounds what clients may ask for.
	Limits Limits
	// FirstLicence is activated at the first start, where there is no licence. Default none: GET /api/v1/license answers 404
	// and nothing is limited until somebody activates one.
	FirstLicence *Terms
	// Development serves POST /api/v1/license/issue, which makes activation codes for anybody. Never turn it on where others
	// reach the server.
	Development bool
	// Hub are the options of the hub. RequireUser is always set; MaximumReceiveMessageSize is 1 MiB by default, so that a request
	// of too many resources is answered and does not end its connection. Its Backplane connects the nodes.
	Hub hubbub.Options
	// Logger for what goes wrong in the background. Default slog.Default().
	Logger *slog.Logger
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Retention of notifications for clients that come back: see docs/notify.md, "Retention".
type Retention struct {
	// Window is how long a notification is kept. Default 0: off.
	Window time.Duration
	// Most is how many notifications are kept in all, and so how many one replay can have. Default 1000.
	Most int
}

// Limits of requests. Zero fields have the default of their comment.
type Limits struct {
	// Subscriptions of one connection. Default 128.
	Subscriptions int
	// Resources named in all subscriptions of one connection. Default 1024.
	Resources int
	// ResourcesPerRequest of one Subscribe, Unsubscribe or webhook. Default 256.
	ResourcesPerRequest int
	// ActionsPerResource in one request. Default 16.
	ActionsPerResource int
	// NameBytes of a resource name. Default 128.
	NameBytes int
	// NotificationBytes of the body of POST /api/v1/notifications. Default 256 KiB.
	NotificationBytes int64
	// BodyBytes of any other body. Default 64 KiB.
	BodyBytes int64
	// Webhooks registered in all. Default 100.
	Webhooks int
	// SessionsPerDevice of one user; one more ends the oldest. Default 16.
	SessionsPerDevice int
	// FailedLogins of one user name in a minute; then its logins are answered with 429. Default 20.
	FailedLogins int
}

// Webhooks says how webhooks are called. Zero fields have the default of their comment.
type Webhooks struct {
	// Tries before a delivery is parked. Default 8.
	Tries int
	// FirstDelay before the second try; each further one doubles it, with a quarter of jitter either way. Default 5 s.
	FirstDelay time.Duration
	// MaxDelay bounds the doubling. Default 10 min.
	MaxDelay time.Duration
	// Timeout of one call. Default 10 s.
	Timeout time.Duration
	// Workers is how many webhooks are called at a time. Default 4.
	Workers int
	// MostQueued and MostParked bound what one webhook may have waiting and parked; the oldest beyond it go. Defaults 10,000
	// and 1,000.
	MostQueued, MostParked int
}

func positive[T int | int64 | time.Duration](p *T, v T) {
	if *p <= 0 {
		*p = v
	}
}

func (c *Config) setDefaults() {
	if c.Database.Name == "" {
		c.Database.Name = "notify"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Database.Logger == nil {
		c.Database.Logger = c.Logger
	}
	if c.Hub.Logger == nil {
		c.Hub.Logger = c.Logger
	}
	if c.Keys == nil {
		c.Keys = hubbub.RandomKeyRing()
	}
	if c.Tokens == nil {
		c.Tokens = &auth.Issuer{Keys: c.Keys}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	positive(&c.TokenLifetime, time.Hour)
	positive(&c.SessionLifetime, 24*time.Hour)
	if c.DedupeWindow == 0 {
		c.DedupeWindow = 10 * time.Minute
	}
	positive(&c.Retention.Most, 1000)
	l := &c.Limits
	positive(&l.Subscriptions, 128)
	positive(&l.Resources, 1024)
	positive(&l.ResourcesPerRequest, 256)
	positive(&l.ActionsPerResource, 16)
	positive(&l.NameBytes, 128)
	positive(&l.NotificationBytes, 256<<10)
	positive(&l.BodyBytes, 64<<10)
	positive(&l.Webhooks, 100)
	positive(&l.SessionsPerDevice, 16)
	positive(&l.FailedLogins, 20)
	w := &c.Webhooks
	positive(&w.Tries, 8)
	positive(&w.FirstDelay, 5*time.Second)
	positive(&w.MaxDelay, 10*time.Minute)
	positive(&w.Timeout, 10*time.Second)
	positive(&w.Workers, 4)
	positive(&w.MostQueued, 10_000)
	positive(&w.MostParked, 1_000)
	c.Hub.RequireUser = true
	if c.Hub.MaximumReceiveMessageSize == 0 {
		c.Hub.MaximumReceiveMessageSize = 1 << 20
	}
}
