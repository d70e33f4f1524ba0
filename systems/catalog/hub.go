package catalog

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hubbub-go/hubbub"
)

// topic is one kind of thing to watch.
type topic struct {
	what, name, member string // for people, as the parameter is called, and in an event
	group              string // what the names of its groups begin with
	right              Right
	rule               hubbub.Rule
	hub                *hubbub.Hub // of those who watch nothing else
	read               func(event []byte, key string) ([]byte, error)
}

func (s *System) newHubs() {
	c := &s.config
	s.part = &topic{what: "part", name: "partKey", member: "PartKey", group: "part:", right: c.PartRight, rule: c.ResourceRule, read: readResource}
	s.pipeline = &topic{what: "pipeline", name: "pipeId", member: "PipelineId", group: "pipeline:", right: c.PipelineRight, rule: c.JobRule, read: readJob}
	s.resources = s.newHub("ResourceEventHub", c.ResourceRule, s.part, nil)
	s.jobs = s.newHub("JobEventHub", c.JobRule, nil, s.pipeline)
	s.both = s.newHub("CatalogEventHub", nil, s.part, s.pipeline)
	s.part.hub, s.pipeline.hub = s.resources, s.jobs
}

// newHub returns a hub whose clients can watch parts, pipelines, or both.
func (s *System) newHub(name string, rule hubbub.Rule, part, pipeline *topic) *hubbub.Hub {
	o := s.config.Hub
	if rule != nil {
		o.Require = append(o.Require[:len(o.Require):len(o.Require)], rule)
	}
	h := hubbub.NewHub(name, &o)
	var topics []*topic
	handle := func(t *topic, suffix string) {
		if t == nil {
			return
		}
		var rules []hubbub.Rule
		if t.rule != nil {
			rules = append(rules, t.rule)
		}
		topics = append(topics, t)
		h.Handle("SubscribeTo"+suffix, hubbub.Action1(func(ctx context.Context, key string) error { return s.subscribe(ctx, t, key) }), rules...)
		h.Handle("UnsubscribeFrom"+suffix, hubbub.Action1(func(ctx context.Context, key string) error { return s.unsubscribe(ctx, t, key) }), rules...)
	}
	handle(part, "Part")
	handle(pipeline, "Pipeline")
	h.OnRejoiningGroups(func(ctx context.Context, groups []string) []string { return s.rejoin(ctx, topics, groups) })
	return h
}

// validKey says what is wrong with a key, if anything is.
func (s *System) validKey(name, key string) error {
	switch {
	case strings.TrimSpace(key) == "":
		return hubbub.Errorf("%s is empty, want a key", name)
	case len(key) > s.config.MaxKeyLength:
		return hubbub.Errorf("%s has %d bytes, want at most %d", name, len(key), s.config.MaxKeyLength)
	}
	return nil
}

// watched counts what a connection watches.
type watched struct {
	mu   sync.Mutex
	keys map[string]bool
}

type watchedKey struct{}

func watchedBy(c *hubbub.Caller) *watched {
	w, _ := c.Items().LoadOrStore(watchedKey{}, &watched{keys: make(map[string]bool)})
	return w.(*watched)
}

// subscribe puts the caller into the group of what it wants to watch. Subscribing twice counts once.
func (s *System) subscribe(ctx context.Context, t *topic, key string) error {
	if err := s.validKey(t.name, key); err != nil {
		return err
	}
	c := hubbub.CallerFrom(ctx)
	if c.Hub().Clients(c.ID()).Count() == 0 { // a classic client may call a hub that it cannot hear
		return hubbub.Errorf("The connection has not listed %s: create the proxy before the start.", c.Hub().Name())
	}
	if !s.allowed(ctx, t, c, key) {
		s.count.refused.Add(1)
		return hubbub.Errorf("You may not watch the %s %q.", t.what, clip(key))
	}
	group, w := t.group+key, watchedBy(c)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.keys[group] && len(w.keys) >= s.config.MaxSubscriptions {
		s.count.refused.Add(1)
		return hubbub.Errorf("The connection watches %d parts and pipelines, the limit.", len(w.keys))
	}
	if err := c.Join(ctx, group); err != nil {
		return fmt.Errorf("join %s: %w", group, err)
	}
	w.keys[group] = true
	return nil
}

// unsubscribe takes the caller out of a group. It does no harm if the caller is not in it.
func (s *System) unsubscribe(ctx context.Context, t *topic, key string) error {
	if err := s.validKey(t.name, key); err != nil {
		return err
	}
	c := hubbub.CallerFrom(ctx)
	group, w := t.group+key, watchedBy(c)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := c.Leave(ctx, group); err != nil {
		return fmt.Errorf("leave %s: %w", group, err)
	}
	delete(w.keys, group)
	return nil
}

func (s *System) allowed(ctx context.Context, t *topic, c *hubbub.Caller, key string) bool {
	if t.right == nil {
		return true
	}
	ok, err := t.right(ctx, c.User(), key)
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "catalog: right not decided", t.what, key, "error", err)
		return false
	}
	return ok
}

// rejoin returns the groups that a client, which comes back after a restart, may still be in.
func (s *System) rejoin(ctx context.Context, topics []*topic, groups []string) []string {
	c := hubbub.CallerFrom(ctx)
	w := watchedBy(c)
	w.mu.Lock()
	defer w.mu.Unlock()
	var kept []string
	for _, g := range groups {
		for _, t := range topics {
			key, own := strings.CutPrefix(g, t.group)
			if own && len(w.keys) < s.config.MaxSubscriptions && s.allowed(ctx, t, c, key) {
				kept = append(kept, g)
				w.keys[g] = true
			}
		}
	}
	return kept
}

// clip shortens a text that a client sent, for a message.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}
