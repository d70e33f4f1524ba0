package relay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/hubbub-go/hubbub/systems/store"
)

// registry keeps what this server has subscribed to, at other hubs and at itself, over restarts, and with that the cookies that it
// has handed out: the last one for each hub and eventguid. The address of this server is "".
type registry struct {
	s     *System
	alone bool   // no other process writes to the database
	name  string // of this server as a listener elsewhere

	mu  sync.RWMutex
	own map[string]string // cookies of subscriptions to this server itself, if alone
}

// handedOut is a row of the registry.
type handedOut struct {
	hub, guid, cookie string
	version           int64
}

// newRegistry reads what this server has subscribed to at itself.
func newRegistry(ctx context.Context, s *System) (*registry, error) {
	g := &registry{s: s, alone: s.store.Database() == "sqlite", own: make(map[string]string)}
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, "SELECT name FROM listening").Scan(&g.name)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		g.name = newID()
		_, err = tx.Exec(ctx, "INSERT INTO listening (name, node, until, version) VALUES (?, '', 0, 0)", g.name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("name of this server as a listener: %w", err)
	}
	if !g.alone {
		return g, nil
	}
	list, err := g.rows(ctx, "hub = ''")
	for _, h := range list {
		g.own[h.guid] = h.cookie
	}
	return g, err
}

// rows returns rows in the order in which they were changed.
func (g *registry) rows(ctx context.Context, where string, args ...any) ([]handedOut, error) {
	rows, err := g.s.store.Query(ctx, "SELECT hub, guid, cookie, version FROM handed_out WHERE "+where+" ORDER BY version", args...)
	if err != nil {
		return nil, fmt.Errorf("relay: read what was subscribed: %w", err)
	}
	defer rows.Close()
	var list []handedOut
	for rows.Next() {
		var h handedOut
		var guid, cookie []byte
		if err := rows.Scan(&h.hub, &guid, &cookie, &h.version); err != nil {
			return nil, fmt.Errorf("relay: read what was subscribed: %w", err)
		}
		h.guid, h.cookie = string(guid), string(cookie)
		list = append(list, h)
	}
	return list, rows.Err()
}

// row returns a row as it is now.
func (g *registry) row(ctx context.Context, hub, guid string) (h handedOut, found bool, err error) {
	list, err := g.rows(ctx, "hub = ? AND guid = ?", hub, []byte(guid))
	if err != nil || len(list) == 0 {
		return handedOut{}, false, err
	}
	return list[0], true, nil
}

// put keeps a cookie, the only one of its hub and eventguid from now on, and sets its version.
func (g *registry) put(ctx context.Context, h *handedOut) error {
	if h.hub == "" {
		g.mu.Lock() // so that memory and database agree about the last one
		defer g.mu.Unlock()
	}
	err := g.s.store.Tx(ctx, func(tx *store.Tx) error {
		if h.hub == "" && ends(h.cookie) {
			_, err := tx.Exec(ctx, "DELETE FROM handed_out WHERE hub = '' AND guid = ?", []byte(h.guid))
			return err
		}
		if err := tx.QueryRow(ctx, "UPDATE listening SET version = version + 1 RETURNING version").Scan(&h.version); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO handed_out (hub, guid, cookie, version, told, refusal) VALUES (?, ?, ?, ?, 0, '')
			ON CONFLICT (hub, guid) DO UPDATE SET cookie = excluded.cookie, version = excluded.version`,
			h.hub, []byte(h.guid), []byte(h.cookie), h.version)
		return err
	})
	if err != nil {
		return fmt.Errorf("relay: keep a cookie: %w", err)
	}
	if h.hub == "" && g.alone {
		g.own[h.guid] = h.cookie
		if ends(h.cookie) {
			delete(g.own, h.guid)
		}
	}
	return nil
}

// told notes that a hub has been told a row, and what it said to it. One that ends the subscription has served its purpose.
func (g *registry) told(ctx context.Context, h handedOut, refusal string) error {
	query, args := "UPDATE handed_out SET told = version, refusal = ? WHERE hub = ? AND guid = ? AND version = ?", []any{refusal}
	if ends(h.cookie) && refusal == "" {
		query, args = "DELETE FROM handed_out WHERE hub = ? AND guid = ? AND version = ?", nil
	}
	if _, err := g.s.store.Exec(ctx, query, append(args, h.hub, []byte(h.guid), h.version)...); err != nil {
		return fmt.Errorf("relay: note what a hub was told: %w", err)
	}
	return nil
}

// drop forgets a row that cannot be subscribed.
func (g *registry) drop(ctx context.Context, h handedOut) error {
	_, err := g.s.store.Exec(ctx, "DELETE FROM handed_out WHERE hub = ? AND guid = ? AND version = ?", h.hub, []byte(h.guid), h.version)
	return err
}

// cookie returns the one that was handed out to a hub for an eventguid, if there is one.
func (g *registry) cookie(ctx context.Context, hub, guid string) (string, bool, error) {
	if hub == "" && g.alone {
		g.mu.RLock()
		defer g.mu.RUnlock()
		cookie, ok := g.own[guid]
		return cookie, ok, nil
	}
	h, found, err := g.row(ctx, hub, guid)
	return h.cookie, found && !ends(h.cookie), err
}
