package relay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hubbub-go/hubbub"
)

// Of several processes that share a database one listens, so that each event becomes one ticket. It says that it is there, five times
// in the time of its lease; when it has not for so long, another one takes over. The others tell it through the database what is to be
// subscribed.
const (
	shareRound = 250 * time.Millisecond // between two looks at the database
	sharePause = 5 * time.Second        // that a subscription waits for the process that listens
)

// share is who listens.
type share struct {
	node   string
	seen   int64     // version that this process has told the hubs
	until  time.Time // it listens; zero if it does not
	renew  time.Time // when it has to say so again
	failed bool      // the last round, which is logged once
}

// listen subscribes to everything again that was subscribed before, at once if this process is alone with its database. It does not
// wait for the hubs.
func (r *receiver) listen(ctx context.Context) error {
	if r.registry.alone {
		return r.begin(ctx)
	}
	r.share.node = newID()
	err := r.round(ctx)
	r.work.Go(r.run)
	return err
}

// begin listens to everything that there is.
func (r *receiver) begin(ctx context.Context) error {
	var version int64 // before the first that no hub has been told
	if err := r.s.store.QueryRow(ctx, `SELECT coalesce((SELECT min(version) - 1 FROM handed_out WHERE told < version AND hub <> ''), version)
		FROM listening`).Scan(&version); err != nil {
		return fmt.Errorf("relay: read what was subscribed: %w", err)
	}
	list, err := r.registry.rows(ctx, "hub <> ''")
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(h handedOut) bool {
		refused := !r.allowed(h.hub)
		if refused {
			r.s.log.WarnContext(ctx, "relay: a subscription is kept and not used, since this server may not listen to its hub any more", "hub", h.hub)
		}
		return refused
	})
	r.mu.Lock()
	r.last = make(map[string]string) // another process may have gone on
	r.mu.Unlock()
	for _, h := range list {
		if err := r.load(ctx, h.hub); err != nil {
			return err
		}
	}
	pool := NewListeners(r.options, r.s.config.Listen.Hubs)
	pool.resume(r.s.log, list)
	r.mu.Lock()
	r.pool = pool
	r.mu.Unlock()
	r.share.seen = version
	return nil
}

// run looks at the database until the receiver is closed.
func (r *receiver) run() {
	t := time.NewTicker(shareRound)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-r.ctx.Done():
			return
		}
		err := r.round(r.ctx)
		if err != nil && r.ctx.Err() == nil && !r.share.failed {
			r.s.log.Error("relay: share the listening with other processes", "error", err)
		}
		r.share.failed = err != nil
	}
}

// round claims the listening or says that it goes on, and tells hubs what other processes have subscribed.
func (r *receiver) round(ctx context.Context) error {
	x, lease := &r.share, r.s.config.Listen.Lease
	now := time.Now()
	if !now.Before(x.renew) {
		held, err := r.claim(ctx)
		switch {
		case err != nil && now.Before(x.until.Add(-lease/5)): // there is time to try again
			return err
		case err != nil || !held:
			x.until = time.Time{}
			r.end()
			return err
		}
		x.renew, x.until = now.Add(lease/5), now.Add(lease)
	}
	if x.until.IsZero() {
		return nil
	}
	if r.listeners() == nil {
		return r.begin(ctx)
	}
	return r.follow(ctx)
}

// claim takes the listening, or keeps it, and reports whether this process has it.
func (r *receiver) claim(ctx context.Context) (bool, error) {
	lease := r.s.config.Listen.Lease
	ctx, cancel := context.WithTimeout(ctx, max(lease/5, time.Second))
	defer cancel()
	now := r.s.now()
	n, err := r.s.store.Exec(ctx, "UPDATE listening SET node = ?, until = ? WHERE node = ? OR until < ?",
		r.share.node, millis(now.Add(lease)), r.share.node, millis(now))
	return n > 0, err
}

// end listens no more.
func (r *receiver) end() {
	r.mu.Lock()
	pool := r.pool
	r.pool = nil
	r.mu.Unlock()
	if pool != nil {
		r.s.log.Warn("relay: another process listens from now on")
		pool.Close()
	}
}

// follow tells hubs what has been subscribed since the last time, by whatever process.
func (r *receiver) follow(ctx context.Context) error {
	list, err := r.registry.rows(ctx, "version > ? AND hub <> ''", r.share.seen)
	if err != nil {
		return err
	}
	for _, h := range list {
		if err := r.tell(ctx, h.hub, h.guid); err != nil {
			return err
		}
		r.share.seen = h.version
	}
	return nil
}

// tell tells a hub a row as it is now, unless it is being told that already.
func (r *receiver) tell(ctx context.Context, hub, guid string) error {
	defer r.turns.take(hub + "\x00" + guid)()
	h, found, err := r.registry.row(ctx, hub, guid)
	if err != nil || !found || !r.allowed(hub) {
		return err
	}
	if err := r.load(ctx, hub); err != nil {
		return err
	}
	pool := r.listeners()
	if pool == nil {
		return nil
	}
	settle, err := pool.want(hub, guid, h.cookie, false)
	if err != nil {
		r.s.log.Error("relay: subscription not taken up", "hub", hub, "eventguid", clip(guid), "error", err)
		return nil
	}
	r.work.Go(func() { r.settle(r.ctx, h, settle) })
	return nil
}

// settle waits until a hub knows a row, notes that for other processes, and returns what the hub refuses.
func (r *receiver) settle(ctx context.Context, h handedOut, settle func(context.Context) error) error {
	err := settle(ctx)
	refusal := ""
	if said, ok := errors.AsType[*hubbub.Error](err); ok {
		refusal = said.Message
	} else if err != nil {
		return err
	}
	if noted := r.registry.told(context.WithoutCancel(ctx), h, refusal); noted != nil && r.ctx.Err() == nil {
		r.s.log.Error("relay: subscription", "hub", h.hub, "error", noted)
	}
	return err
}

// await waits until the process that listens has told the hub a row, for a few seconds at most.
func (r *receiver) await(ctx context.Context, h handedOut) error {
	t := time.NewTicker(shareRound / 4)
	defer t.Stop()
	late := time.NewTimer(sharePause)
	defer late.Stop()
	for {
		var told int64
		var refusal string
		err := r.s.store.QueryRow(ctx, "SELECT told, refusal FROM handed_out WHERE hub = ? AND guid = ?", h.hub, []byte(h.guid)).Scan(&told, &refusal)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return fmt.Errorf("relay: wait for a subscription: %w", err)
		case told >= h.version && refusal != "":
			return &hubbub.Error{Message: refusal}
		case told >= h.version:
			return nil
		}
		select {
		case <-t.C:
		case <-late.C:
			return nil
		case <-r.ctx.Done():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("relay: wait for a subscription: %w", ctx.Err())
		}
	}
}

// close listens no more, so that another process can at once.
func (r *receiver) close() {
	r.stop()
	if pool := r.listeners(); pool != nil {
		pool.Close()
	}
	r.work.Wait()
	if pool := r.listeners(); pool != nil {
		pool.Close()
	}
	if r.share.until.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := r.s.store.Exec(ctx, "UPDATE listening SET until = 0 WHERE node = ?", r.share.node); err != nil {
		r.s.log.Warn("relay: hand the listening over", "error", err)
	}
}

// listeners are those of this process, nil if another one listens.
func (r *receiver) listeners() *Listeners {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pool
}
