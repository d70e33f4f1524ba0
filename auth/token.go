package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hubbub-go/hubbub"
)

// maxToken bounds an access token, in bytes.
const maxToken = 32 << 10

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
