package relay

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// System is a running relay. It is safe for concurrent use.
type System struct {
	config  Config
	log     *slog.Logger
	store   *store.Store
	hub     *hubbub.Hub
	push    *pusher
	index   *index
	ledger  *ledger
	nodes   *nodes // nil without a backplane
	keep    *keeper
	courier *courier
	rest    http.Handler
	found   []target // of deliver

	queue    *ticket.Queue // nil without tickets
	receiver *receiver     // nil without tickets

	// own hears of every event on the node where it is triggered, before anybody else, and reports whether this server has
	// subscribed to it itself. nil: nobody listens.
	own func(ctx context.Context, guid string) (bool, error)

	count struct {
		events, unheard, delivered, refused, pushes, dropped, posted, lost atomic.Uint64
	}

	ctx    context.Context // of the background work
	stop   context.CancelFunc
	work   sync.WaitGroup
	closed sync.Once
}

// Open opens the state of a relay, brings its schema up to date and starts its background work. It blocks for the database.
// Close the system when done.
func Open(ctx context.Context, c Config) (*System, error) {
	c.setDefaults()
	s := &System{config: c, log: c.Logger, index: newIndex()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("relay: open: %w", err)
	}
	return s, nil
}

func (s *System) open(ctx context.Context) error {
	migrations, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	if s.store, err = store.Open(ctx, s.config.Database, migrations); err != nil {
		return err
	}
	if s.config.Retention.Window > 0 {
		if s.keep, err = newKeeper(ctx, s); err != nil {
			return err
		}
	}
	s.newHub()
	s.newPushHub()
	s.courier = newCourier(s)
	s.ledger = newLedger(s)
	if b := s.config.Hub.Backplane; b != nil {
		if s.nodes, err = newNodes(ctx, s, b); err != nil {
			return fmt.Errorf("join the other nodes: %w", err)
		}
		s.work.Go(s.nodes.run)
	}
	if err := s.openTickets(ctx); err != nil {
		return err
	}
	s.newREST()
	s.work.Go(s.ledger.run)
	s.work.Go(s.courier.run)
	s.work.Go(s.clean)
	if s.keep != nil {
		s.work.Go(s.keep.run)
	}
	return nil
}

// Close ends the background work and closes the database. Shut the hubs down first. Triggers that still wait fail. Events that
// webhooks and listeners have not got stay stored.
func (s *System) Close() error {
	var err error
	s.closed.Do(func() {
		err = s.closeTickets()
		s.stop()
		if s.nodes != nil {
			s.nodes.close()
		}
		if s.push != nil {
			s.push.close()
		}
		s.work.Wait()
		if s.keep != nil {
			err = errors.Join(err, s.keep.close())
		}
		if s.store != nil {
			err = errors.Join(err, s.store.Close())
		}
	})
	if err != nil {
		return fmt.Errorf("relay: close: %w", err)
	}
	return nil
}

// Ready reports whether the system can serve: whether its databases answer.
func (s *System) Ready(ctx context.Context) error {
	err := s.store.Ping(ctx)
	if s.queue != nil {
		err = errors.Join(err, s.queue.Ready(ctx))
	}
	return err
}

// Hubs returns the hubs, for counters and shutdown: the event hub, then the push hub.
func (s *System) Hubs() []*hubbub.Hub { return []*hubbub.Hub{s.hub, s.push.hub} }

// Handler returns the REST endpoints, under /realtime. It authenticates by itself, with bearer tokens from the header alone.
func (s *System) Handler() http.Handler { return s.rest }

// Mount makes the hubs and the REST endpoints reachable at their paths. For paths without regard to case wrap the mux in
// [System.FoldCase].
//
// With [Retention] a listener may connect with the query value after beside its query value listener: then it says itself how
// far it has got. ReceiveEvent has a third argument for it, the id of the event, a text; after is the id of the last event that
// it has, or empty if it has none, and it is sent what was kept for it after that. A lost answer, a crash of the listener or of
// this server then costs nothing, and nothing comes twice to a listener that keeps the id together with what it made of the
// event.
func (s *System) Mount(mux interface{ Handle(string, http.Handler) }) {
	core, old := s.config.Core, s.config.Classic
	if s.config.Verify != nil {
		identify := auth.Bearer(s.config.Verify, &auth.Options{QueryToken: true, Logger: s.log})
		core.Auth, old.Auth = identify, identify
	}
	signalr.MapHub(mux, s.config.CorePath, s.hub, &core)
	signalr.MapHub(mux, s.config.PushPath, s.push.hub, &core)
	classic.MapHubs(mux, s.config.ClassicPath, &old, s.hub, s.push.hub)
	for _, path := range s.restPaths() {
		mux.Handle(path, s.rest)
	}
}

// Paths returns what [System.Mount] mounts, without the objects; everything below the address of a hub belongs to it, and a path
// that ends in a slash stands for all below it.
func (s *System) Paths() []string {
	rest := slices.DeleteFunc(s.restPaths(), func(path string) bool { return path == objectsPath })
	return append([]string{s.config.CorePath, s.config.ClassicPath, s.config.PushPath}, rest...)
}

// objectsPath is where the ids of objects are in paths.
const objectsPath = "/realtime/objects/"

// FoldCase wraps the mux of [System.Mount] so that everything mounted there is found without regard to case. The ids of objects
// keep theirs.
func (s *System) FoldCase(mux http.Handler) http.Handler {
	folded := signalr.FoldCase(mux, s.Paths()...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := len(objectsPath)
		if p := r.URL.Path; len(p) >= n && strings.EqualFold(p[:n], objectsPath) && p[:n] != objectsPath {
			u := *r.URL
			u.Path = objectsPath + p[n:]
			if raw := u.RawPath; len(raw) >= n && strings.EqualFold(raw[:n], objectsPath) {
				u.RawPath = objectsPath + raw[n:]
			}
			own := *r
			own.URL = &u
			r = &own
		}
		folded.ServeHTTP(w, r)
	})
}

func (s *System) now() time.Time { return s.config.Clock().UTC().Truncate(time.Millisecond) }

func millis(t time.Time) int64 { return t.UnixMilli() }

// clean removes what has expired, once a minute or four times within the time that events are kept.
func (s *System) clean() {
	t := time.NewTicker(s.sweepRound())
	defer t.Stop()
	for {
		err := s.courier.trim(s.ctx)
		if s.keep != nil {
			err = errors.Join(err, s.keep.sweep(s.ctx))
		}
		if err != nil && s.ctx.Err() == nil {
			s.log.Error("relay: remove what has expired", "error", err)
		}
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return
		}
	}
}
