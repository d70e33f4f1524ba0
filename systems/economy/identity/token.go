package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/hubbub-go/hubbub/systems/store"
)

// IssueToken returns an access token of the account with an e-mail, for the given time, without a browser: with its roles, the
// scopes of the portal and the audiences of all four services, from the issuer that was served last from the database. The
// service may be running. A Name of the database that is empty is "identity". It blocks for the database, which it opens and
// closes. It returns [ErrNoAccount] if there is no such account.
func IssueToken(ctx context.Context, database store.Config, email string, ttl time.Duration) (string, error) {
	def(&database.Name, "identity")
	db, err := store.Open(ctx, database, migrations())
	if err != nil {
		return "", fmt.Errorf("identity: issue token: %w", err)
	}
	defer db.Close()
	var issuer string
	err = db.QueryRow(ctx, "SELECT value FROM setting WHERE name = 'issuer'").Scan(&issuer)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errors.New("identity: issue token: the identity service was never started with this database, so it has no issuer, want it to be started once")
	}
	if err != nil {
		return "", fmt.Errorf("identity: issue token: %w", err)
	}
	s := &Service{store: db, keys: &keys{store: db, issuer: issuer}}
	if err := s.keys.load(ctx); err != nil {
		return "", fmt.Errorf("identity: issue token: %w", err)
	}
	return s.issue(ctx, issuer, email, ttl)
}

// Token is [IssueToken] of a running service.
func (s *Service) Token(ctx context.Context, email string, ttl time.Duration) (string, error) {
	return s.issue(ctx, s.config.Issuer, email, ttl)
}

func (s *Service) issue(ctx context.Context, issuer, email string, ttl time.Duration) (string, error) {
	a, err := accountByEmail(ctx, s.store, email)
	if err != nil {
		return "", fmt.Errorf("identity: issue token for %q: %w", email, err)
	}
	p := &provider{Service: s}
	client := &opClient{Client: Client{ID: "frontend"}}
	g := &grant{client: client.ID, account: a.ID.String(), scopes: portalScopes, authTime: time.Now()}
	token, err := op.CreateJWT(ctx, issuer, g, time.Now().UTC().Add(ttl), rand.Text(), client, p)
	if err != nil {
		return "", fmt.Errorf("identity: issue token for %q: %w", email, err)
	}
	return token, nil
}
