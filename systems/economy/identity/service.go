package identity

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/web"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Service is the running service. It is safe for concurrent use.
type Service struct {
	config    Config
	store     *store.Store
	box       *box.Box
	keys      *keys
	passwords *passwords
	rest      *web.Service
	provider  *provider
	counts    counts

	stop context.CancelFunc // of keep
	work sync.WaitGroup
}

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns those of the service's database.
func migrations() fs.FS {
	own, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return box.Migrations(own)
}

// Open opens the state of the service, makes signing key and administrator's account where they are missing, and begins to
// listen. It blocks for the database. Close the service before the bus.
func Open(ctx context.Context, c Config) (*Service, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("identity: open: %w", err)
	}
	s := &Service{config: c}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("identity: open: %w", err)
	}
	return s, nil
}

func (s *Service) open(ctx context.Context) (err error) {
	if s.passwords, err = newPasswords(s.config.PasswordCost); err != nil {
		return err
	}
	if s.store, err = store.Open(ctx, s.config.Database, migrations()); err != nil {
		return err
	}
	bc := s.config.Box
	bc.Store, bc.Bus = s.store, s.config.Bus
	if s.box, err = box.Open(ctx, bc); err != nil {
		return err
	}
	if s.foreign() {
		if _, err := s.store.Exec(ctx, "DELETE FROM setting WHERE name = 'issuer'"); err != nil {
			return err
		}
		s.restRoutes(s.config.Verify)
		s.foreignRoutes()
	} else {
		if err := s.openProvider(ctx); err != nil {
			return err
		}
		s.restRoutes(s.Verifier(Audience))
	}
	h := &box.Handlers{}
	box.OnCommand(h, s.debit)
	box.OnCommand(h, s.refund)
	if err := s.box.Consume(contracts.IdentityQueue, h); err != nil {
		return err
	}
	if s.foreign() {
		return nil
	}
	var keeping context.Context
	keeping, s.stop = context.WithCancel(context.Background())
	s.work.Go(func() { s.keep(keeping) })
	return nil
}

// openProvider makes the service an OpenID provider, with what it needs that is not there.
func (s *Service) openProvider(ctx context.Context) (err error) {
	s.keys = &keys{store: s.store, issuer: s.config.Issuer, lifetime: s.config.KeyLifetime}
	if err := s.keys.rotate(ctx, s.box.Now()); err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	if _, err := s.store.Exec(ctx, "INSERT INTO setting (name, value) VALUES ('issuer', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		s.config.Issuer); err != nil {
		return err
	}
	s.provider, err = newProvider(s)
	return err
}

// keep changes the signing key in time and removes what has expired.
func (s *Service) keep(ctx context.Context) {
	t := time.NewTicker(10 * time.Minute)
	defer t.Stop()
	for {
		if err := s.provider.sweep(ctx); err != nil && ctx.Err() == nil {
			s.config.Logger.Warn("identity: remove what has expired", "error", err)
		}
		if err := s.keys.rotate(ctx, s.box.Now()); err != nil && ctx.Err() == nil {
			s.config.Logger.Warn("identity: change the signing key", "error", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Close stops the service and closes its database.
func (s *Service) Close() error {
	if s.stop != nil {
		s.stop()
	}
	s.work.Wait()
	if s.box != nil {
		s.box.Close()
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

// Issuer returns the claim "iss" of the tokens.
func (s *Service) Issuer() string { return s.config.Issuer }

// Box returns outbox and inbox of the service, for its counts.
func (s *Service) Box() *box.Box { return s.box }

// Mount serves everything behind the PathBase of the configuration: the endpoints of OpenID Connect, the pages, /register, /users and
// below, and /health. It fails if the allowed origins make no sense.
func (s *Service) Mount(mux interface{ Handle(string, http.Handler) }) error {
	own := http.NewServeMux()
	if !s.foreign() {
		s.provider.routes(own)
	}
	own.Handle("/", s.rest)
	cors, err := auth.CORS(auth.CORSOptions{Origins: s.config.AllowedOrigins, NoCredentials: true, Methods: []string{http.MethodPut}})
	if err != nil {
		return fmt.Errorf("identity: allowed origins: %w", err)
	}
	base := s.config.PathBase
	mux.Handle(base+"/", http.StripPrefix(base, cors(own)))
	return nil
}
