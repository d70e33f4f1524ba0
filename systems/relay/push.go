package relay

import (
	"context"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// pusher is the push hub: it tells browsers that there is something to fetch.
type pusher struct {
	s   *System
	hub *hubbub.Hub

	mu      sync.Mutex
	closed  bool
	waiting map[string]*hint // by user, "" for everybody
}

// hint is a hint that was given a short while ago.
type hint struct {
	timer *time.Timer
	again bool // it was asked for once more meanwhile
}

func (s *System) newPushHub() {
	o := s.config.Hub
	s.push = &pusher{s: s, hub: hubbub.NewHub(PushHub, &o), waiting: make(map[string]*hint)}
}

// Push tells every client of the push hub, on every node, to fetch what is new: pullNowWeGotNews, without arguments. The first
// hint goes at once; those that are asked for within [Config.PushPause] after it become one, at its end. It does not block.
func (s *System) Push(ctx context.Context) error { return s.push.hint(ctx, "") }

// PushUser is [System.Push] for the connections of one user, whose id must not be empty.
func (s *System) PushUser(ctx context.Context, user string) error {
	if user == "" {
		return &Invalid{"user is empty, want the id of a user"}
	}
	return s.push.hint(ctx, user)
}

func (p *pusher) hint(ctx context.Context, user string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	if h := p.waiting[user]; h != nil {
		h.again = true
		return nil
	}
	p.rest(user)
	return p.send(ctx, user)
}

// rest begins the pause of an audience. It needs p.mu.
func (p *pusher) rest(user string) {
	h := &hint{}
	p.waiting[user] = h
	h.timer = time.AfterFunc(p.s.config.PushPause, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.closed {
			return
		}
		delete(p.waiting, user)
		if !h.again {
			return
		}
		p.rest(user)
		if err := p.send(p.s.ctx, user); err != nil {
			p.s.log.Error("relay: push", "error", err)
		}
	})
}

func (p *pusher) send(ctx context.Context, user string) error {
	to := p.hub.All()
	if user != "" {
		to = p.hub.User(user)
	}
	p.s.count.pushes.Add(1)
	return to.Send(ctx, "pullNowWeGotNews")
}

func (p *pusher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, h := range p.waiting {
		h.timer.Stop()
	}
}
