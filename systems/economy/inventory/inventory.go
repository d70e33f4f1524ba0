// Package inventory is the service of Play Economy that knows who has how many of each item. It reserves items for a purchase and hands
// them out when it is paid, or takes everything back.
package inventory

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/web"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Audience is what access tokens for the service are for.
const Audience = "Inventory"

// Config of the service. Zero fields have the default of their comment.
type Config struct {
	// Database is the service's own. Its Name is "inventory" by default.
	Database store.Config
	// Bus with the queues of [contracts.Queues]. Needed.
	Bus *bus.Bus
	// Verify decides which access tokens are good, those for [Audience]. Needed.
	Verify auth.Verifier
	// PathBase is what stands before the paths of the service. Default "".
	PathBase string
	// Box has the options of outbox and inbox; its Store and Bus are those of the service.
	Box box.Config
	// Logger for what goes wrong. Default slog.Default().
	Logger *slog.Logger
}

// Service is the running service. It is safe for concurrent use.
type Service struct {
	config Config
	store  *store.Store
	box    *box.Box
	rest   *web.Service
	counts counts
}

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Open opens the state of the service and begins to listen. It blocks for the database. Close the service before the
// bus.
func Open(ctx context.Context, c Config) (*Service, error) {
	if c.Database.Name == "" {
		c.Database.Name = "inventory"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	own, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	s := &Service{config: c}
	if s.store, err = store.Open(ctx, c.Database, box.Migrations(own)); err != nil {
		return nil, fmt.Errorf("inventory: open: %w", err)
	}
	bc := c.Box
	bc.Store, bc.Bus = s.store, c.Bus
	if bc.Logger == nil {
		bc.Logger = c.Logger
	}
	if s.box, err = box.Open(ctx, bc); err != nil {
		s.store.Close()
		return nil, fmt.Errorf("inventory: open: %w", err)
	}
	s.routes()
	h := &box.Handlers{}
	s.listen(h)
	if err := s.box.Consume(contracts.InventoryQueue, h); err != nil {
		s.Close()
		return nil, fmt.Errorf("inventory: open: %w", err)
	}
	return s, nil
}

// Close stops the service and closes its database.
func (s *Service) Close() error {
	s.box.Close()
	return s.store.Close()
}

// Ready reports whether the service can serve: whether its database and the bus answer. It blocks for them.
func (s *Service) Ready(ctx context.Context) error {
	return errors.Join(s.store.Ping(ctx), s.config.Bus.Ready(ctx))
}

// Mount serves the REST endpoints at their paths, /items and below, and /health, behind the PathBase of the configuration.
func (s *Service) Mount(mux interface{ Handle(string, http.Handler) }) {
	s.rest.Mount(mux, s.config.PathBase)
}

// Box returns outbox and inbox of the service, for its counts.
func (s *Service) Box() *box.Box { return s.box }
