package economy

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/economy/portal"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Names of the services.
const (
	Catalog   = "catalog"
	Inventory = "inventory"
	Identity  = "identity"
	Trading   = "trading"
)

// Names are those of all services.
func Names() []string { return []string{Catalog, Inventory, Identity, Trading} }

// LocalIssuer is the issuer of services that run alone, each at the port of the original: the identity service at its own.
const LocalIssuer = "http://localhost:5002"

// Ports are where the original's services listen.
var Ports = map[string]int{Catalog: 5000, Identity: 5002, Inventory: 5004, Trading: 5006}

// Config of the system. Zero fields have the default of their comment.
type Config struct {
	// URL is the address of the server as browsers see it, without a path, such as https://play.example.com. Needed, unless
	// Issuer is set.
	URL string
	// Only is the one service to run: [Catalog], [Inventory], [Identity] or [Trading], at the root of the server. It needs a bus
	// that the others reach too. Default: all, below /catalog-svc, /inventory-svc, /identity-svc and /trading-svc, with the
	// portal at /economy/.
	Only string
	// Database of the services: each has its own in it, named economy_catalog and so on. Name is ignored. Its GroupTime is 3 ms by
	// default.
	Database store.Config
	// Bus that the services talk over. Its Name is "economy", its Dir that of the database.
	Bus bus.Config
	// Issuer of access tokens, the claim "iss", without a slash at its end. Default: URL with /identity-svc behind it, or
	// [LocalIssuer] for one service alone.
	Issuer string
	// Foreign says that Issuer is an OpenID provider of somebody else: the services take its tokens, and the identity service
	// keeps only the accounts, with the claim "sub", a UUID, as their id.
	Foreign bool
	// Frontends are the addresses of portals that people may sign in from, each without a slash at its end, beside the
	// embedded one. Default http://localhost:3000, that of the original's; empty and not nil: none.
	Frontends []string
	// NoPortal leaves the embedded portal out.
	NoPortal bool
	// Portal has options of the embedded portal: its Client and Scopes at a foreign issuer. Its addresses are set by the system.
	Portal portal.Config
	// Identity has options of that service. What the system itself sets in it is ignored.
	Identity identity.Config
	// Trading has options of that service. What the system itself sets in it is ignored.
	Trading trading.Config
	// Core are the options of the hub's address. Its Auth is set.
	Core *signalr.Options
	// Logger for what goes wrong. Default slog.Default().
	Logger *slog.Logger
}

func (c *Config) setDefaults() error {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Only != "" && !slices.Contains(Names(), c.Only) {
		return fmt.Errorf("only service %q, want one of %s", c.Only, strings.Join(Names(), ", "))
	}
	if c.Only != "" && c.Bus.URL == "" {
		return fmt.Errorf("only service %s without the address of a broker, want that of a NATS server which the other services reach too", c.Only)
	}
	if c.Foreign && c.Issuer == "" {
		return errors.New("foreign issuer without its address, want one")
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" {
			return fmt.Errorf("address of the server %q, want http://host or https://host without a path", c.URL)
		}
	}
	switch {
	case c.Issuer != "":
	case c.Only != "":
		c.Issuer = LocalIssuer
	case c.URL == "":
		return errors.New("no address of the server, want one that browsers reach it at")
	default:
		c.Issuer = c.URL + base(Identity)
	}
	if c.Frontends == nil {
		c.Frontends = []string{"http://localhost:3000"}
	}
	if c.Bus.Name == "" {
		c.Bus.Name = contracts.BusName
	}
	if c.Bus.Dir == "" {
		c.Bus.Dir = c.Database.Dir
	}
	if c.Bus.Logger == nil {
		c.Bus.Logger = c.Logger
	}
	if c.Database.Logger == nil {
		c.Database.Logger = c.Logger
	}
	if c.Database.BusyTimeout == 0 {
		c.Database.BusyTimeout = 10 * time.Second
	}
	if c.Database.GroupTime == 0 {
		c.Database.GroupTime = 3 * time.Millisecond
	}
	return nil
}

// base is what stands before the paths of a service in a server that has all of them.
func base(service string) string { return "/" + service + "-svc" }

// base is what stands before the paths of a service.
func (c *Config) base(service string) string {
	if c.Only != "" {
		return ""
	}
	return base(service)
}

// database is that of a service.
func (c *Config) database(service string) store.Config {
	d := c.Database
	d.Name = "economy_" + service
	return d
}

// servers are the addresses of the server. One that listens for this machine alone is found by both of the machine's names.
func (c *Config) servers() []string {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil
	}
	all := []string{c.URL}
	if other := map[string]string{"localhost": "127.0.0.1", "127.0.0.1": "localhost"}[u.Hostname()]; other != "" {
		u.Host = strings.TrimSuffix(net.JoinHostPort(other, u.Port()), ":")
		all = append(all, u.String())
	}
	return all
}

// portals are the addresses of the embedded portal.
func (c *Config) portals() []string {
	all := []string{}
	for _, s := range c.servers() {
		all = append(all, s+PortalPath)
	}
	return all
}

// clients may have people sign in at the identity service.
func (c *Config) clients() []identity.Client {
	all := slices.Clone(c.Frontends)
	if c.Only == "" {
		for _, s := range c.servers() {
			all = append(all, s, s+strings.TrimSuffix(PortalPath, "/"))
		}
	}
	return []identity.Client{identity.Frontend(all...), identity.Postman()}
}
