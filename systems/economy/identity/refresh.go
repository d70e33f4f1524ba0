package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/hubbub-go/hubbub/systems/store"
)

// errNoRefreshToken says that there is no such refresh token, or that it was used.
var errNoRefreshToken = errors.New("identity: this refresh token is not known, has expired or was used")

// CreateAccessToken says until when an access token is good; nothing of it is stored.
func (p *provider) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return rand.Text(), time.Now().UTC().Add(p.config.AccessTokenLifetime), nil
}

// CreateAccessAndRefreshTokens stores the first refresh token of a sign-in, or one in place of the current one.
func (p *provider) CreateAccessAndRefreshTokens(ctx context.Context, r op.TokenRequest, current string) (id, refresh string, expires time.Time, err error) {
	refresh = secret()
	err = p.store.Tx(ctx, func(tx *store.Tx) error {
		switch r := r.(type) {
		case *signIn:
			return putRefresh(ctx, tx, refresh, &renewal{
				grant: r.grant, family: r.id, all: r.scopes, expires: p.box.Now().Add(p.config.RefreshTokenLifetime),
			})
		case *renewal:
			n, err := tx.Exec(ctx, "UPDATE refresh_token SET used = 1 WHERE id = ? AND used = 0", digest(current))
			if err != nil {
				return err
			}
			if n == 0 { // another request was first
				return oidc.ErrInvalidGrant()
			}
			return putRefresh(ctx, tx, refresh, r)
		default:
			return fmt.Errorf("identity: refresh token for %T", r)
		}
	})
	if err != nil {
		return "", "", time.Time{}, err
	}
	id, expires, err = p.CreateAccessToken(ctx, r)
	return id, refresh, expires, err
}

func putRefresh(ctx context.Context, tx *store.Tx, token string, r *renewal) error {
	_, err := tx.Exec(ctx, "INSERT INTO refresh_token (id, family, account, client, scopes, auth_time, used, expires) VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
		digest(token), r.family, r.account, r.client, strings.Join(r.all, " "), r.authTime.UnixMilli(), r.expires.UnixMilli())
	return err
}

func findRefresh(ctx context.Context, q store.Queryer, token string) (r *renewal, used bool, err error) {
	r = &renewal{}
	var scopes string
	var authTime, expires, isUsed int64
	err = q.QueryRow(ctx, "SELECT family, account, client, scopes, auth_time, used, expires FROM refresh_token WHERE id = ?", digest(token)).
		Scan(&r.family, &r.account, &r.client, &scopes, &authTime, &isUsed, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, errNoRefreshToken
	}
	r.all = strings.Fields(scopes)
	r.scopes, r.authTime, r.expires = r.all, time.UnixMilli(authTime), time.UnixMilli(expires)
	return r, isUsed != 0, err
}

// TokenRequestByRefreshToken returns what a refresh token is for. One that was used before has been copied: then all of its
// family end.
func (p *provider) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	r, used, err := findRefresh(ctx, p.store, token)
	if err != nil {
		return nil, err
	}
	if used {
		p.config.Logger.WarnContext(ctx, "identity: a used refresh token came again, so its sign-in ends", "account", r.account, "client", r.client)
		if err := p.endFamily(ctx, r.family); err != nil {
			return nil, err
		}
	}
	if used || !p.box.Now().Before(r.expires) {
		return nil, errNoRefreshToken
	}
	return r, nil
}

func (p *provider) endFamily(ctx context.Context, family string) error {
	if _, err := p.store.Exec(ctx, "DELETE FROM refresh_token WHERE family = ?", family); err != nil {
		return fmt.Errorf("identity: end refresh tokens: %w", err)
	}
	return nil
}

// GetRefreshTokenInfo returns account and family of a refresh token, or op.ErrInvalidRefreshToken.
func (p *provider) GetRefreshTokenInfo(ctx context.Context, client, token string) (account, family string, err error) {
	r, _, err := findRefresh(ctx, p.store, token)
	if errors.Is(err, errNoRefreshToken) || err == nil && r.client != client {
		return "", "", op.ErrInvalidRefreshToken
	}
	if err != nil {
		return "", "", err
	}
	return r.account, r.family, nil
}

// RevokeToken ends the refresh tokens of a family. Access tokens end by themselves.
func (p *provider) RevokeToken(ctx context.Context, family, account, client string) *oidc.Error {
	if _, err := p.store.Exec(ctx, "DELETE FROM refresh_token WHERE family = ? AND account = ? AND client = ?", family, account, client); err != nil {
		return oidc.ErrServerError().WithParent(err)
	}
	return nil
}
