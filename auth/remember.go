package auth

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// mostRemembered bounds the tokens of one [Remember].
const mostRemembered = 16 << 10

// Remember returns a [Verifier] that asks v once for each good token and answers by itself for so long, but not past the end of the
// token: checking a signature costs more than most requests. Within that time a token is good although its key was withdrawn.
// It keeps no token, only their SHA-256, 16,384 at most, and nothing of tokens that v refuses. The users it returns share their
// claims, which nobody may change.
func Remember(v Verifier, long time.Duration) Verifier {
	m := &memory{known: make(map[[sha256.Size]byte]remembered)}
	return func(ctx context.Context, token string) (*hubbub.User, error) {
		if len(token) > maxToken {
			return v(ctx, token)
		}
		key := sha256.Sum256([]byte(token))
		now := time.Now()
		if u := m.find(key, now); u != nil {
			return u, nil
		}
		u, err := v(ctx, token)
		if err == nil && u != nil {
			m.add(key, u, now, long)
		}
		return u, err
	}
}

// memory has the users of good tokens.
type memory struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]remembered
}

type remembered struct {
	user  hubbub.User
	until time.Time
}

// find returns a copy of the user of a token, nil if it is not known.
func (m *memory) find(key [sha256.Size]byte, now time.Time) *hubbub.User {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, known := m.known[key]
	if !known {
		return nil
	}
	if !now.Before(r.until) {
		delete(m.known, key)
		return nil
	}
	return &r.user
}

func (m *memory) add(key [sha256.Size]byte, u *hubbub.User, now time.Time, long time.Duration) {
	until := now.Add(long)
	if !u.Expires.IsZero() && u.Expires.Before(until) {
		until = u.Expires
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= mostRemembered {
		clear(m.known)
	}
	m.known[key] = remembered{*u, until}
}
