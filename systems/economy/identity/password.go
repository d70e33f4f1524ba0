package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"

	"golang.org/x/crypto/bcrypt"
)

// passwords hashes and compares passwords, as many at once as there are processors.
type passwords struct {
	cost   int
	absent []byte // what is compared with where there is no account, so that it takes as long
	busy   chan struct{}
}

func newPasswords(cost int) (*passwords, error) {
	absent, err := bcrypt.GenerateFromPassword([]byte("nobody"), cost)
	if err != nil {
		return nil, fmt.Errorf("password cost: %w", err)
	}
	return &passwords{cost: cost, absent: absent, busy: make(chan struct{}, runtime.GOMAXPROCS(0))}, nil
}

func (p *passwords) enter(ctx context.Context) error {
	select {
	case p.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer func() { <-p.busy }()
	h, err := bcrypt.GenerateFromPassword([]byte(password), p.cost)
	if err != nil {
		return "", fmt.Errorf("identity: hash password: %w", err)
	}
	return string(h), nil
}

// right reports whether it is the password of the account, which may be nil.
func (p *passwords) right(ctx context.Context, a *account, password string) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer func() { <-p.busy }()
	hash := p.absent
	if a != nil {
		hash = []byte(a.password)
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && a != nil, nil
}

// secret returns what nobody guesses: 256 bits in base64url.
func secret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// digest is what is stored in place of a secret.
func digest(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(h[:])
}
