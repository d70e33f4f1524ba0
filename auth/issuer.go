package auth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hubbub-go/hubbub"
)

// issuerPurpose keeps the keys of tokens apart from everything else that a ring signs.
const issuerPurpose = "hubbub/auth: JSON Web Token HS256"

// Issuer signs the tokens that a server issues for itself and verifies them: standard JSON Web Tokens, signed by HS256 with a
// key derived from Keys, whose id is the header's "kid". Every node with the same ring accepts them, and so do they after the
// ring was rotated, as long as it has the key. An Issuer must not be changed once it is in use, and is then safe for concurrent
// use.
type Issuer struct {
	// Keys signs with its current key and verifies with all.
	Keys *hubbub.KeyRing
	// Issuer is the claim "iss" of every token. Empty: there is none.
	Issuer string
	// Audience is the claim "aud" of every token; it keeps tokens of several kinds apart that one ring signs. Empty: there is none.
	Audience string
}

// Sign returns a token with the claims that is good from now on for ttl, rounded up to whole seconds. The claims "iss", "aud",
// "iat" and "exp" are the issuer's own, so claims must not have them. The map is only read.
func (i *Issuer) Sign(claims map[string]any, ttl time.Duration) (string, error) {
	if i.Keys == nil {
		return "", errors.New("auth: issuer: no key ring to sign with")
	}
	if ttl <= 0 {
		return "", fmt.Errorf("auth: issuer: time to live is %v, want more than nothing", ttl)
	}
	all := jwt.MapClaims{}
	for name, v := range claims {
		switch name {
		case "iss", "aud", "iat", "exp":
			return "", fmt.Errorf("auth: issuer: the claim %q is the issuer's own", name)
		}
		all[name] = v
	}
	now := time.Now()
	end := now.Add(ttl)
	if whole := end.Truncate(time.Second); !whole.Equal(end) {
		end = whole.Add(time.Second)
	}
	all["iat"], all["exp"] = now.Unix(), end.Unix()
	if i.Issuer != "" {
		all["iss"] = i.Issuer
	}
	if i.Audience != "" {
		all["aud"] = i.Audience
	}
	id := i.Keys.Current()
	secret, _ := i.Keys.Derive(id, issuerPurpose)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, all)
	token.Header["kid"] = strconv.FormatUint(uint64(id), 10)
	text, err := token.SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("auth: issuer: %w", err)
	}
	if len(text) > maxToken {
		return "", fmt.Errorf("auth: issuer: token would have %d bytes, want at most %d", len(text), maxToken)
	}
	return text, nil
}

// Verify is the [Verifier] of the tokens that Sign makes. It takes no account of a clock skew and does not block.
func (i *Issuer) Verify(ctx context.Context, token string) (*hubbub.User, error) {
	if i.Keys == nil {
		return nil, errors.New("auth: issuer: no key ring to verify with")
	}
	o := JWTOptions{Issuer: i.Issuer, ClockSkew: -1, Algorithms: algorithms[:1]}
	if i.Audience != "" {
		o.Audience = []string{i.Audience}
	}
	o.defaults()
	return newTokens(o, ringSource{i.Keys}).verify(ctx, token)
}

// ringSource derives the key that a token names.
type ringSource struct{ ring *hubbub.KeyRing }

func (s ringSource) current(_ context.Context, id string) (*keySet, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return &keySet{}, nil
	}
	secret, ok := s.ring.Derive(uint32(n), issuerPurpose)
	if !ok {
		return &keySet{}, nil
	}
	return &keySet{keys: []key{{id: id, algs: algorithms[:1], key: secret}}}, nil
}

func (s ringSource) renew(_ context.Context, old *keySet) (*keySet, error) { return old, nil }
