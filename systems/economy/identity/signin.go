package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/hubbub-go/hubbub/systems/store"
)

// How long a browser may take to sign in, and a client to use a code.
const (
	signInLifetime = time.Hour
	codeLifetime   = time.Minute
)

// Bounds of what a client may have us remember.
const (
	maximumState  = 4096
	maximumScopes = 64
)

// errNoSignIn says that there is no such sign-in, or that it is of another browser.
var errNoSignIn = errors.New("identity: this sign-in is not known, has expired or was begun in another browser")

// CreateAuthRequest stores a sign-in that the browser of the context begins. It is done at once if somebody is signed in there.
func (p *provider) CreateAuthRequest(ctx context.Context, r *oidc.AuthRequest, hinted string) (op.AuthRequest, error) {
	if r.CodeChallenge == "" || r.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("PKCE with code_challenge_method S256 is required")
	}
	if len(r.State)+len(r.Nonce)+len(r.CodeChallenge) > maximumState || len(r.Scopes) > maximumScopes {
		return nil, oidc.ErrInvalidRequest().WithDescription("state, nonce or scope is too long")
	}
	if !isText(r.State) || !isText(r.Nonce) || !isText(r.CodeChallenge) || !isText(string(r.ResponseMode)) {
		return nil, oidc.ErrInvalidRequest().WithDescription("state, nonce, code_challenge or response_mode is no text")
	}
	scopes := unique(r.Scopes)
	if len(scopes) == 0 {
		return nil, oidc.ErrInvalidScope().WithDescription("no scope is known")
	}
	v := visitFrom(ctx)
	now := p.box.Now()
	s := &signIn{
		grant: grant{client: r.ClientID, scopes: scopes}, id: secret(), browser: v.browser, redirectURI: r.RedirectURI,
		state: r.State, nonce: r.Nonce, responseMode: string(r.ResponseMode), challenge: r.CodeChallenge, expires: now.Add(signInLifetime),
	}
	if here := v.session; here != nil && mayReuse(here, r, hinted, now) {
		s.account, s.authTime = here.account, here.authTime
	}
	if s.account == "" && slices.Contains(r.Prompt, oidc.PromptNone) {
		return nil, oidc.ErrLoginRequired()
	}
	if _, err := p.store.Exec(ctx, `INSERT INTO sign_in (id, browser, client, redirect_uri, scopes, state, nonce, response_mode, challenge, account, auth_time, used, expires)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`, s.id, s.browser, s.client, s.redirectURI, strings.Join(s.scopes, " "), s.state, s.nonce, s.responseMode,
		s.challenge, s.account, s.authTime.UnixMilli(), s.expires.UnixMilli()); err != nil {
		return nil, fmt.Errorf("identity: store sign-in: %w", err)
	}
	return s, nil
}

// mayReuse reports whether a client takes that somebody has signed in before.
func mayReuse(here *session, r *oidc.AuthRequest, hinted string, now time.Time) bool {
	for _, prompt := range r.Prompt {
		if prompt != oidc.PromptNone {
			return false
		}
	}
	if r.MaxAge != nil && now.Sub(here.authTime) > time.Duration(*r.MaxAge)*time.Second {
		return false
	}
	return hinted == "" || hinted == here.account
}

func unique(list []string) []string {
	var all []string
	for _, s := range list {
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

const signInColumns = "id, browser, client, redirect_uri, scopes, state, nonce, response_mode, challenge, account, auth_time, used, expires"

func scanSignIn(row interface{ Scan(...any) error }) (*signIn, error) {
	var s signIn
	var scopes string
	var authTime, used, expires int64
	err := row.Scan(&s.id, &s.browser, &s.client, &s.redirectURI, &scopes, &s.state, &s.nonce, &s.responseMode, &s.challenge, &s.account, &authTime, &used, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoSignIn
	}
	s.scopes, s.authTime, s.used, s.expires = strings.Fields(scopes), time.UnixMilli(authTime), used != 0, time.UnixMilli(expires)
	return &s, err
}

// AuthRequestByID returns a sign-in that the browser of the context has begun. Another one must not have it: who sends somebody
// the address of a sign-in of his own would get a code for that account.
func (p *provider) AuthRequestByID(ctx context.Context, id string) (op.AuthRequest, error) {
	s, err := p.signIn(ctx, id)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (p *provider) signIn(ctx context.Context, id string) (*signIn, error) {
	if !isText(id) {
		return nil, errNoSignIn
	}
	s, err := scanSignIn(p.store.QueryRow(ctx, "SELECT "+signInColumns+" FROM sign_in WHERE id = ?", id))
	if err != nil {
		return nil, err
	}
	if s.browser != visitFrom(ctx).browser || s.used || !p.box.Now().Before(s.expires) {
		return nil, errNoSignIn
	}
	return s, nil
}

// signedIn says whose sign-in it is.
func (p *provider) signedIn(ctx context.Context, s *signIn, account string, now time.Time) error {
	n, err := p.store.Exec(ctx, "UPDATE sign_in SET account = ?, auth_time = ? WHERE id = ? AND used = 0 AND code IS NULL", account, now.UnixMilli(), s.id)
	if err != nil {
		return fmt.Errorf("identity: note sign-in: %w", err)
	}
	if n == 0 {
		return errNoSignIn
	}
	return nil
}

// SaveAuthCode gives a sign-in its code, once.
func (p *provider) SaveAuthCode(ctx context.Context, id, code string) error {
	n, err := p.store.Exec(ctx, "UPDATE sign_in SET code = ?, expires = ? WHERE id = ? AND code IS NULL AND used = 0",
		digest(code), p.box.Now().Add(codeLifetime).UnixMilli(), id)
	if err != nil {
		return fmt.Errorf("identity: store code: %w", err)
	}
	if n == 0 {
		return oidc.ErrInvalidRequest().WithDescription("this sign-in has a code already")
	}
	return nil
}

// AuthRequestByCode returns the sign-in of a code, which is used up by that whatever comes next. A second use means that somebody
// else has the code: then the refresh tokens that came from it end.
func (p *provider) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	var s *signIn
	err := p.store.Tx(ctx, func(tx *store.Tx) error {
		var err error
		if s, err = scanSignIn(tx.QueryRow(ctx, "SELECT "+signInColumns+" FROM sign_in WHERE code = ?", digest(code))); err != nil {
			return err
		}
		if s.used {
			_, err := tx.Exec(ctx, "DELETE FROM refresh_token WHERE family = ?", s.id)
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE sign_in SET used = 1 WHERE id = ?", s.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.used || !p.box.Now().Before(s.expires) {
		return nil, errNoSignIn
	}
	return s, nil
}

// DeleteAuthRequest does nothing: a used sign-in stays until it expires, so that a second use of its code is seen.
func (p *provider) DeleteAuthRequest(context.Context, string) error { return nil }
