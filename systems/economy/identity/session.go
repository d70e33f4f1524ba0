package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Cookies of a browser: one that tells it from others, one that says who is signed in there.
const (
	browserCookie = "hubbub_browser"
	sessionCookie = "hubbub_session"
)

// session is a row: somebody is signed in in a browser.
type session struct {
	id       string
	account  string
	authTime time.Time
}

// visit is what the cookies of a request say.
type visit struct {
	browser string // digest of the cookie
	session *session
}

type visitKey struct{}

func visitFrom(ctx context.Context) visit {
	v, _ := ctx.Value(visitKey{}).(visit)
	return v
}

// visiting has requests know their browser, which gets its cookie if it has none.
func (p *provider) visiting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v visit
		if c, err := r.Cookie(browserCookie); err == nil && len(c.Value) == 43 {
			v.browser = digest(c.Value)
		} else {
			own := secret()
			p.setCookie(w, browserCookie, own, 0)
			v.browser = digest(own)
		}
		if c, err := r.Cookie(sessionCookie); err == nil {
			if v.session, err = p.findSession(r.Context(), c.Value); err != nil {
				p.fail(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
	})
}

// setCookie sets a cookie for so long, 0 for until the browser is closed; negative removes it.
func (p *provider) setCookie(w http.ResponseWriter, name, value string, lifetime time.Duration) {
	c := &http.Cookie{
		Name: name, Value: value, Path: p.config.PathBase + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(p.config.Issuer, "https:"),
	}
	switch {
	case lifetime > 0:
		c.MaxAge = int(lifetime / time.Second)
	case lifetime < 0:
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// findSession returns nil if there is none.
func (p *provider) findSession(ctx context.Context, cookie string) (*session, error) {
	s := &session{id: digest(cookie)}
	var authTime int64
	err := p.store.QueryRow(ctx, "SELECT account, auth_time FROM session WHERE id = ? AND expires > ?", s.id, p.box.Now().UnixMilli()).Scan(&s.account, &authTime)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("identity: find session: %w", err)
	}
	s.authTime = time.UnixMilli(authTime)
	return s, nil
}

// beginSession signs an account in in the browser of the request, in place of who was.
func (p *provider) beginSession(ctx context.Context, w http.ResponseWriter, account string, now time.Time) error {
	if err := p.endSession(ctx, visitFrom(ctx).session); err != nil {
		return err
	}
	cookie := secret()
	if _, err := p.store.Exec(ctx, "INSERT INTO session (id, account, auth_time, expires) VALUES (?, ?, ?, ?)",
		digest(cookie), account, now.UnixMilli(), now.Add(p.config.SessionLifetime).UnixMilli()); err != nil {
		return fmt.Errorf("identity: begin session: %w", err)
	}
	p.setCookie(w, sessionCookie, cookie, p.config.SessionLifetime)
	return nil
}

func (p *provider) endSession(ctx context.Context, s *session) error {
	if s == nil {
		return nil
	}
	if _, err := p.store.Exec(ctx, "DELETE FROM session WHERE id = ?", s.id); err != nil {
		return fmt.Errorf("identity: end session: %w", err)
	}
	return nil
}

// TerminateSessionFromRequest signs out the browser of the context.
func (p *provider) TerminateSessionFromRequest(ctx context.Context, r *op.EndSessionRequest) (string, error) {
	return r.RedirectURI, p.endSession(ctx, visitFrom(ctx).session)
}

// TerminateSession does nothing: [provider.TerminateSessionFromRequest] is used in its place.
func (p *provider) TerminateSession(context.Context, string, string) error { return nil }

// sweep removes what has expired.
func (p *provider) sweep(ctx context.Context) error {
	now := p.box.Now().UnixMilli()
	for _, table := range []string{"session", "sign_in", "refresh_token"} {
		if _, err := p.store.Exec(ctx, "DELETE FROM "+table+" WHERE expires < ?", now); err != nil {
			return fmt.Errorf("identity: sweep: %w", err)
		}
	}
	return nil
}
