package relay

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub/systems/store"
)

// guidsOf returns the eventguids of triggers, each once, as arguments of a statement, and the question marks for them.
func guidsOf(list []*firing) (marks string, args []any) {
	seen := make(map[string]bool, len(list))
	for _, f := range list {
		if !seen[f.guid] {
			seen[f.guid] = true
			args = append(args, []byte(f.guid))
		}
	}
	return strings.Repeat(", ?", len(args))[2:], args
}

// wanted returns what has to be kept of triggers, in their order.
func (k *keeper) wanted(ctx context.Context, list []*firing) ([]keptEvent, error) {
	marks, args := guidsOf(list)
	rows, err := k.s.store.Query(ctx, "SELECT listener, guid, cookie FROM subscription WHERE guid IN ("+marks+")", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byGuid := make(map[string][]keptEvent)
	for rows.Next() {
		var e keptEvent
		var guid, cookie []byte
		if err := rows.Scan(&e.listener, &guid, &cookie); err != nil {
			return nil, err
		}
		e.guid, e.cookie = string(guid), string(cookie)
		byGuid[e.guid] = append(byGuid[e.guid], e)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var all []keptEvent
	for _, f := range list {
		all = append(all, byGuid[f.guid]...)
	}
	return all, nil
}

// rowsAtOnce is how many rows one statement inserts.
const rowsAtOnce = 500

// commit stores what listeners and webhooks have to get, with numbers in the order of the triggers: the row that has the last
// number makes transactions of other nodes wait, so that nobody sees a number before a smaller one.
func (l *ledger) commit(ctx context.Context, posts []post, kept []keptEvent) error {
	k := l.s.keep
	now := millis(l.s.now())
	var full []string
	if k != nil {
		full = k.grown(kept)
	}
	var lost int64
	err := l.s.store.Tx(ctx, func(tx *store.Tx) error {
		lost = 0
		if len(kept) > 0 {
			var last int64
			if err := tx.QueryRow(ctx, "UPDATE ledger SET seq = seq + ? RETURNING seq", len(kept)).Scan(&last); err != nil {
				return err
			}
			for i := range kept {
				kept[i].seq = last - int64(len(kept)) + int64(i) + 1
			}
		}
		err := insert(ctx, tx, "retained (listener, seq, guid, cookie, created, sent)", kept, func(e keptEvent) []any {
			return []any{e.listener, e.seq, []byte(e.guid), []byte(e.cookie), now, 0}
		})
		if err != nil {
			return err
		}
		for _, id := range full {
			n, err := trimListener(ctx, tx, id, k.s.config.Retention.Most)
			if err != nil {
				return err
			}
			lost += n
		}
		return insert(ctx, tx, "delivery (url, guid, body, created, tries, due, lease)", posts, func(p post) []any {
			return []any{p.url, []byte(p.guid), p.body, now, 0, 0, 0}
		})
	})
	if err == nil {
		l.s.count.lost.Add(uint64(lost))
	}
	return err
}

// insert inserts rows, many with one statement.
func insert[T any](ctx context.Context, tx *store.Tx, into string, list []T, values func(T) []any) error {
	for len(list) > 0 {
		part := list[:min(len(list), rowsAtOnce)]
		list = list[len(part):]
		var args []any
		for _, v := range part {
			args = append(args, values(v)...)
		}
		row := ", (" + strings.Repeat(", ?", len(args)/len(part))[2:] + ")"
		if _, err := tx.Exec(ctx, "INSERT INTO "+into+" VALUES "+strings.Repeat(row, len(part))[2:], args...); err != nil {
			return err
		}
	}
	return nil
}

// grown returns the listeners that may have too many events now.
func (k *keeper) grown(kept []keptEvent) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var full []string
	for _, e := range kept {
		if k.fresh[e.listener]++; k.fresh[e.listener] > k.s.config.Retention.Most/4 {
			delete(k.fresh, e.listener)
			full = append(full, e.listener)
		}
	}
	return full
}

// trimListener removes the oldest events of a listener beyond the limit, and returns how many of them it had not got.
func trimListener(ctx context.Context, q store.Queryer, id string, most int) (lost int64, err error) {
	var floor int64
	err = q.QueryRow(ctx, "SELECT seq FROM retained WHERE listener = ? ORDER BY seq DESC LIMIT 1 OFFSET ?", id, most).Scan(&floor)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	lost, err = q.Exec(ctx, "DELETE FROM retained WHERE listener = ? AND sent = 0 AND seq <= ?", id, floor)
	if err == nil {
		_, err = q.Exec(ctx, "DELETE FROM retained WHERE listener = ? AND seq <= ?", id, floor)
	}
	return lost, err
}

// sweep removes events and listeners that are too old.
func (k *keeper) sweep(ctx context.Context) error {
	now := k.s.now()
	old := millis(now.Add(-k.s.config.Retention.Window))
	err := k.see(ctx, millis(now))
	if err != nil {
		return err
	}
	var lost int64
	count := func(n int64, failed error) {
		lost += n
		err = errors.Join(err, failed)
	}
	count(k.s.store.Exec(ctx, `DELETE FROM retained WHERE sent = 0 AND (created < ? OR listener IN (SELECT id FROM listener WHERE seen < ?))`, old, old))
	for _, q := range []string{
		"DELETE FROM retained WHERE created < ?",
		"DELETE FROM retained WHERE listener IN (SELECT id FROM listener WHERE seen < ?)",
		"DELETE FROM subscription WHERE listener IN (SELECT id FROM listener WHERE seen < ?)",
		"DELETE FROM listener WHERE seen < ?",
	} {
		_, failed := k.s.store.Exec(ctx, q, old)
		err = errors.Join(err, failed)
	}
	rows, failed := k.s.store.Query(ctx, "SELECT listener FROM retained GROUP BY listener HAVING count(*) > ?", k.s.config.Retention.Most)
	full, failed := scanTexts(rows, failed)
	err = errors.Join(err, failed)
	for _, id := range full {
		count(trimListener(ctx, k.s.store, id, k.s.config.Retention.Most))
	}
	k.s.count.lost.Add(uint64(lost))
	return err
}

// see notes that the listeners of this node are here.
func (k *keeper) see(ctx context.Context, now int64) error {
	k.mu.Lock()
	ids := make([]string, 0, len(k.guests))
	for id := range k.guests {
		ids = append(ids, id)
	}
	k.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	return k.s.store.Tx(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec(ctx, "UPDATE listener SET seen = ? WHERE id = ?", now, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweepRound is how often what is too old is removed.
func (s *System) sweepRound() time.Duration {
	if s.keep == nil {
		return time.Minute
	}
	return max(time.Second, min(time.Minute, s.config.Retention.Window/4))
}
