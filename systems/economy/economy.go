// Package economy is Play Economy: a catalog of items, an inventory of who has how many, an identity service with the players' gil,
// and a trading service that sells, all of them talking over a bus alone, in one process or each in its own.
package economy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/economy/inventory"
	"github.com/hubbub-go/hubbub/systems/economy/portal"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
)

// PortalPath is where the portal is.
const PortalPath = "/economy/"

// tokenSkew is how long a token is good after its end where the identity service is another process. With the second that a
// connection's end is rounded to, that is 5 s.
const tokenSkew = 4 * time.Second

// System is Play Economy, or one service of it, as it runs. It is safe for concurrent use.
type System struct {
	config    Config
	bus       *bus.Bus
	catalog   *catalog.Service
	inventory *inventory.Service
	identity  *identity.Service
	trading   *trading.Service
}

// Open opens the bus and the services. It blocks for databases and bus, or until ctx ends. Shut the hubs down before Close.
func Open(ctx context.Context, c Config) (*System, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("economy: open: %w", err)
	}
	s := &System{config: c}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("economy: open: %w", err)
	}
	return s, nil
}

func (s *System) open(ctx context.Context) (err error) {
	if s.bus, err = bus.Open(ctx, s.config.Bus, contracts.Queues()...); err != nil {
		return err
	}
	// Identity first: the others check tokens with its keys.
	for _, one := range []struct {
		name string
		open func(context.Context) error
	}{{Identity, s.openIdentity}, {Catalog, s.openCatalog}, {Inventory, s.openInventory}, {Trading, s.openTrading}} {
		if s.config.Only != "" && s.config.Only != one.name {
			continue
		}
		if err := one.open(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *System) openIdentity(ctx context.Context) (err error) {
	c := s.config.Identity
	c.Database, c.Bus, c.Logger = s.config.database(Identity), s.bus, s.config.Logger
	c.Issuer, c.PathBase = s.config.Issuer, s.config.base(Identity)
	if s.config.Foreign {
		if c.Verify, err = s.verifier(identity.Audience); err != nil {
			return err
		}
	}
	if c.Clients == nil {
		c.Clients = s.config.clients()
	}
	s.identity, err = identity.Open(ctx, c)
	return err
}

func (s *System) openCatalog(ctx context.Context) error {
	verify, err := s.verifier(catalog.Audience)
	if err != nil {
		return err
	}
	s.catalog, err = catalog.Open(ctx, catalog.Config{
		Database: s.config.database(Catalog), Bus: s.bus, Verify: verify, PathBase: s.config.base(Catalog), Logger: s.config.Logger,
	})
	return err
}

func (s *System) openInventory(ctx context.Context) error {
	verify, err := s.verifier(inventory.Audience)
	if err != nil {
		return err
	}
	s.inventory, err = inventory.Open(ctx, inventory.Config{
		Database: s.config.database(Inventory), Bus: s.bus, Verify: verify, PathBase: s.config.base(Inventory), Logger: s.config.Logger,
	})
	return err
}

func (s *System) openTrading(ctx context.Context) error {
	verify, err := s.verifier(trading.Audience)
	if err != nil {
		return err
	}
	c := s.config.Trading
	c.Database, c.Bus, c.Logger = s.config.database(Trading), s.bus, s.config.Logger
	c.Verify, c.PathBase = verify, s.config.base(Trading)
	s.trading, err = trading.Open(ctx, c)
	return err
}

// verifier decides which access tokens are good for an audience.
func (s *System) verifier(audience string) (auth.Verifier, error) {
	if s.identity != nil && !s.config.Foreign {
		return s.identity.Verifier(audience), nil
	}
	return auth.JWT(auth.JWTOptions{
		Issuer: s.config.Issuer, Audience: []string{audience}, ClockSkew: tokenSkew, UserClaims: []string{"sub"}, Logger: s.config.Logger,
	})
}

// Close stops the services and then the bus. What is under way goes on with the next Open.
func (s *System) Close() error {
	var all []error
	if s.trading != nil {
		all = append(all, s.trading.Close())
	}
	if s.inventory != nil {
		all = append(all, s.inventory.Close())
	}
	if s.catalog != nil {
		all = append(all, s.catalog.Close())
	}
	if s.identity != nil {
		all = append(all, s.identity.Close())
	}
	if s.bus != nil {
		all = append(all, s.bus.Close())
	}
	return errors.Join(all...)
}

// Ready reports whether all services can serve: whether their databases and the bus answer. It blocks for them, or until ctx
// ends.
func (s *System) Ready(ctx context.Context) error {
	checks := []func(context.Context) error{s.bus.Ready}
	if s.catalog != nil {
		checks = append(checks, s.catalog.Ready)
	}
	if s.inventory != nil {
		checks = append(checks, s.inventory.Ready)
	}
	if s.identity != nil {
		checks = append(checks, s.identity.Ready)
	}
	if s.trading != nil {
		checks = append(checks, s.trading.Ready)
	}
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { errs[i] = check(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Mount serves the services, and the portal if they are all there, at their paths. For paths without regard to case wrap the mux
// in [signalr.FoldCase] with [System.Paths].
func (s *System) Mount(mux interface{ Handle(string, http.Handler) }) error {
	if s.catalog != nil {
		s.catalog.Mount(mux)
	}
	if s.inventory != nil {
		s.inventory.Mount(mux)
	}
	if s.trading != nil {
		s.trading.Mount(mux, s.config.Core)
	}
	if s.identity != nil {
		if err := s.identity.Mount(mux); err != nil {
			return err
		}
	}
	if s.config.NoPortal || s.config.Only != "" {
		return nil
	}
	o := s.config.Portal
	o.Issuer, o.Addresses = s.config.Issuer, s.config.portals()
	page, err := portal.New(o)
	if err != nil {
		return err
	}
	mux.Handle(PortalPath, http.StripPrefix(PortalPath[:len(PortalPath)-1], page))
	return nil
}

// Paths are those that the system serves, with everything below them: "" for one service alone, which has the whole server.
func (s *System) Paths() []string {
	if s.config.Only != "" {
		return []string{""}
	}
	return []string{base(Trading), base(Catalog), base(Inventory), base(Identity), PortalPath[:len(PortalPath)-1]}
}

// HubPath is the address of the hub, "" if the trading service is elsewhere.
func (s *System) HubPath() string {
	if s.trading == nil {
		return ""
	}
	return s.config.base(Trading) + trading.HubPath
}

// Hubs returns the hub of the trading service, if it is here, for counters and shutdown.
func (s *System) Hubs() []*hubbub.Hub {
	if s.trading == nil {
		return nil
	}
	return []*hubbub.Hub{s.trading.Hub()}
}

// Bus returns what the services talk over.
func (s *System) Bus() *bus.Bus { return s.bus }

// Catalog returns that service, nil if it is elsewhere.
func (s *System) Catalog() *catalog.Service { return s.catalog }

// Inventory returns that service, nil if it is elsewhere.
func (s *System) Inventory() *inventory.Service { return s.inventory }

// Identity returns that service, nil if it is elsewhere.
func (s *System) Identity() *identity.Service { return s.identity }

// Trading returns that service, nil if it is elsewhere.
func (s *System) Trading() *trading.Service { return s.trading }

// IssueToken returns an access token of the account with an e-mail for all services, as [identity.IssueToken] does. database is
// that of the system's configuration.
func IssueToken(ctx context.Context, database store.Config, email string, ttl time.Duration) (string, error) {
	c := Config{Database: database}
	return identity.IssueToken(ctx, c.database(Identity), email, ttl)
}
