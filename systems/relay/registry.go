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
	alone bool // nobody else writes to the database

	mu  sync.RWMutex
	own map[string]string // cookies of subscriptions to this server itself, if alone
}

// handedOut is a row of the registry.
type handedOut struct{ hub, guid, cookie string }

// newRegistry reads what was subscribed before.
func newRegistry(ctx context.Context, s *System) (*registry, []handedOut, error) {
	g := &registry{s: s, alone: s.store.Database() == "sqlite", own: make(map[string]string)}
	rows, err := s.store.Query(ctx, "SELECT hub, guid, cookie FROM handed_out ORDER BY created, hub, guid")
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var others []handedOut
	for rows.Next() {
		var h handedOut
		var guid, cookie []byte
		if err := rows.Scan(&h.hub, &guid, &cookie); err != nil {
			return nil, nil, err
		}
		h.guid, h.cookie = string(guid), string(cookie)
		if h.hub == "" {
			g.own[h.guid] = h.cookie
		} else {
			others = append(others, h)
		}
	}
	return g, others, rows.Err()
}

// put keeps a cookie, the only one of its hub and eventguid from now on; one that ends the subscription is kept as none.
func (g *registry) put(ctx context.Context, h handedOut) error {
	if h.hub == "" {
		g.mu.Lock() // so that memory and database agree about the last one
		defer g.mu.Unlock()
	}
	if ends(h.cookie) {
		if _, err := g.s.store.Exec(ctx, "DELETE FROM handed_out WHERE hub = ? AND guid = ?", h.hub, []byte(h.guid)); err != nil {
			return fmt.Errorf("relay: forget a cookie: %w", err)
		}
		if h.hub == "" {
			delete(g.own, h.guid)
		}
		return nil
	}
	_, err := g.s.store.Exec(ctx, `INSERT INTO handed_out (hub, guid, cookie, created) VALUES (?, ?, ?, ?)
		ON CONFLICT (hub, guid) DO UPDATE SET cookie = excluded.cookie`, h.hub, []byte(h.guid), []byte(h.cookie), millis(g.s.now()))
	if err != nil {
		return fmt.Errorf("relay: keep a cookie: %w", err)
	}
	if h.hub == "" {
		g.own[h.guid] = h.cookie
	}
	return nil
}

// cookie returns the one that was handed out to a hub for an eventguid, if there is one.
func (g *registry) cookie(ctx context.Context, hub, guid string) (string, bool, error) {
	if hub == "" && g.alone {
		g.mu.RLock()
		defer g.mu.RUnlock()
		cookie, ok := g.own[guid]
		return cookie, ok, nil
	}
	var cookie []byte
	err := g.s.store.QueryRow(ctx, "SELECT cookie FROM handed_out WHERE hub = ? AND guid = ?", hub, []byte(guid)).Scan(&cookie)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return string(cookie), err == nil, err
}

// listenerName returns the name of this server as a listener elsewhere, which it keeps.
func listenerName(ctx context.Context, s *store.Store) (name string, err error) {
	err = s.Tx(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, "SELECT name FROM listener_name").Scan(&name)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		name = newID()
		_, err = tx.Exec(ctx, "INSERT INTO listener_name (name) VALUES (?)", name)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("name of this server as a listener: %w", err)
	}
	return name, nil
}
