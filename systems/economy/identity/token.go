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
	all, err := IssueTokens(ctx, database, ttl, email)
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// IssueTokens is [IssueToken] for several accounts, one token for each e-mail in their order.
func IssueTokens(ctx context.Context, database store.Config, ttl time.Duration, emails ...string) ([]string, error) {
	def(&database.Name, "identity")
	db, err := store.Open(ctx, database, migrations())
	if err != nil {
		return nil, fmt.Errorf("identity: issue token: %w", err)
	}
	defer db.Close()
	var issuer string
	err = db.QueryRow(ctx, "SELECT value FROM setting WHERE name = 'issuer'").Scan(&issuer)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errors.New("identity: issue token: the identity service was last started with another issuer than itself, or never, with this database: want it to be started with its own")
	}
	if err != nil {
		return nil, fmt.Errorf("identity: issue token: %w", err)
	}
	s := &Service{store: db, keys: &keys{store: db, issuer: issuer}}
	if err := s.keys.load(ctx); err != nil {
		return nil, fmt.Errorf("identity: issue token: %w", err)
	}
	all := make([]string, len(emails))
	for i, email := range emails {
		if all[i], err = s.issue(ctx, issuer, email, ttl); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Token is [IssueToken] of a running service.
func (s *Service) Token(ctx context.Context, email string, ttl time.Duration) (string, error) {
	if s.foreign() {
		return "", errors.New("identity: issue token: the issuer is somebody else, want a token of theirs")
	}
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
