package ticket

import (
	"log/slog"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Events is where the actions of view models subscribe to events and trigger them.
type Events = viewmodel.Events

// Config of a [Queue]. Zero fields have the default of their comment.
type Config struct {
	// Database holds tickets and objects. Its Name is "relay_ticket" by default.
	Database store.Config
	// ViewModels are what tickets can run.
	ViewModels viewmodel.Options
	// Objects that view models run for. Default: a table of the database.
	Objects Objects
	// Workers is how many tickets run at a time in this process. Default 4.
	Workers int
	// Lease is how long another process waits for one that has taken a ticket and gives no sign of life. The processes of one
	// PostgreSQL must agree on the time within half of it. Default 15 s.
	Lease time.Duration
	// Poll is how often a process looks for tickets that others have made or left. Its own start at once. Default 1 s.
	Poll time.Duration
	// MaxCutOff bounds how many runs of a ticket in a row may end with their process, or without reaching the objects; then it has
	// failed. Default 20.
	MaxCutOff int
	// Drain is how long [Queue.Close] lets running tickets finish before it ends their contexts. Default 5 s; negative: not at
	// all.
	Drain time.Duration
	// MaxBody bounds the body of a request of REST, and so the attributes of an object, in bytes. Default 256 KiB.
	MaxBody int64
	// Logger hears of tickets that failed and of trouble with the database. Default slog.Default().
	Logger *slog.Logger
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Limits of what a ticket may hold, in bytes, and what one has unless it says otherwise.
const (
	maxText            = 250
	maxError           = 2048
	maxKey             = 1000
	maxKeep            = 10 * 366 * 24 * 60
	defaultKeepMinutes = 10
)

func (c *Config) setDefaults() {
	if c.Database.Name == "" {
		c.Database.Name = "relay_ticket"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Database.Logger == nil {
		c.Database.Logger = c.Logger
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	positive(&c.Workers, 4)
	positive(&c.Lease, 15*time.Second)
	positive(&c.Poll, time.Second)
	positive(&c.MaxCutOff, 20)
	positive(&c.MaxBody, 256<<10)
	if c.Drain == 0 {
		c.Drain = 5 * time.Second
	}
	if c.Objects == nil {
		c.Objects = table{}
	}
}

func positive[T int | int64 | time.Duration](p *T, v T) {
	if *p <= 0 {
		*p = v
	}
}
