package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// keySource is where a verifier has its keys from.
type keySource interface {
	// current returns the keys to verify with, at least those with that id.
	current(ctx context.Context, id string) (*keySet, error)
	// renew is asked when none of the keys of old made a signature. It returns old if there is nothing newer.
	renew(ctx context.Context, old *keySet) (*keySet, error)
}

// static is a source of keys that never change.
type static struct{ set *keySet }

func (s static) current(context.Context, string) (*keySet, error) { return s.set, nil }
func (s static) renew(context.Context, *keySet) (*keySet, error)  { return s.set, nil }

// remote is a source that fetches its keys. There is no goroutine but that of a fetch, of which at most one runs:
//   - the first token waits for the first fetch;
//   - keys older than refresh are used while new ones are fetched;
//   - a token with an unknown key waits for a fetch too, but strangers can have such a fetch only once in every pause;
//   - a fetch that fails leaves the keys as they are, and the next has to wait, up to pause.
type remote struct {
	fetch   func(ctx context.Context) (*keySet, error)
	refresh time.Duration
	pause   time.Duration
	timeout time.Duration
	log     *slog.Logger

	mu      sync.Mutex
	set     *keySet       // the last good keys
	fetched time.Time     // when they came
	asked   time.Time     // when an unknown key last caused a fetch
	running chan struct{} // closed at the end of the fetch that runs
	err     error         // of the last fetch
	fails   int           // fetches that failed in a row
	wait    time.Time     // no fetch before
}

func (r *remote) current(ctx context.Context, _ string) (*keySet, error) {
	r.mu.Lock()
	now := time.Now()
	if r.set != nil {
		set := r.set
		if now.Sub(r.fetched) >= r.refresh {
			r.start(now)
		}
		r.mu.Unlock()
		return set, nil
	}
	done, err := r.start(now), r.err
	r.mu.Unlock()
	if done == nil {
		return nil, unavailable(err)
	}
	return r.await(ctx, done)
}

func (r *remote) renew(ctx context.Context, old *keySet) (*keySet, error) {
	r.mu.Lock()
	now := time.Now()
	if r.set != old {
		set := r.set
		r.mu.Unlock()
		return set, nil
	}
	var done chan struct{}
	switch {
	case r.running != nil:
		done = r.running
	case r.asked.IsZero() || now.Sub(r.asked) >= r.pause:
		if done = r.start(now); done != nil {
			r.asked = now
		}
	}
	err := r.err
	r.mu.Unlock()
	switch {
	case done != nil:
		return r.await(ctx, done)
	case err != nil:
		return nil, unavailable(err)
	}
	return old, nil
}

// await returns the keys after the fetch of done, or why there are no new ones.
func (r *remote) await(ctx context.Context, done chan struct{}) (*keySet, error) {
	select {
	case <-done:
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, unavailable(r.err)
	}
	return r.set, nil
}

// start begins a fetch and returns the channel that is closed at its end: that of the one that runs already, nil if the last
// one failed too short a time ago. It is called with the lock held. The fetch belongs to nobody, so that a caller who goes
// away does not spoil it for the others.
func (r *remote) start(now time.Time) chan struct{} {
	if r.running != nil {
		return r.running
	}
	if now.Before(r.wait) {
		return nil
	}
	done := make(chan struct{})
	r.running = done
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
		defer cancel()
		set, err := r.fetch(ctx)
		r.finish(set, err)
		close(done)
	}()
	return done
}

func (r *remote) finish(set *keySet, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.running, r.err = nil, err
	if err == nil {
		r.set, r.fetched, r.fails, r.wait = set, now, 0, time.Time{}
		return
	}
	back := min(time.Second<<min(r.fails, 20), r.pause)
	r.fails++
	r.wait = now.Add(back)
	r.log.Warn("auth: keys not fetched", "error", err, "kept", r.set != nil, "retry", back)
}

func unavailable(cause error) error {
	return fmt.Errorf("auth: %w: %w", ErrUnavailable, cause)
}
