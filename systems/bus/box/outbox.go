package box

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
)

const (
	pumpBatch  = 256              // rows that are published at once
	pumpPause  = time.Second      // after an error
	ownerBeat  = 2 * time.Second  // how often a process says that it lives
	ownerGone  = 10 * time.Second // after what silence its rows are taken over
	lookAround = time.Hour        // how often the inbox forgets
)

// wake says that the outbox has something. It does not block.
func (b *Box) wake() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// pump publishes the rows of the outbox that belong to this process, oldest first, and removes them when the bus has them. Rows
// that it published and did not come to remove it publishes again, under the same id.
func (b *Box) pump() {
	for {
		n, err := b.publish(b.ctx)
		if b.ctx.Err() != nil {
			return
		}
		if err != nil {
			b.config.Logger.Warn("box: publish from the outbox", "error", err)
			t := time.NewTimer(pumpPause)
			select {
			case <-t.C:
			case <-b.ctx.Done():
				t.Stop()
				return
			}
			continue
		}
		if n > 0 {
			continue
		}
		select {
		case <-b.kick:
		case <-b.ctx.Done():
			return
		}
	}
}

func (b *Box) publish(ctx context.Context) (int, error) {
	rows, err := b.config.Store.Query(ctx, "SELECT seq, id, key, topic, header, body FROM outbox WHERE owner = ? ORDER BY seq LIMIT "+
		strconv.Itoa(pumpBatch), b.owner)
	if err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	defer rows.Close()
	var messages []*bus.Message
	var numbers []string
	for rows.Next() {
		var seq int64
		var header string
		m := &bus.Message{}
		if err := rows.Scan(&seq, &m.ID, &m.Key, &m.Topic, &header, &m.Body); err != nil {
			return 0, fmt.Errorf("read: %w", err)
		}
		if header != "" {
			if err := json.Unmarshal([]byte(header), &m.Header); err != nil {
				return 0, fmt.Errorf("header of row %d: %w", seq, err)
			}
		}
		messages = append(messages, m)
		numbers = append(numbers, strconv.FormatInt(seq, 10))
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	rows.Close()
	if len(messages) == 0 {
		return 0, nil
	}
	if err := b.config.Bus.Publish(ctx, messages...); err != nil {
		return 0, err
	}
	b.config.Border("published")
	// By number, not up to the last one: on PostgreSQL a lower number may be committed later.
	if _, err := b.config.Store.Exec(ctx, "DELETE FROM outbox WHERE seq IN ("+strings.Join(numbers, ",")+")"); err != nil {
		return 0, fmt.Errorf("remove: %w", err)
	}
	b.config.Border("removed")
	b.counts.published.Add(uint64(len(messages)))
	return len(messages), nil
}

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
		b.wake()
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

// Waiting returns how many messages are in the outbox, of all processes of the database.
func (b *Box) Waiting(ctx context.Context) (int, error) {
	var n int
	if err := b.config.Store.QueryRow(ctx, "SELECT count(*) FROM outbox").Scan(&n); err != nil {
		return 0, fmt.Errorf("box: count the outbox: %w", err)
	}
	return n, nil
}
