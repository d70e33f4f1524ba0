package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/dial"
)

// wish is what a listener wants to be subscribed to. Its fields need the mutex of the listener.
type wish struct {
	guid, cookie string
	version      uint64 // of the cookie
	told         uint64 // version that the hub knows
	on           uint64 // number of the connection over which it was told
	refused      error  // what the hub said to it

	calling sync.Mutex // one call at a time, so that the last cookie is told last
}

// Subscribe lets OnEvent hear of an event, with that cookie: the last one for an eventguid counts. A blank cookie, or
// [EndSubscription], ends the subscription; one that there is not is no error. It waits until the hub has answered; what the hub
// refuses is a *[hubbub.Error], and is tried again from time to time. Without a connection it waits for the attempt that runs,
// if there is one; when that fails it returns nil, and the hub is told when there is a connection: see [Listener.Health]. It fails
// with an *[Invalid] for an empty eventguid, and past the limit.
func (l *Listener) Subscribe(ctx context.Context, guid, cookie string) error {
	w, version, err := l.want(guid, cookie, true)
	if err != nil {
		return err
	}
	return l.settle(ctx, w, version)
}

// want notes what is to be subscribed. It does not wait. The hub is told again what it knows only if again is set.
func (l *Listener) want(guid, cookie string, again bool) (*wish, uint64, error) {
	if guid == "" {
		return nil, 0, &Invalid{"eventguid is empty, want a text"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.wishes[guid]
	if w == nil {
		if len(l.wishes) >= l.o.MostSubscriptions {
			return nil, 0, &Invalid{fmt.Sprintf("the hub %s has %d subscriptions, the limit", l.url, len(l.wishes))}
		}
		w = &wish{guid: guid}
		l.wishes[guid] = w
	}
	if again || w.version == 0 || w.cookie != cookie {
		w.cookie = cookie
		w.version++
	}
	return w, w.version, nil
}

// settle waits until the hub knows a wish in that version or a later one, or cannot be reached.
func (l *Listener) settle(ctx context.Context, w *wish, version uint64) error {
	for {
		l.mu.Lock()
		healthy, trying, turned := l.healthy, l.trying, l.turned
		known := healthy && w.on == l.number && w.told >= version
		refused := w.refused
		l.mu.Unlock()
		switch {
		case known:
			return refused
		case healthy:
			if err := l.sync(ctx, w); err != nil {
				return err
			}
			continue
		case !trying:
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return fmt.Errorf("relay: subscribe at %s: %w", l.url, ctx.Err())
		case <-l.ctx.Done():
			return fmt.Errorf("relay: subscribe at %s: %w", l.url, hubbub.ErrClosed)
		}
	}
}

// sync tells the hub a wish. The call goes on when ctx ends: what the hub knows is not left open.
func (l *Listener) sync(ctx context.Context, w *wish) error {
	l.mu.Lock()
	conn, number := l.conn, l.number
	if conn == nil || l.ctx.Err() != nil {
		l.mu.Unlock()
		return l.closed()
	}
	done := make(chan struct{})
	l.work.Go(func() {
		defer close(done)
		l.tell(conn, number, w)
	})
	l.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("relay: subscribe at %s: %w", l.url, ctx.Err())
	}
}

// tell tells the hub the newest version of a wish, unless it knows it. An error means that the connection is of no more use; it is
// ended then.
func (l *Listener) tell(conn *dial.Conn, number uint64, w *wish) error {
	w.calling.Lock()
	defer w.calling.Unlock()
	l.mu.Lock()
	cookie, version, known := w.cookie, w.version, w.on == number && w.told == w.version
	l.mu.Unlock()
	if known {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.o.CallTimeout)
	defer cancel()
	err := conn.Invoke(ctx, nil, "SubscribeToEvent", w.guid, cookie)
	said, refused := errors.AsType[*hubbub.Error](err)
	if err != nil && !refused {
		l.lose(number, fmt.Errorf("subscribe: %w", err))
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w.told, w.on, w.refused = version, number, nil
	if refused {
		w.refused = said
		l.log.Warn("relay: a hub refuses a subscription", "hub", l.url, "eventguid", clip(w.guid), "error", said)
	}
	if ends(cookie) && w.version == version && l.wishes[w.guid] == w {
		delete(l.wishes, w.guid)
	}
	return nil
}

// tellAll tells a new hub all wishes, and says then that the listener is healthy: nothing is left untold at that moment.
func (l *Listener) tellAll(conn *dial.Conn, number uint64) error {
	for {
		var open []*wish
		l.mu.Lock()
		for _, w := range l.wishes {
			if w.on != number || w.told != w.version {
				open = append(open, w)
			}
		}
		if len(open) == 0 {
			if number == l.number { // else it has been lost and found again meanwhile
				l.healthy, l.trying, l.health.Err = true, false, nil
				l.health.Connects++
				l.turn()
			}
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		if err := l.tellMany(conn, number, open); err != nil {
			return err
		}
	}
}

// refused returns the wishes that the hub has refused, to be told again, if there is a healthy connection.
func (l *Listener) refused() (list []*wish, number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.healthy {
		return nil, 0
	}
	for _, w := range l.wishes {
		if w.refused != nil {
			w.on = 0
			list = append(list, w)
		}
	}
	return list, l.number
}

// mostCalls is how many subscriptions are on their way at a time.
const mostCalls = 32

func (l *Listener) tellMany(conn *dial.Conn, number uint64, open []*wish) error {
	next := make(chan *wish)
	var wg sync.WaitGroup
	var once sync.Once
	var failure error
	failed := make(chan struct{})
	for range min(mostCalls, len(open)) {
		wg.Go(func() {
			for w := range next {
				if err := l.tell(conn, number, w); err != nil {
					once.Do(func() { failure = err; close(failed) })
				}
			}
		})
	}
	for _, w := range open {
		select {
		case next <- w:
			continue
		case <-failed:
		}
		break
	}
	close(next)
	wg.Wait()
	return failure
}
