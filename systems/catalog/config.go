package catalog

import (
	"context"
	"log/slog"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// ScopePublish is the scope, or right, that publishing needs.
const ScopePublish = "catalog:publish"

// Where [System.Mount] puts the hubs, unless the configuration says otherwise.
const (
	ClassicPath = "/Centro/signalr" // both hubs, for classic clients
	CorePath    = "/centro/events"  // both hubs in one, for Core clients; each alone below it
)

// Right decides whether a user may hear of a part or a pipeline. It must be safe for concurrent use and not block for long. An
// error is told to nobody but the log, and counts as no.
type Right func(ctx context.Context, u *hubbub.User, key string) (bool, error)

// TokenType is one kind of credential: the scheme of the header Authorization, and who knows its tokens.
type TokenType struct {
	Scheme string        // such as "Bearer", in any case
	Verify auth.Verifier // says whose a token is
}

// Config of a [System]. Zero fields have the default of their comment.
type Config struct {
	// TokenTypes are the credentials that clients and publishers may show: in the header Authorization as "TYPE TOKEN", and, for
	// hubs only, in the query value access_token, which may be of any type. There must be one.
	TokenTypes []TokenType
	// Classic are the options of the classic endpoint. Auth is set by the system. Keys must outlive a restart for clients to
	// keep their subscriptions.
	Classic classic.Options
	// Core are the options of the endpoints for Core clients. Auth is set by the system; Keys are those of Classic by default.
	Core signalr.Options
	// ClassicPath is where the classic endpoint is. Default [ClassicPath].
	ClassicPath string
	// ResourceRule and JobRule decide who may reach a hub at all: a classic client whose hubs all refuse it gets 403, one that
	// may reach another goes on without. Default: everybody with a token.
	ResourceRule, JobRule hubbub.Rule
	// PartRight and PipelineRight decide who may subscribe to what, and who is put back into a group after a restart.
	// Default: everybody who may reach the hub.
	PartRight, PipelineRight Right
	// MaxSubscriptions bounds the parts and pipelines that one connection watches at a time, on each hub. Default 1000.
	MaxSubscriptions int
	// MaxKeyLength bounds a part key or a pipeline id, in bytes. Default 256.
	MaxKeyLength int
	// MaxEventSize bounds an event, in bytes. Default 256 KiB.
	MaxEventSize int
	// Schema accepts only events that are a [ResourceUpdate] or a [MiniJob]. Default false: any JSON.
	Schema bool
	// Hub are the options of the hubs. RequireUser is always set.
	Hub hubbub.Options
	// Logger for what goes wrong. Default slog.Default().
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	num := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	num(&c.MaxSubscriptions, 1000)
	num(&c.MaxKeyLength, 256)
	num(&c.MaxEventSize, 256<<10)
	if c.ClassicPath == "" {
		c.ClassicPath = ClassicPath
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Hub.Logger == nil {
		c.Hub.Logger = c.Logger
	}
	if c.Core.Keys == nil {
		c.Core.Keys = c.Classic.Keys
	}
	c.Hub.RequireUser = true
}
