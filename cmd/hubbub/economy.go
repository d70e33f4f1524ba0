package main

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub/cmd/hubbub/settings"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/economy/portal"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/gateway"
	"github.com/hubbub-go/hubbub/systems/store"
)

// EconomyConfig is for Play Economy.
type EconomyConfig struct {
	Enabled bool   `yaml:"enabled" doc:"Serve Play Economy: its services at /catalog-svc, /inventory-svc, /identity-svc and /trading-svc, and its portal at /economy/."`
	Only    string `yaml:"only" doc:"The one service to run, at the root of this server and without the other systems: catalog, inventory, identity or trading. Without listen it is at 127.0.0.1 and the original's port, 5000, 5004, 5002 or 5006. Needs broker.url."`
	URL     string `yaml:"url" doc:"Address of this server as browsers see it, http://host or https://host. Empty: where it listens."`
	Portal  bool   `yaml:"portal" doc:"Serve the portal."`

	Issuer struct {
		URL     string   `yaml:"url" doc:"Issuer of access tokens, the claim iss. Empty: /identity-svc of this server, or http://localhost:5002 for one service alone."`
		Client  string   `yaml:"client" doc:"The portal's client id at the issuer."`
		Scopes  []string `yaml:"scopes" doc:"What the portal asks the issuer for. Empty: openid, profile, email, roles, offline_access and the scopes of the services."`
		Foreign bool     `yaml:"foreign" doc:"It is an OpenID provider of somebody else. Its tokens are taken in place of those of the identity service, which keeps the accounts only; sub is a UUID."`
	} `yaml:"issuer"`
	Frontends []string `yaml:"frontends" doc:"Addresses of other portals, such as https://play.example.com, that people may sign in from. Empty, with development keys: http://localhost:3000. The server's trustedOrigins say which pages may call the services."`

	Broker struct {
		URL         string `yaml:"url" secret:"url" doc:"NATS servers with JetStream, nats://host:4222, with commas between. Empty: a server in this process, with its messages in the data folder."`
		Credentials string `yaml:"credentials" doc:"File of NATS credentials."`
		Replicas    int    `yaml:"replicas" doc:"How many servers of a cluster keep each message: 1, 3 or 5."`
	} `yaml:"broker"`

	Deadline   time.Duration `yaml:"deadline" doc:"How long a purchase may take before it is called off."`
	Resend     time.Duration `yaml:"resend" doc:"How long a service may be silent before it is told again, the first time."`
	Retention  time.Duration `yaml:"retention" doc:"How long a buyer who was away is told how a purchase ended."`
	GrantFirst bool          `yaml:"grantFirst" doc:"Hand items out before they are paid, as the original does. Off: they are reserved, paid, and then handed out."`

	AdminEmail          string        `yaml:"adminEmail" doc:"Account of the administrator, made at the first start."`
	AdminPassword       string        `yaml:"adminPassword" secret:"true" doc:"Its password. Empty: a random one, printed when the account is made."`
	StartingGil         int           `yaml:"startingGil" doc:"What a new account has, in gil."`
	AccessTokenLifetime time.Duration `yaml:"accessTokenLifetime" doc:"How long an access token is good."`
	PasswordCost        int           `yaml:"passwordCost" doc:"Cost of bcrypt. One more doubles the time that a sign-in takes of the processor."`
}

func defaultEconomy() EconomyConfig {
	c := EconomyConfig{Enabled: true, Portal: true, Deadline: time.Minute, Resend: 5 * time.Second, Retention: time.Hour,
		AdminEmail: "admin@play.com", StartingGil: 100, AccessTokenLifetime: time.Hour, PasswordCost: 10}
	c.Broker.Replicas, c.Issuer.Client = 1, "frontend"
	return c
}

func (l *loaded) checkEconomy() {
	c, fault := &l.Economy, l.set.Fault
	if c.Only != "" {
		l.oneOf("economy.only", c.Only, economy.Names()...)
		if c.Broker.URL == "" {
			fault("economy.broker.url", "is empty, want the NATS server that the other services talk over too, such as nats://127.0.0.1:4222")
		}
	}
	for path, text := range map[string]string{"economy.url": c.URL, "economy.issuer.url": c.Issuer.URL} {
		u, err := url.Parse(text)
		switch {
		case text == "":
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.HasSuffix(text, "/"):
			fault(path, "%q, want http://host or https://host without a slash at its end", text)
		case path == "economy.url" && u.Path != "":
			fault(path, "%q has a path, want http://host or https://host", text)
		}
	}
	if c.Issuer.Foreign && c.Issuer.URL == "" {
		fault("economy.issuer.url", "is empty, want the address of the foreign issuer")
	}
	for i, text := range c.Frontends {
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.HasSuffix(text, "/") {
			fault("economy.frontends", "entry %d is %q, want http://host or https://host, with a path perhaps, without a slash at its end", i+1, text)
		}
	}
	if !slices.Contains([]int{1, 3, 5}, c.Broker.Replicas) {
		fault("economy.broker.replicas", "is %d, want 1, 3 or 5", c.Broker.Replicas)
	}
	l.moreThanNothing("economy.deadline", c.Deadline)
	l.moreThanNothing("economy.resend", c.Resend)
	l.moreThanNothing("economy.retention", c.Retention)
	l.moreThanNothing("economy.accessTokenLifetime", c.AccessTokenLifetime)
	if most := int(identity.MaximumGil / contracts.OneGil); c.StartingGil < 0 || c.StartingGil > most {
		fault("economy.startingGil", "is %d, want 0 to %d", c.StartingGil, most)
	}
	if c.PasswordCost < 4 || c.PasswordCost > 20 {
		fault("economy.passwordCost", "is %d, want 4 to 20", c.PasswordCost)
	}
}

