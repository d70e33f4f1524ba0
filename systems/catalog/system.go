package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// System is a running catalog. It keeps nothing but who is connected. It is safe for concurrent use.
type System struct {
	config    Config
	resources *hubbub.Hub
	jobs      *hubbub.Hub
	both      *hubbub.Hub // of Core clients that want parts and pipelines over one connection
	verify    auth.Authenticator
	rest      http.Handler

	count struct{ published, unheard, refused atomic.Uint64 }
}

// New returns a system. It fails without a token type.
func New(c Config) (*System, error) {
	c.setDefaults()
	if len(c.TokenTypes) == 0 {
		return nil, errors.New("catalog: no token types, want at least one")
	}
	s := &System{config: c}
	for _, t := range c.TokenTypes {
		if t.Scheme == "" || t.Verify == nil {
			return nil, fmt.Errorf("catalog: token type %q has no scheme or no verifier", t.Scheme)
		}
	}
	s.verify = s.authenticator(false)
	s.newHubs()
	s.newREST()
	return s, nil
}

// authenticator knows who a request is from, by any of the token types.
func (s *System) authenticator(query bool) auth.Authenticator {
	var all []auth.Authenticator
	for _, t := range s.config.TokenTypes {
		all = append(all, auth.Token(t.Verify, &auth.Options{Scheme: t.Scheme, QueryToken: query, Logger: s.config.Logger}))
	}
	return auth.First(all...)
}

// Hubs returns the hubs, for counters and shutdown.
func (s *System) Hubs() []*hubbub.Hub { return []*hubbub.Hub{s.resources, s.jobs, s.both} }

// Handler returns the REST endpoints, under /centro. It authenticates by itself, with tokens from the header alone.
func (s *System) Handler() http.Handler { return s.rest }

// Mount makes the hubs and the REST endpoints reachable at their paths. For paths without regard to case wrap the mux in
// [signalr.FoldCase] with [System.Paths].
func (s *System) Mount(mux interface{ Handle(string, http.Handler) }) {
	identify := auth.Middleware(s.authenticator(true), &auth.Options{Scheme: s.config.TokenTypes[0].Scheme, Logger: s.config.Logger})
	old, core := s.config.Classic, s.config.Core
	old.Auth, core.Auth = identify, identify
	classic.MapHubs(mux, s.config.ClassicPath, &old, s.resources, s.jobs)
	signalr.MapHub(mux, CorePath, s.both, &core)
	signalr.MapHub(mux, CorePath+"/"+s.resources.Name(), s.resources, &core)
	signalr.MapHub(mux, CorePath+"/"+s.jobs.Name(), s.jobs, &core)
	for _, path := range restPaths {
		mux.Handle(path, s.rest)
	}
}

// Paths returns what [System.Mount] mounts; a path that ends in a slash stands for all below it.
func (s *System) Paths() []string {
	core := []string{s.config.ClassicPath, CorePath + "/" + s.resources.Name(), CorePath + "/" + s.jobs.Name(), CorePath}
	return append(core, restPaths...)
}

// Stats are counters of a [System] since its start.
type Stats struct {
	Published uint64 // events
	Unheard   uint64 // of those, events that nobody on this node watched
	Refused   uint64 // subscriptions
}

// Stats returns the counters.
func (s *System) Stats() Stats {
	return Stats{s.count.published.Load(), s.count.unheard.Load(), s.count.refused.Load()}
}

// PublishPart sends an event to everybody who watches the part, as [hubbub.Clients.Send] does. event is one JSON value; a member
// PartKey in it must be the key. It fails with an *[Invalid] for an event that cannot be sent.
func (s *System) PublishPart(ctx context.Context, partKey string, event json.RawMessage) error {
	if err := s.validKey("partKey", partKey); err != nil {
		return &Invalid{err.Error()}
	}
	event, err := s.check(event, "PartKey", partKey, typed[ResourceUpdate])
	if err != nil {
		return err
	}
	return s.publish(ctx, s.resources, partGroup(partKey), event)
}

// PublishPipeline is [System.PublishPart] for a pipeline; a member PipelineId must be its id.
func (s *System) PublishPipeline(ctx context.Context, pipeID string, event json.RawMessage) error {
	if err := s.validKey("pipeId", pipeID); err != nil {
		return &Invalid{err.Error()}
	}
	event, err := s.check(event, "PipelineId", pipeID, typed[MiniJob])
	if err != nil {
		return err
	}
	return s.publish(ctx, s.jobs, pipelineGroup(pipeID), event)
}

// PublishResource is [System.PublishPart] for a typed event of the part u.PartKey.
func (s *System) PublishResource(ctx context.Context, u ResourceUpdate) error {
	event, err := json.Marshal(u)
	if err != nil {
		return &Invalid{err.Error()}
	}
	return s.PublishPart(ctx, u.PartKey, event)
}

// PublishJob is [System.PublishPipeline] for a typed event of the pipeline j.PipelineID.
func (s *System) PublishJob(ctx context.Context, j MiniJob) error {
	event, err := json.Marshal(j)
	if err != nil {
		return &Invalid{err.Error()}
	}
	return s.PublishPipeline(ctx, j.PipelineID, event)
}

// Invalid is the error of an event or a key that cannot be used.
type Invalid struct{ Text string }

// Error says what is wrong.
func (e *Invalid) Error() string { return "catalog: " + e.Text }

// check returns the event as it is sent.
func (s *System) check(event []byte, member, key string, read func([]byte) ([]byte, error)) ([]byte, error) {
	event = []byte(strings.TrimSpace(string(event)))
	if len(event) > s.config.MaxEventSize {
		return nil, &Invalid{fmt.Sprintf("the event has %d bytes, want at most %d", len(event), s.config.MaxEventSize)}
	}
	if err := belongs(event, member, key); err != nil {
		return nil, &Invalid{err.Error()}
	}
	if !s.config.Schema {
		return event, nil
	}
	event, err := read(event)
	if err != nil {
		return nil, &Invalid{err.Error()}
	}
	return event, nil
}

func (s *System) publish(ctx context.Context, hub *hubbub.Hub, group string, event []byte) error {
	before := hub.Stats().Sent + s.both.Stats().Sent
	raw := json.RawMessage(event)
	err := errors.Join(hub.Group(group).Send(ctx, "Update", raw), s.both.Group(group).Send(ctx, "Update", raw))
	s.count.published.Add(1)
	if hub.Stats().Sent+s.both.Stats().Sent == before {
		s.count.unheard.Add(1)
	}
	if err != nil {
		return fmt.Errorf("catalog: publish to %s: %w", group, err)
	}
	return nil
}
