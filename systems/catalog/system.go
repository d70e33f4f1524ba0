package catalog

import (
	"bytes"
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
	part      *topic
	pipeline  *topic
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

// Handler returns the REST endpoints, under /centro, in any case. It authenticates by itself, with tokens from the header alone.
func (s *System) Handler() http.Handler { return s.rest }

// Mount makes the hubs and the REST endpoints reachable at their paths. For paths without regard to case wrap the mux in
// [System.FoldCase].
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

// Paths returns the addresses of the hubs that [System.Mount] mounts; all below them belongs to them.
func (s *System) Paths() []string {
	return []string{s.config.ClassicPath, CorePath + "/" + s.resources.Name(), CorePath + "/" + s.jobs.Name(), CorePath}
}

// FoldCase wraps the mux of [System.Mount] so that everything mounted there is found without regard to case. Keys of parts and
// pipelines keep theirs.
func (s *System) FoldCase(mux http.Handler) http.Handler {
	hubs := signalr.FoldCase(mux, s.Paths()...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, path := range restPaths {
			if p := r.URL.Path; len(p) >= len(path) && strings.EqualFold(p[:len(path)], path) {
				s.rest.ServeHTTP(w, r)
				return
			}
		}
		hubs.ServeHTTP(w, r)
	})
}

// Stats are counters of a [System] since its start.
type Stats struct {
	Published uint64 // events
	Unheard   uint64 // of those, events that nobody on this node was there for
	Refused   uint64 // subscriptions
}

// Stats returns the counters.
func (s *System) Stats() Stats {
	return Stats{s.count.published.Load(), s.count.unheard.Load(), s.count.refused.Load()}
}

// PublishPart sends an event to everybody who watches the part, as [hubbub.Clients.Send] does: it waits for nobody. event is one
// JSON value, at most MaxEventSize bytes, which is sent as it is, or completed with Schema; a member PartKey in it must be the
// key. It fails with an *[Invalid] for an event that cannot be sent.
func (s *System) PublishPart(ctx context.Context, partKey string, event json.RawMessage) error {
	return s.publish(ctx, s.part, partKey, event)
}

// PublishPipeline is [System.PublishPart] for a pipeline; a member PipelineId must be its id.
func (s *System) PublishPipeline(ctx context.Context, pipeID string, event json.RawMessage) error {
	return s.publish(ctx, s.pipeline, pipeID, event)
}

// PublishResource is [System.PublishPart] for a typed event of the part u.PartKey. A zero Timestamp is the present time.
func (s *System) PublishResource(ctx context.Context, u ResourceUpdate) error {
	event, err := u.encode()
	if err != nil {
		return &Invalid{err.Error()}
	}
	return s.PublishPart(ctx, u.PartKey, event)
}

// PublishJob is [System.PublishPipeline] for a typed event of the pipeline j.PipelineID.
func (s *System) PublishJob(ctx context.Context, j MiniJob) error {
	event, err := j.encode()
	if err != nil {
		return &Invalid{err.Error()}
	}
	return s.PublishPipeline(ctx, j.PipelineID, event)
}

// Invalid is the error of an event or a key that cannot be used.
type Invalid struct{ Text string }

// Error says what is wrong.
func (e *Invalid) Error() string { return "catalog: " + e.Text }

func (s *System) publish(ctx context.Context, t *topic, key string, event []byte) error {
	if err := s.validKey(t.name, key); err != nil {
		return &Invalid{err.Error()}
	}
	event, err := s.check(t, key, event)
	if err != nil {
		return &Invalid{err.Error()}
	}
	group, raw := t.group+key, json.RawMessage(event)
	old, core := t.hub.Group(group), s.both.Group(group)
	watchers := old.Count() + core.Count()
	if err := errors.Join(old.Send(ctx, "Update", raw), core.Send(ctx, "Update", raw)); err != nil {
		return fmt.Errorf("catalog: publish to %s: %w", clip(group), err)
	}
	s.count.published.Add(1)
	if watchers == 0 {
		s.count.unheard.Add(1)
	}
	return nil
}

// check returns the event as it is sent.
func (s *System) check(t *topic, key string, event []byte) ([]byte, error) {
	event = bytes.Trim(event, " \t\r\n")
	if len(event) > s.config.MaxEventSize {
		return nil, fmt.Errorf("the event has %d bytes, want at most %d", len(event), s.config.MaxEventSize)
	}
	if err := belongs(event, t.member, key); err != nil || !s.config.Schema {
		return event, err
	}
	return t.read(event, key)
}
