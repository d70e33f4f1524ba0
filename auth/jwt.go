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

	"github.com/golang-jwt/jwt/v5"

	"github.com/hubbub-go/hubbub"
)

// maxToken bounds an access token, in bytes.
const maxToken = 32 << 10

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
	// AllowHTTP admits addresses of the scheme http on other hosts than this one for keys and discovery.
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

// tokens verifies tokens with the keys of a source.
type tokens struct {
	o         JWTOptions
	source    keySource
	parser    *jwt.Parser
	validator *jwt.Validator
}

// newTokens wants options with their defaults filled in.
func newTokens(o JWTOptions, source keySource) *tokens {
	checks := []jwt.ParserOption{jwt.WithLeeway(max(o.ClockSkew, 0))}
	if o.Issuer != "" {
		checks = append(checks, jwt.WithIssuer(o.Issuer))
	}
	if len(o.Audience) > 0 {
		checks = append(checks, jwt.WithAudience(o.Audience...))
	}
	if !o.AllowNoExpiry {
		checks = append(checks, jwt.WithExpirationRequired())
	}
	return &tokens{o: o, source: source, parser: jwt.NewParser(jwt.WithStrictDecoding()), validator: jwt.NewValidator(checks...)}
}

func (t *tokens) verify(ctx context.Context, text string) (*hubbub.User, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	claims := jwt.MapClaims{}
	token, _, err := t.parser.ParseUnverified(text, claims)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	alg := token.Method.Alg()
	switch _, critical := token.Header["crit"]; {
	case !slices.Contains(t.o.Algorithms, alg):
		return nil, fmt.Errorf("auth: token is signed with %s, which is not accepted", quote(alg))
	case critical:
		return nil, errors.New("auth: token has critical header parameters, want none") // RFC 7515, section 4.1.11
	}
	if err := t.checkSignature(ctx, token); err != nil {
		return nil, err
	}
	expires, err := t.checkClaims(claims)
	if err != nil {
		return nil, err
	}
	u := &hubbub.User{Claims: claims, Expires: expires}
	u.ID = firstClaim(u, t.o.UserClaims)
	u.Name = firstClaim(u, t.o.NameClaims)
	return u, nil
}

// checkText refuses what is no token before any work is done on it. The decoder of the standard library passes over line
// ends, so they are looked for here.
func checkText(text string) error {
	if len(text) > maxToken {
		return fmt.Errorf("auth: token has %d bytes, want at most %d", len(text), maxToken)
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return fmt.Errorf("auth: token has the byte %#x at %d, want base64url and dots", c, i)
		}
	}
	return nil
}

func (t *tokens) checkSignature(ctx context.Context, token *jwt.Token) error {
	id, ok := token.Header["kid"].(string)
	if _, given := token.Header["kid"]; given && !ok {
		return errors.New("auth: token has a key id that is no text")
	}
	set, err := t.source.current(ctx, id)
	if err != nil {
		return err
	}
	for range 2 {
		keys := set.candidates(id, token.Method.Alg())
		if signedByOne(token, keys) {
			return nil
		}
		if id != "" && len(keys) > 0 {
			return errors.New("auth: signature of the token is wrong")
		}
		newer, err := t.source.renew(ctx, set)
		if err != nil {
			return err
		}
		if newer == set {
			break
		}
		set = newer
	}
	return fmt.Errorf("auth: token is signed with %s and the key %s, which is none of ours", token.Method.Alg(), quote(id))
}

func signedByOne(token *jwt.Token, keys []key) bool {
	signed := token.Raw[:strings.LastIndexByte(token.Raw, '.')]
	for _, k := range keys {
		if token.Method.Verify(signed, token.Signature, k.key) == nil {
			return true
		}
	}
	return false
}

// maxTime is the end of the year 9999: beyond it conversions between numbers and times go wrong.
const maxTime = 253402300799

func (t *tokens) checkClaims(claims jwt.MapClaims) (expires time.Time, err error) {
	for _, name := range []string{"exp", "nbf", "iat"} {
		v, ok := claims[name]
		if !ok {
			continue
		}
		// The validator takes an exp of 0 for none; some issuers write 0 for an nbf that they do not set.
		n, ok := v.(float64)
		if !ok || n < 0 || n > maxTime || n == 0 && name == "exp" {
			return expires, fmt.Errorf("auth: token has an %q that is no time", name)
		}
	}
	if err := t.validator.Validate(claims); err != nil {
		return expires, fmt.Errorf("auth: %w", err)
	}
	if exp, ok := claims["exp"].(float64); ok {
		expires = time.Unix(int64(exp), 0)
	}
	return expires, nil
}

func firstClaim(u *hubbub.User, names []string) string {
	for _, n := range names {
		if s := u.Claim(n); s != "" {
			return s
		}
	}
	return ""
}
