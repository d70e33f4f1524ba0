package box

import (
	"context"
	"time"
)

const (
	ownerBeat  = 2 * time.Second  // how often a process says that it lives
	ownerGone  = 10 * time.Second // after what silence its rows are taken over
	lookAround = time.Hour        // how often the inbox forgets
)

// keep tells the other processes of the database that this one lives, takes over what those have left that do not, and forgets
// what the inbox need not know any more.
func (b *Box) keep() {
	t := time.NewTicker(ownerBeat)
	defer t.Stop()
	var forgot time.Time
	for {
		if err := b.takeOver(b.ctx); err != nil && b.ctx.Err() == nil {
			b.config.Logger.Warn("box: take over the outbox of processes that are gone", "error", err)
		}
		if time.Since(forgot) > lookAround {
			forgot = time.Now()
			if err := b.Forget(b.ctx); err != nil && b.ctx.Err() == nil {
				b.config.Logger.Warn("box: forget", "error", err)
			}
		}
		select {
		case <-t.C:
		case <-b.ctx.Done():
			return
		}
	}
}

// takeOver makes rows of processes that have been silent for long rows of this one. A SQLite file has one process: there
// everybody else is gone.
func (b *Box) takeOver(ctx context.Context) error {
	s := b.config.Store
	var taken int64
	var err error
	if s.Database() == "sqlite" {
		if !b.isFirst() {
			return nil
		}
		taken, err = s.Exec(ctx, "UPDATE outbox SET owner = ? WHERE owner <> ?", b.owner, b.owner)
	} else {
		now := time.Now().UnixMilli()
		err = b.Tx(ctx, func(tx *Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO outbox_owner (owner, seen) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET seen = excluded.seen",
				b.owner, now); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "DELETE FROM outbox_owner WHERE seen < ?", now-ownerGone.Milliseconds()); err != nil {
				return err
			}
			taken, err = tx.Exec(ctx, "UPDATE outbox SET owner = ? WHERE owner NOT IN (SELECT owner FROM outbox_owner)", b.owner)
			return err
		})
	}
	if err != nil {
		return err
	}
	if taken > 0 {
		b.out.search()
	}
	return nil
}

// isFirst is true once.
func (b *Box) isFirst() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.begun
	b.begun = true
	return first
}
