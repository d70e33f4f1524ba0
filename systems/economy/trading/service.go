// Package trading is the service of Play Economy that sells: it takes purchases, brings each of them through the other services by a
// state machine, and tells the buyer how it ended.
//
//	POST /purchase ──▶ state + outbox ──▶ inventory reserves ──▶ identity debits ──▶ inventory hands out ──▶ state + push ──▶ buyer
//
// The whole life of a purchase is in machine.go, and drawn in machine.mmd.
package trading

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
	"github.com/hubbub-go/hubbub/systems/economy/web"
	"github.com/hubbub-go/hubbub/systems/store"
)

// HubPath is where the hub is, behind the PathBase.
const HubPath = "/messagehub"

// How many purchases are stored at once. A crowd must not be in its own way, and must leave connections, on PostgreSQL, and a place in
// each shared commit, on SQLite, to those who bring purchases to their end.
const (
	mostStoring         = 4
	mostStoringTogether = 32
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Service is the running service. It is safe for concurrent use.
type Service struct {
	config    Config
	store     *store.Store
	box       *box.Box
	machine   *saga.Machine[Purchase]
	requested saga.Event[Purchase, contracts.PurchaseRequested]
	hub       *hubbub.Hub
	rest      *web.Service
	teller    *teller
	storing   chan struct{}  // purchases that are being stored
	nodes     *bus.Broadcast // the backplane of the hub, if it has no other one
	counts    counts

	stop context.CancelFunc
	work sync.WaitGroup
}

// Open opens the state of the service and begins to work on purchases, those of an earlier process too. It blocks for the
// database. Close the service before the bus, and shut its hub down before it.
func Open(ctx context.Context, c Config) (*Service, error) {
	c.setDefaults()
	s := &Service{config: c}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("trading: open: %w", err)
	}
	return s, nil
}

func (s *Service) open(ctx context.Context) error {
	own, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	if s.store, err = store.Open(ctx, s.config.Database, box.Migrations(saga.Migrations(), own)); err != nil {
		return err
	}
	s.storing = make(chan struct{}, mostStoring)
	if s.store.Database() == "sqlite" {
		s.storing = make(chan struct{}, mostStoringTogether)
	}
	bc := s.config.Box
	bc.Store, bc.Bus = s.store, s.config.Bus
	if s.box, err = box.Open(ctx, bc); err != nil {
		return err
	}
	s.machine = s.newMachine()
	s.machine.Resend = s.config.Resend
	if s.config.Hub.Backplane == nil && s.config.Bus.External() {
		s.nodes = s.config.Bus.Broadcast()
		s.config.Hub.Backplane = s.nodes
	}
	s.newHub()
	s.routes()
	if s.teller, err = newTeller(ctx, s); err != nil {
		return err
	}
	h := &box.Handlers{}
	s.listen(h)
	s.machine.Register(h)
	if err := s.box.Consume(contracts.TradingQueue, h); err != nil {
		return err
	}
	work, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.work.Go(func() { s.machine.Run(work, s.box) })
	s.work.Go(func() { s.teller.run(work) })
	return nil
}

// Close stops the service and closes its database. Purchases that are under way go on with the next Open.
func (s *Service) Close() error {
	if s.box != nil {
		s.box.Close()
	}
	if s.stop != nil {
		s.stop()
	}
	if s.teller != nil {
		s.teller.cancel()
	}
	s.work.Wait()
	if s.nodes != nil {
		s.nodes.Close()
	}
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// Ready reports whether the service can serve: whether its database and the bus answer. It blocks for them.
func (s *Service) Ready(ctx context.Context) error {
	return errors.Join(s.store.Ping(ctx), s.config.Bus.Ready(ctx))
}

// Hub returns the hub, for counters and shutdown.
func (s *Service) Hub() *hubbub.Hub { return s.hub }

// Box returns outbox and inbox of the service, for its counts.
func (s *Service) Box() *box.Box { return s.box }

// Machine returns the state machine of purchases, for its counts.
func (s *Service) Machine() *saga.Machine[Purchase] { return s.machine }

// Mount serves the hub at [HubPath] and the REST endpoints at their paths, /store, /purchase and /health, behind the PathBase of the
// configuration. Options may be nil. Without Auth in them the hub takes the access tokens of the service, from the header or the
// query. For paths without regard to case wrap the mux in [signalr.FoldCase].
func (s *Service) Mount(mux interface{ Handle(string, http.Handler) }, o *signalr.Options) {
	var own signalr.Options
	if o != nil {
		own = *o
	}
	if own.Auth == nil {
		own.Auth = auth.Bearer(web.Canonical(s.config.Verify), &auth.Options{QueryToken: true, Logger: s.config.Logger})
	}
	signalr.MapHub(mux, s.config.PathBase+HubPath, s.hub, &own)
	s.rest.Mount(mux, s.config.PathBase)
}
