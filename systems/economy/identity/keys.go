package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/store"
)

const (
	keyBits = 2048
	// reloadPause is the shortest time between two looks for keys that another process made.
	reloadPause = 5 * time.Second
	// skew is how long after its end a token is good.
	skew = 4 * time.Second
)

// key signs tokens.
type key struct {
	id      string
	private *rsa.PrivateKey
	created time.Time
}

// keys are the signing keys of the database, newest first.
type keys struct {
	store    *store.Store
	issuer   string
	lifetime time.Duration

	mu       sync.Mutex
	list     []key
	looked   time.Time
	verifier map[string]auth.Verifier // by key and audience
}

// load reads the keys.
func (k *keys) load(ctx context.Context) error {
	rows, err := k.store.Query(ctx, "SELECT id, private, created FROM signing_key ORDER BY created DESC, id")
	if err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	defer rows.Close()
	var list []key
	for rows.Next() {
		var one key
		var der []byte
		var created int64
		if err := rows.Scan(&one.id, &der, &created); err != nil {
			return fmt.Errorf("signing keys: %w", err)
		}
		private, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", one.id, err)
		}
		var ok bool
		if one.private, ok = private.(*rsa.PrivateKey); !ok {
			return fmt.Errorf("signing key %s: %T, want an RSA key", one.id, private)
		}
		one.created = time.UnixMilli(created)
		list = append(list, one)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list, k.looked = list, time.Now()
	for at := range k.verifier {
		id, _, _ := strings.Cut(at, " ")
		if !slices.ContainsFunc(list, func(one key) bool { return one.id == id }) {
			delete(k.verifier, at)
		}
	}
	return nil
}

// rotate makes a key where there is none, or where the newest is too old, and removes those that verify nothing any more.
func (k *keys) rotate(ctx context.Context, now time.Time) error {
	if err := k.load(ctx); err != nil {
		return err
	}
	if newest, err := k.newest(); err == nil && now.Sub(newest.created) < k.lifetime {
		return nil
	}
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	err = k.store.Tx(ctx, func(tx *store.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM signing_key WHERE created > ?", now.Add(-k.lifetime).UnixMilli()).Scan(&n); err != nil {
			return err
		}
		if n > 0 { // another process was first
			return nil
		}
		if _, err := tx.Exec(ctx, "INSERT INTO signing_key (id, private, created) VALUES (?, ?, ?)", rand.Text(), der, now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM signing_key WHERE created < ?", now.Add(-2*k.lifetime).UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("store signing key: %w", err)
	}
	return k.load(ctx)
}

func (k *keys) newest() (key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.list) == 0 {
		return key{}, errors.New("identity: no signing key")
	}
	return k.list[0], nil
}

func (k *keys) all() []key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.list)
}

// find returns the key that a token names, if need be from the database.
func (k *keys) find(ctx context.Context, id string) (key, error) {
	for try := 0; ; try++ {
		k.mu.Lock()
		i := slices.IndexFunc(k.list, func(one key) bool { return one.id == id })
		if i >= 0 {
			defer k.mu.Unlock()
			return k.list[i], nil
		}
		old := time.Since(k.looked) > reloadPause
		k.mu.Unlock()
		if try > 0 || !old {
			return key{}, fmt.Errorf("token is signed with the unknown key %q", id[:min(len(id), 40)])
		}
		if err := k.load(ctx); err != nil {
			return key{}, fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
		}
	}
}

// Verifier returns what decides whether access tokens of this service are good for an audience, such as "Trading", without going
// through the network. They are refused 5 s after their end at the latest. Where people sign in elsewhere it is [Config.Verify].
func (s *Service) Verifier(audience string) auth.Verifier {
	if s.foreign() {
		return s.config.Verify
	}
	return auth.Remember(func(ctx context.Context, token string) (*hubbub.User, error) {
		id, err := keyID(token)
		if err != nil {
			return nil, err
		}
		k, err := s.keys.find(ctx, id)
		if err != nil {
			return nil, err
		}
		verify, err := s.keys.verify(k, audience)
		if err != nil {
			return nil, err
		}
		return verify(ctx, token)
	}, rememberTokens)
}

// rememberTokens is how long a token that was checked is not checked again.
const rememberTokens = 10 * time.Second

func (k *keys) verify(one key, audience string) (auth.Verifier, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := one.id + " " + audience
	if v := k.verifier[at]; v != nil {
		return v, nil
	}
	v, err := auth.JWT(auth.JWTOptions{
		Key: &one.private.PublicKey, Issuer: k.issuer, Audience: []string{audience}, Algorithms: []string{string(jose.RS256)}, ClockSkew: skew,
	})
	if err != nil {
		return nil, err
	}
	if k.verifier == nil {
		k.verifier = make(map[string]auth.Verifier)
	}
	k.verifier[at] = v
	return v, nil
}

// keyID returns the key id in the header of a token, which is not verified.
func keyID(token string) (string, error) {
	header, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return "", errors.New("token is no JSON Web Token: its header is no base64url")
	}
	var h struct {
		ID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return "", errors.New("token is no JSON Web Token: its header is no JSON object")
	}
	return h.ID, nil
}

// signingKey is a key as package op takes it.
type signingKey struct{ key }

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) Key() any                                    { return k.private }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

// publicKey is the public part of a key as package op takes it.
type publicKey struct{ key }

func (k publicKey) ID() string                         { return k.id }
func (k publicKey) Key() any                           { return &k.private.PublicKey }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }

// SigningKey returns the newest key.
func (p *provider) SigningKey(context.Context) (op.SigningKey, error) {
	k, err := p.keys.newest()
	if err != nil {
		return nil, err
	}
	return signingKey{k}, nil
}

// SignatureAlgorithms returns RS256, which is what the original's clients take.
func (p *provider) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// KeySet returns the public parts of all keys.
func (p *provider) KeySet(context.Context) ([]op.Key, error) {
	var all []op.Key
	for _, k := range p.keys.all() {
		all = append(all, publicKey{k})
	}
	return all, nil
}
