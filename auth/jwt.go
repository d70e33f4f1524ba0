package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// JWTOptions says which JSON Web Tokens are good and how to read them. The keys come from the first of Key, KeyFile, JWKSURL
// that is set; giving two of them is an error. With none of them they come by OpenID Connect discovery from Issuer.
type JWTOptions struct {
	// Key is a single key: a secret ([]byte, at least 32 bytes) for HS256, and from 48 and 64 bytes for HS384 and HS512 (RFC
	// 7518, section 3.2), an *rsa.PublicKey (2048 to 8192 bits) for RS and PS, an *ecdsa.PublicKey for the ES of its curve, or
	// an ed25519.PublicKey for EdDSA. It verifies whatever key id the token has. To have several use [Any].
	Key any
	// KeyFile names a file of keys, which is read once: PEM blocks with public keys or certificates (whose dates are not
	// looked at), one public key or certificate in DER, or a JWK set. Everything else is a secret, one line end cut off.
	KeyFile string
	// JWKSURL is the address of a JWK set, of at most 1 MiB and 64 keys. The keys are fetched with the first token.
	JWKSURL string
	// AllowHTTP admits addresses of the scheme http for keys and discovery, which otherwise are good for loopback hosts only:
	// whoever can change what comes by http can sign for everybody.
	AllowHTTP bool
	// HTTPClient fetches keys; nil stands for a plain client with the default transport.
	HTTPClient *http.Client
	// FetchTimeout bounds one fetch, discovery included. Default 10 s.
	FetchTimeout time.Duration
	// RefreshInterval is how old fetched keys may become before the next token has them fetched anew, in the background. When
	// that fails the old ones stay good, without a limit. Default 1 h.
	RefreshInterval time.Duration
	// RefreshPause is the shortest time between two fetches that tokens with an unknown key cause, and the longest between
	// two attempts after a failure (the first comes after 1 s). Default 30 s.
	RefreshPause time.Duration

	// Issuer is the only good value of the claim "iss". Empty: any, or none; set it unless the key signs for one issuer only.
	Issuer string
	// Audience lists the good values of the claim "aud", of which the token must have one. Empty: any, or none; set it unless
	// the key signs for this server only.
	Audience []string
	// Algorithms lists the algorithms to accept, such as RS256. Default: all that the key is good for. "none" never is, and a
	// public key never verifies an HS signature.
	Algorithms []string
	// ClockSkew is how long after "exp" and before "nbf" a token is still, or already, good. Default 5 min, as in .NET; a
	// negative value stands for none.
	ClockSkew time.Duration
	// AllowNoExpiry accepts tokens without "exp", whose users never expire.
	AllowNoExpiry bool

	// UserClaims are the claims that may hold [hubbub.User].ID, the first that is a text and not empty wins. Default: "sub",
	// "nameid" and the long name of .NET's name identifier. A token with none of them is good, but its user has no ID.
	UserClaims []string
	// NameClaims are the same for [hubbub.User].Name. Default: "name", "unique_name", "preferred_username" and the long name
	// of .NET's name claim.
	NameClaims []string
	// Logger hears of keys that could not be fetched. Nil stands for slog.Default().
	Logger *slog.Logger
}

var (
	defaultUserClaims = []string{"sub", "nameid", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"}
	defaultNameClaims = []string{"name", "unique_name", "preferred_username", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"}
)

// JWT returns a [Verifier] of signed JSON Web Tokens (RFC 7519) of at most 32 KiB. It fails if the options contradict each
// other or a key cannot be read; it does not touch the network. The verifier blocks only while keys are fetched that it needs.
// A user's Expires is the claim "exp", without the skew.
func JWT(o JWTOptions) (Verifier, error) {
	for _, a := range o.Algorithms {
		if !slices.Contains(algorithms, a) {
			return nil, fmt.Errorf("auth: jwt: algorithm %s, want one of %s", quote(a), strings.Join(algorithms, ", "))
		}
	}
	o.defaults()
	if len(o.Algorithms) == 0 {
		o.Algorithms = algorithms
		if o.Key == nil && o.KeyFile == "" {
			o.Algorithms = publicKeyAlgorithms
		}
	}
	source, err := o.source()
	if err != nil {
		return nil, fmt.Errorf("auth: jwt: %w", err)
	}
	return newTokens(o, source).verify, nil
}

func (o *JWTOptions) defaults() {
	if o.FetchTimeout <= 0 {
		o.FetchTimeout = 10 * time.Second
	}
	if o.RefreshInterval <= 0 {
		o.RefreshInterval = time.Hour
	}
	if o.RefreshPause <= 0 {
		o.RefreshPause = 30 * time.Second
	}
	if o.ClockSkew == 0 {
		o.ClockSkew = 5 * time.Minute
	}
	if len(o.UserClaims) == 0 {
		o.UserClaims = defaultUserClaims
	}
	if len(o.NameClaims) == 0 {
		o.NameClaims = defaultNameClaims
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func (o *JWTOptions) source() (keySource, error) {
	given := 0
	for _, set := range []bool{o.Key != nil, o.KeyFile != "", o.JWKSURL != ""} {
		if set {
			given++
		}
	}
	if given > 1 {
		return nil, errors.New("more than one of Key, KeyFile and JWKSURL, want one source of keys")
	}
	switch {
	case o.Key != nil:
		k, err := newKey("", o.Key)
		if err != nil {
			return nil, err
		}
		return o.static(&keySet{keys: []key{k}})
	case o.KeyFile != "":
		set, err := readKeyFile(o.KeyFile)
		if err != nil {
			return nil, err
		}
		return o.static(set)
	}
	return o.remote()
}

func (o *JWTOptions) static(set *keySet) (keySource, error) {
	if !set.verifies(o.Algorithms) {
		return nil, fmt.Errorf("algorithms %v, but the key is for %v", o.Algorithms, set.keys[0].algs)
	}
	return static{set}, nil
}

func (o *JWTOptions) remote() (keySource, error) {
	for _, a := range o.Algorithms {
		if !slices.Contains(publicKeyAlgorithms, a) {
			return nil, fmt.Errorf("algorithm %s, want one with a public key: fetched keys are no secrets", a)
		}
	}
	f := newFetcher(o.HTTPClient, o.AllowHTTP)
	address, fetch := o.JWKSURL, f.keys
	if address == "" {
		if o.Issuer == "" {
			return nil, errors.New("no key: want Key, KeyFile or JWKSURL, or Issuer for discovery")
		}
		address, fetch = o.Issuer, f.discover
	}
	if _, err := f.parse(address); err != nil {
		return nil, err
	}
	return &remote{
		fetch:   func(ctx context.Context) (*keySet, error) { return fetch(ctx, address) },
		refresh: o.RefreshInterval, pause: o.RefreshPause, timeout: o.FetchTimeout, log: o.Logger,
	}, nil
}
