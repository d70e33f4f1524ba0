package box

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Config says what a box belongs to. Zero fields have the default of their comment.
type Config struct {
	// Store has the tables of [Migrations]. Needed.
	Store *store.Store
	// Bus that the messages take. Needed.
	Bus *bus.Bus
	// Pauses before a message is tried again after a technical fault; after the last one it is given up. A database that is away is no
	// such fault: messages wait for it. Each process counts by itself. Default 1, 4 and 10 s.
	Pauses []time.Duration
	// Keep is how long the inbox remembers, and so after what time a double is taken for a new message. Default 7 days.
	Keep time.Duration
	// Clock is for tests. Default time.Now.
	Clock func() time.Time
	// Border is for tests that crash: it is called at each border that a crash may fall between, with its name: "written" (state
	// and outbox, before commit), "committed", "published", "removed" (from the outbox); "delivered" (a batch, before anything
	// of it is done), "handled" (before commit), "acknowledged". Default: nothing.
	Border func(name string)
	// Logger hears of faults. Default slog.Default().
	Logger *slog.Logger
}

// Box is the outbox and the inbox of one service in one process. It is safe for concurrent use.
type Box struct {
	config Config
	owner  string
	out    *outbox
	counts counts

	ctx    context.Context // of the pump
	stop   context.CancelFunc
	work   sync.WaitGroup
	mu     sync.Mutex
	eaters []*bus.Consumer
	begun  bool
}

//go:embed migrations/*.sql
var ownMigrations embed.FS

// Migrations returns those of the box together with others of the same database, for [store.Open]. Files of the box have
// numbers below 10, so others begin at 10.
func Migrations(others ...fs.FS) fs.FS {
	own, err := fs.Sub(ownMigrations, "migrations")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return union(append([]fs.FS{own}, others...))
}

// union is several file systems of one folder as one.
type union []fs.FS

// Open opens the file in the first file system that has it.
func (u union) Open(name string) (fs.File, error) {
	for _, f := range u {
		file, err := f.Open(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir lists the files of all, by name.
func (u union) ReadDir(name string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	for _, f := range u {
		entries, err := fs.ReadDir(f, name)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

// Open begins to publish what the outbox has, also what an earlier process has left there. It blocks for the database. Close
// the box before its bus and its store.
func Open(ctx context.Context, c Config) (*Box, error) {
	if c.Pauses == nil {
		c.Pauses = []time.Duration{time.Second, 4 * time.Second, 10 * time.Second}
	}
	if c.Keep == 0 {
		c.Keep = 7 * 24 * time.Hour
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Border == nil {
		c.Border = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	b := &Box{config: c, owner: rand.Text()}
	b.out = newOutbox(b)
	if err := b.takeOver(ctx); err != nil {
		return nil, fmt.Errorf("box: open: %w", err)
	}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.work.Go(b.out.pump)
	b.work.Go(b.out.remove)
	b.work.Go(b.keep)
	return b, nil
}

// Close stops the consumers of the box and the pump. What is in the outbox stays there, for another process of the database or
// the next Open.
func (b *Box) Close() error {
	b.mu.Lock()
	eaters := b.eaters
	b.eaters = nil
	b.mu.Unlock()
	for _, c := range eaters {
		c.Stop()
	}
	b.stop()
	b.work.Wait()
	if b.config.Store.Database() == "sqlite" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := b.config.Store.Exec(ctx, "DELETE FROM outbox_owner WHERE owner = ?", b.owner); err != nil {
		return fmt.Errorf("box: close: %w", err) // others notice by themselves
	}
	return nil
}

// Tx is a transaction of the service's database that can also send messages. It belongs to the function that it was given to
// and to one goroutine.
type Tx struct {
	*store.Tx
	box  *Box
	sent []*bus.Message
	kept *answers // of the command that is being handled
	then []func()
}

// AfterCommit has f run after the commit, before [Box.Tx] returns, and not at all if there is none. What must not be lost in a
// crash does not belong there.
func (t *Tx) AfterCommit(f func()) { t.then = append(t.then, f) }

// Tx runs f in a transaction as [store.Store.Tx] does: f may run several times. What f sent is published after the commit.
func (b *Box) Tx(ctx context.Context, f func(tx *Tx) error) error {
	var own *Tx
	var sent []row
	if err := b.config.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		own, sent = &Tx{Tx: tx, box: b}, nil
		if err := f(own); err != nil {
			return err
		}
		if sent, err = own.write(ctx); err != nil {
			return err
		}
		b.config.Border("written")
		return nil
	}); err != nil {
		if len(sent) > 0 { // perhaps the commit was done nevertheless
			b.out.search()
		}
		return err
	}
	b.config.Border("committed")
	b.out.add(sent)
	for _, f := range own.then {
		f()
	}
	return nil
}

// Now returns the time of the box, as [Box.Now] does.
func (t *Tx) Now() time.Time { return t.box.Now() }

// Logger returns the logger of the box.
func (t *Tx) Logger() *slog.Logger { return t.box.config.Logger }

// Now returns the time of the box, in UTC and whole milliseconds.
func (b *Box) Now() time.Time { return b.config.Clock().UTC().Truncate(time.Millisecond) }

// Store returns the database of the box.
func (b *Box) Store() *store.Store { return b.config.Store }

// Logger returns the logger of the box.
func (b *Box) Logger() *slog.Logger { return b.config.Logger }

func (b *Box) millis() int64 { return b.config.Clock().UnixMilli() }
