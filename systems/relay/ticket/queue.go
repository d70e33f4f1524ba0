package ticket

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Queue keeps tickets and runs them. It is safe for concurrent use.
type Queue struct {
	config Config
	log    *slog.Logger
	store  *store.Store
	models *viewmodel.Set
	node   string // this process
	sqlite bool
	own    bool          // objects are in the database
	wake   chan struct{} // there may be something to take
	counts counters

	ctx    context.Context // of running tickets
	cancel context.CancelFunc
	stop   chan struct{} // closed by Close: nothing is taken any more
	work   sync.WaitGroup
	start  sync.Once
	closed sync.Once
}

// Open opens the database, brings its schema up to date, and compiles the view models. Nothing runs before [Queue.Start]. It
// blocks for the database. Close the queue when done.
func Open(ctx context.Context, c Config) (*Queue, error) {
	c.setDefaults()
	q := &Queue{config: c, log: c.Logger, node: rand.Text(), wake: make(chan struct{}, 1), stop: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	if err := q.open(ctx); err != nil {
		q.Close()
		return nil, fmt.Errorf("ticket: open: %w", err)
	}
	return q, nil
}

func (q *Queue) open(ctx context.Context) error {
	var err error
	if q.models, err = viewmodel.New(q.config.ViewModels); err != nil {
		return err
	}
	migrations, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	if q.store, err = store.Open(ctx, q.config.Database, migrations); err != nil {
		return err
	}
	q.sqlite = q.store.Database() == "sqlite"
	_, q.own = q.config.Objects.(table)
	if q.sqlite { // the file belongs to one process: who had tickets is dead
		n, err := q.recover(ctx, "state = 2")
		if err != nil {
			return err
		}
		if n > 0 {
			q.log.WarnContext(ctx, "ticket: runs were cut off by the end of the process, they run again", "tickets", n)
		}
	}
	return nil
}

// Start begins to run tickets and view models by period. Further calls do nothing.
func (q *Queue) Start() {
	q.start.Do(func() {
		select {
		case <-q.stop:
			return
		default:
		}
		q.work.Go(newDispatcher(q).run)
		q.work.Go(q.clean)
		if len(q.models.Periodic()) > 0 {
			q.work.Go(q.periods)
		}
	})
}

// Close takes no more tickets, lets running ones finish for the time of Config.Drain, then ends their contexts, which makes them
// ready again, and closes the database.
func (q *Queue) Close() error {
	var err error
	q.closed.Do(func() {
		q.start.Do(func() {}) // not any more
		close(q.stop)
		if q.config.Drain > 0 {
			t := time.AfterFunc(q.config.Drain, q.cancel)
			defer t.Stop()
		} else {
			q.cancel()
		}
		q.work.Wait()
		q.cancel()
		if q.models != nil {
			q.models.Close()
		}
		if q.store != nil {
			err = q.store.Close()
		}
	})
	if err != nil {
		return fmt.Errorf("ticket: close: %w", err)
	}
	return nil
}

// Ready reports whether the queue can serve: whether its database answers.
func (q *Queue) Ready(ctx context.Context) error { return q.store.Ping(ctx) }

// ViewModels returns the compiled view models.
func (q *Queue) ViewModels() *viewmodel.Set { return q.models }

func (q *Queue) now() time.Time { return q.config.Clock().UTC().Truncate(time.Millisecond) }

// nudge has the dispatcher look for tickets.
func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// background is the context of statements that must not be cut by the end of the queue.
func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 10*time.Second)
}

// clean removes the receipts of done tickets whose time is over.
func (q *Queue) clean() {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		ctx, cancel := background()
		_, err := q.store.Exec(ctx, "DELETE FROM ticket WHERE state = 3 AND delete_at <= ?", millis(q.now()))
		cancel()
		if err != nil {
			q.log.Error("ticket: remove receipts", "error", err)
		}
		select {
		case <-t.C:
		case <-q.stop:
			return
		}
	}
}
