package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Settings of the installation in the store.
const (
	settingInstallation = "installation"
	settingLicence      = "licence"
)

// licenceState is the licence in force, and the timer of its end.
type licenceState struct {
	installation string

	mu      sync.Mutex
	grant   *grant
	timer   *time.Timer
	stopped bool
}

func (l *licenceState) current() *grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grant
}

func (l *licenceState) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// set puts a licence in force; expired runs once its time is over.
func (l *licenceState) set(g *grant, left time.Duration, expired func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grant = g
	if l.timer != nil {
		l.timer.Stop()
	}
	if !l.stopped {
		l.timer = time.AfterFunc(left, expired)
	}
}

// loadLicence reads the licence from the store, and grants the first one where there is none.
func (s *System) loadLicence(ctx context.Context) error {
	var g *grant
	var installation string
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		g = nil
		if _, err := tx.Exec(ctx, "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
			settingInstallation, newID()); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT value FROM setting WHERE name = ?", settingInstallation).Scan(&installation); err != nil {
			return err
		}
		var text string
		err := tx.QueryRow(ctx, "SELECT value FROM setting WHERE name = ?", settingLicence).Scan(&text)
		switch {
		case err == nil:
			g = new(grant)
			return json.Unmarshal([]byte(text), g)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		case s.config.FirstLicence == nil:
			return nil
		}
		g = s.config.FirstLicence.grant(licenceRequest{Installation: installation}, s.now())
		g.Activated = g.Issued
		return putLicence(ctx, tx, g)
	})
	if err != nil {
		return fmt.Errorf("load licence: %w", err)
	}
	s.licence.installation = installation // the same every time
	s.enforce(g)
	return nil
}

func putLicence(ctx context.Context, tx *store.Tx, g *grant) error {
	text, err := encode(g)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		settingLicence, string(text))
	return err
}

// enforce puts a licence in force and sees to its end.
func (s *System) enforce(g *grant) {
	if g != nil {
		s.licence.set(g, g.Expires.Sub(s.now()), s.licenceExpired)
	}
}

// licenceExpired closes all connections, for good.
func (s *System) licenceExpired() {
	if err := s.licenceError(s.now()); err != nil {
		n := s.hub.CloseWhere(func(*hubbub.Caller) bool { return true }, err.Detail, false)
		s.log.Warn("notify: the licence has expired", "closed", n)
	}
}

// licenceError returns the problem of an expired licence, or nil.
func (s *System) licenceError(now time.Time) *ProblemDetails {
	g := s.licence.current()
	if g == nil || now.Before(g.Expires.Time) {
		return nil
	}
	return problem(http.StatusForbidden, ErrorLicenseExpired, "The licence expired at "+g.Expires.UTC().Format(timeFormat)+".")
}

// maxDevices returns how many devices may have a live session, 0 for any number.
func (s *System) maxDevices(now time.Time) int {
	most := s.licence.current().maxDevices(now)
	if own := s.config.MaxDevices; own > 0 && (most == 0 || own < most) {
		return own
	}
	return most
}

// License returns the licence as it is now, or nil if there is none.
func (s *System) License() *License {
	if g := s.licence.current(); g != nil {
		return g.license(s.now())
	}
	return nil
}

// RequestCode returns the code that a licence for this installation is issued for ([IssueLicence]).
func (s *System) RequestCode(shopID int64) string {
	return requestCode(licenceRequest{Installation: s.licence.installation, Shop: shopID})
}

// Activate stores the licence of an activation code, puts it in force on every node and publishes [LicenceActivated]. The
// same code once more changes nothing. It fails with a [*ProblemDetails] for a code that is not good.
func (s *System) Activate(ctx context.Context, code string) (*License, error) {
	g, wrong := parseActivationCode(s.config.Keys, code, s.licence.installation)
	if wrong != nil {
		return nil, invalid(wrong)
	}
	now := s.now()
	if !now.Before(g.Expires.Time) {
		return nil, invalid(bad("activationCode", "the licence of activation code %q has expired at %s", clip(code), g.Expires.UTC().Format(timeFormat)))
	}
	if known := s.licence.current(); known != nil && known.ID == g.ID {
		return known.license(now), nil
	}
	g.Activated = Time{now}
	if err := s.store.Tx(ctx, func(tx *store.Tx) error { return putLicence(ctx, tx, g) }); err != nil {
		return nil, fmt.Errorf("notify: activate licence: %w", err)
	}
	s.enforce(g)
	s.tell(ctx, &nodeMessage{Kind: kindLicence})
	l := g.license(now)
	if _, err := s.Publish(ctx, Notification{Event: LicenceActivated, Payload: l}); err != nil {
		return nil, err
	}
	return l, nil
}