// database is where the services keep their state.
func (c *Config) database(l *site) store.Config {
	d := store.Config{URL: c.Database, Dir: c.Data}
	if l != nil {
		d.Logger = l.log
	}
	return d
}

// publicURL is the address of this server as browsers see it.
func (c *EconomyConfig) publicURL(at *site) string {
	if c.URL != "" {
		return c.URL
	}
	u, err := url.Parse(at.url)
	if err != nil {
		return at.url
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("localhost", u.Port())
		if c.Issuer.URL == "" && c.Only == "" {
			at.log.Warn("economy.url is not set: players can sign in from this machine only", "address", u.String())
		}
	}
	return u.String()
}

// economyConfig is what the configuration says about the system.
func economyConfig(at *site) economy.Config {
	c := &at.config.Economy
	gil := contracts.Gil(c.StartingGil) * contracts.OneGil
	if gil == 0 {
		gil = -1 // 0 is the service's default
	}
	o := economy.Config{
		URL:       c.publicURL(at),
		Only:      c.Only,
		Database:  at.config.database(at),
		Bus:       bus.Config{URL: c.Broker.URL, Credentials: c.Broker.Credentials, Replicas: c.Broker.Replicas, Logger: at.log},
		Issuer:    c.Issuer.URL,
		Foreign:   c.Issuer.Foreign,
		Frontends: c.Frontends,
		NoPortal:  !c.Portal,
		Portal:    portal.Config{Client: c.Issuer.Client, Scopes: c.Issuer.Scopes},
		Identity: identity.Config{
			AdminEmail: c.AdminEmail, AdminPassword: c.AdminPassword, StartingGil: gil, AccessTokenLifetime: c.AccessTokenLifetime,
			PasswordCost: c.PasswordCost,
		},
		Trading: trading.Config{Deadline: c.Deadline, Resend: c.Resend, Retention: c.Retention, GrantFirst: c.GrantFirst, Hub: at.hubOptions(at.log)},
		Core:    at.endpointOptions(),
		Logger:  at.log,
	}
	if len(o.Frontends) == 0 && !at.development {
		o.Frontends = []string{} // that of development is not for others
	}
	o.Identity.Announce = func(email, password string) {
		if c.AdminPassword != "" {
			password = "as configured"
		} else {
			password += "   (shown this once)"
		}
		at.tell("Play Economy", "administrator", email, "password", password)
	}
	return o
}

// mountEconomy opens Play Economy, or one service of it.
func mountEconomy(ctx context.Context, at *site) (*system, error) {
	if !at.config.Economy.Enabled && at.config.Economy.Only == "" {
		return nil, nil
	}
	o := economyConfig(at)
	s, err := economy.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.Mount(at.mux); err != nil {
		s.Close()
		return nil, err
	}
	one := &system{name: "economy", title: "Play Economy", paths: s.Paths(), hubs: s.Hubs(),
		collectors: []prometheus.Collector{newEconomyCollector(s, at.log)},
		openapi:    s.OpenAPI(),
		figures:    func() []figure { return economyFigures(s) },
		ready:      s.Ready,
		close:      s.Close}
	if at.config.Economy.Portal && at.config.Economy.Only == "" {
		one.portal = economy.PortalPath
		at.tell("Play Economy", "portal", o.URL+economy.PortalPath)
	}
	if at.config.Economy.Only != "" && at.config.Gateway.OpenAPI { // there is no gateway that shows it
		page := gateway.Swagger(one.openapi)
		at.mux.Handle(gateway.SwaggerPath, page)
		at.mux.Handle(gateway.SwaggerPath+"/", page)
	}
	if path := s.HubPath(); path != "" {
		one.addresses = []string{path}
	}
	return one, nil
}

// economyFigures are for the page.
func economyFigures(s *economy.System) []figure {
	if s.Trading() == nil {
		return nil
	}
	var n trading.Count
	for _, one := range s.Trading().Counts() {
		n.Started += one.Started
		n.Success += one.Success
		n.Failed += one.Failed
	}
	all := []figure{{"purchases", int64(n.Started)}, {"completed", int64(n.Success)}, {"faulted", int64(n.Failed)}}
	if s.Identity() != nil {
		all = append(all, figure{"registered", int64(s.Identity().Stats().Registered)})
	}
	return all
}

// alone leaves only what one service of Play Economy needs of the configuration.
func (l *loaded) alone() {
	c := &l.Config
	if c.Economy.Only == "" {
		return
	}
	c.Notify.Enabled, c.Catalog.Enabled, c.Relay.Enabled, c.Gateway.Enabled, c.Page, c.Demo.Enabled = false, false, false, false, false, false
	given := slices.ContainsFunc(l.set.Keys(), func(k settings.Key) bool { return k.Path == "listen" && k.Source != "default" })
	if port := economy.Ports[c.Economy.Only]; port != 0 && !given {
		c.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
}
