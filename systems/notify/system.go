package notify

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// HubPath is where [System.Mount] puts the hub.
const HubPath = "/signalr/v1/mainHub"

// System is a running notification system. It is safe for concurrent use.
type System struct {
	config   Config
	log      *slog.Logger
	store    *store.Store
	hub      *hubbub.Hub
	names    *names
	accounts *accounts
	logins   attempts
	rest     http.Handler

	index   *index   // connections of this node
	hooks   *index   // webhooks
	order   order    // keeps notifications about one resource in order
	keep    *keeper  // nil without retention
	courier *courier // calls webhooks
	node    string
	licence licenceState
	loading sync.Mutex // of webhooks

	mu      sync.Mutex
	clients map[string]*client // connections of this node

	ctx    context.Context // of the background work
	stop   context.CancelFunc
	work   sync.WaitGroup
	cancel func() // of the backplane
	closed sync.Once
}

// Open opens the state of a system, brings its schema up to date and starts its background work: calling webhooks, ending
// what has expired. It blocks for the database. Close the system when done.
func Open(ctx context.Context, c Config) (*System, error) {
	c.setDefaults()
	s := &System{config: c, log: c.Logger, node: newID(), clients: make(map[string]*client)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("notify: open: %w", err)
	}
	return s, nil
}

func (s *System) open(ctx context.Context) error {
	c := &s.config
	var err error
	if s.accounts, err = newAccounts(c.Users, c.Devices); err != nil {
		return err
	}
	s.logins.most = c.Limits.FailedLogins
	s.names = &names{fold: c.FoldResources, limit: c.Limits}
	for _, name := range c.Resources {
		if s.names.list == nil {
			s.names.list = make(map[string]bool)
		}
		s.names.list[s.names.normal(name)] = true
	}
	rights := make(map[string]string, len(c.Rights))
	for name, right := range c.Rights {
		rights[s.names.normal(name)] = right
	}
	s.index, s.hooks = newIndex(rights), newIndex(rights)
	migrations, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	if s.store, err = store.Open(ctx, c.Database, migrations); err != nil {
		return err
	}
	s.newHub()
	s.newREST()
	if err := s.loadLicence(ctx); err != nil {
		return err
	}
	if c.Retention.Window > 0 {
		if s.keep, err = newKeeper(ctx, s); err != nil {
			return err
		}
	}
	if err := s.loadWebhooks(ctx); err != nil {
		return err
	}
	if b := c.Hub.Backplane; b != nil {
		if s.cancel, err = b.Subscribe(ctx, nodeChannel, s.hear); err != nil {
			return fmt.Errorf("subscribe to other nodes: %w", err)
		}
	}
	s.courier = newCourier(s)
	s.work.Go(s.courier.run)
	s.work.Go(s.clean)
	return nil
}

// Close ends the background work and closes the database. Shut the hub down first. It waits for running calls of webhooks to
// be cut; what they had to deliver stays stored.
func (s *System) Close() error {
	var err error
	s.closed.Do(func() {
		s.stop()
		if s.cancel != nil {
			s.cancel()
		}
		s.licence.stop()
		s.work.Wait()
		if s.store != nil {
			err = s.store.Close()
		}
	})
	if err != nil {
		return fmt.Errorf("notify: close: %w", err)
	}
	return nil
}

// Ready reports whether the system can serve: whether its database answers.
func (s *System) Ready(ctx context.Context) error { return s.store.Ping(ctx) }

// Hub returns the hub, for those who mount it themselves, and for counters and shutdown.
func (s *System) Hub() *hubbub.Hub { return s.hub }

// Handler returns the REST endpoints, under /api. It authenticates by itself, with bearer tokens from the header alone.
func (s *System) Handler() http.Handler { return s.rest }

// Mount makes the hub reachable at [HubPath] and the REST endpoints at their paths. Options may be nil. Without Auth in them
// the hub takes access tokens of [System.Verify], from the header or the query; without Keys it signs with those of the
// system. For paths without regard to case wrap the mux in [signalr.FoldCase] with [System.Paths].
func (s *System) Mount(mux interface{ Handle(string, http.Handler) }, o *signalr.Options) {
	if o == nil {
		o = &signalr.Options{AllowStatefulReconnects: true, EnableAuthenticationRefresh: true}
	}
	own := *o
	if own.Auth == nil {
		own.Auth = auth.Bearer(s.Verify, &auth.Options{QueryToken: true, Logger: s.log})
	}
	if own.Keys == nil {
		own.Keys = s.config.Keys
	}
	signalr.MapHub(mux, HubPath, s.hub, &own)
	for _, path := range restPaths {
		mux.Handle(path, s.rest)
	}
}

// Paths returns what [System.Mount] mounts; a path that ends in a slash stands for all below it.
func (s *System) Paths() []string { return append([]string{HubPath}, restPaths...) }

func (s *System) now() time.Time { return s.config.Clock().UTC().Truncate(time.Millisecond) }

// clean removes what has expired, once a minute.
func (s *System) clean() {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		if err := s.sweep(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Error("notify: remove what has expired", "error", err)
		}
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *System) sweep(ctx context.Context) error {
	now := s.now()
	var all error
	for _, q := range []struct {
		text  string
		older time.Duration
	}{
		{"DELETE FROM session WHERE expires < ?", 24 * time.Hour},
		{"DELETE FROM session WHERE ended <> 0 AND ended < ?", 24 * time.Hour},
		{"DELETE FROM reference WHERE at < ?", s.config.DedupeWindow},
		{"DELETE FROM retained WHERE created < ?", s.config.Retention.Window},
		{"DELETE FROM away WHERE at < ?", s.config.Retention.Window},
	} {
		_, err := s.store.Exec(ctx, q.text, millis(now.Add(-q.older)))
		all = errors.Join(all, err)
	}
	_, err := s.store.Exec(ctx, "DELETE FROM retained WHERE seq <= (SELECT coalesce(max(seq), 0) FROM retained) - ?", s.config.Retention.Most)
	return errors.Join(all, err, s.trimWebhooks(ctx))
}

// attempts counts failed logins by user name, in windows of a minute.
type attempts struct {
	most int

	mu     sync.Mutex
	since  time.Time
	failed map[string]int
}

// mostNames bounds the user names that one window remembers.
const mostNames = 10_000

// allowed reports whether a user name may try. The attempt counts as failed until [attempts.succeed], so that attempts at the
// same time are counted too.
func (a *attempts) allowed(name string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.since) >= time.Minute || len(a.failed) >= mostNames {
		a.since, a.failed = now, make(map[string]int)
	}
	name = strings.ToLower(name)
	if a.failed[name] >= a.most {
		return false
	}
	a.failed[name]++
	return true
}

// succeed takes an attempt back.
func (a *attempts) succeed(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name = strings.ToLower(name); a.failed[name] > 0 {
		a.failed[name]--
	}
}
