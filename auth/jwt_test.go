package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hubbub-go/hubbub/auth"
)

// methods are all algorithms with a key to sign and the one to verify.
func methods() []struct {
	alg         string
	sign, check any
} {
	return []struct {
		alg         string
		sign, check any
	}{
		{"HS256", secret, secret}, {"HS384", secret, secret}, {"HS512", secret, secret},
		{"RS256", rsaKey(), &rsaKey().PublicKey}, {"RS384", rsaKey(), &rsaKey().PublicKey}, {"RS512", rsaKey(), &rsaKey().PublicKey},
		{"PS256", rsaKey(), &rsaKey().PublicKey}, {"PS384", rsaKey(), &rsaKey().PublicKey}, {"PS512", rsaKey(), &rsaKey().PublicKey},
		{"ES256", ec256(), &ec256().PublicKey}, {"ES384", ec384(), &ec384().PublicKey}, {"ES512", ec521(), &ec521().PublicKey},
		{"EdDSA", edKey(), edKey().Public()},
	}
}

func TestJWTAlgorithms(t *testing.T) {
	t.Parallel()
	for _, m := range methods() {
		t.Run(m.alg, func(t *testing.T) {
			t.Parallel()
			v := newJWT(t, auth.JWTOptions{Key: m.check})
			token := sign(t, m.alg, m.sign, nil, with(nil))
			u, err := v(t.Context(), token)
			if err != nil || u.ID != "ann" {
				t.Fatalf("user %+v, error %v, want ann", u, err)
			}
			dot := strings.LastIndexByte(token, '.')
			for name, bad := range map[string]string{
				"signature of another token": token[:dot] + sign(t, m.alg, m.sign, nil, with(claims{"sub": "bob"}))[dot:],
				"no signature":               token[:dot+1],
				"short signature":            token[:len(token)-4],
			} {
				if u, err := v(t.Context(), bad); err == nil {
					t.Errorf("%s: accepted as %+v", name, u)
				}
			}
		})
	}
}

// Every key with tokens of every algorithm: only those that the key is for pass.
func TestJWTAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	for _, k := range methods() {
		v := newJWT(t, auth.JWTOptions{Key: k.check, Algorithms: []string{k.alg}})
		for _, m := range methods() {
			_, err := v(t.Context(), sign(t, m.alg, m.sign, nil, with(nil)))
			if (err == nil) != (m.alg == k.alg) {
				t.Errorf("key for %s, token with %s: error %v", k.alg, m.alg, err)
			}
		}
	}
}

// The classic attack: an HMAC whose secret is the text of the public key.
func TestJWTPublicKeyAsSecret(t *testing.T) {
	t.Parallel()
	der := must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	v := newJWT(t, auth.JWTOptions{Key: &rsaKey().PublicKey})
	for name, s := range map[string][]byte{"PEM": text, "DER": der, "modulus": rsaKey().N.Bytes()} {
		if u, err := v(t.Context(), sign(t, "HS256", s, nil, with(nil))); err == nil {
			t.Errorf("%s: accepted as %+v", name, u)
		}
	}
	if _, err := auth.JWT(auth.JWTOptions{Key: text}); err == nil {
		t.Error("a PEM text was taken for a secret")
	}
}

func TestJWTNone(t *testing.T) {
	t.Parallel()
	token := sign(t, "none", jwt.UnsafeAllowNoneSignatureType, nil, with(nil))
	if u, err := newJWT(t, auth.JWTOptions{Key: secret})(t.Context(), token); err == nil {
		t.Errorf("accepted as %+v", u)
	}
	for _, alg := range []string{"none", "None", "HS1", "", "hs256"} {
		if _, err := auth.JWT(auth.JWTOptions{Key: secret, Algorithms: []string{alg}}); err == nil {
			t.Errorf("algorithm %q was accepted", alg)
		}
	}
}

func TestJWTClaims(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	const minute = time.Minute
	tests := []struct {
		name   string
		o      auth.JWTOptions
		claims claims
		good   bool
	}{
		{"plain", auth.JWTOptions{}, nil, true},
		{"expired within the default skew", auth.JWTOptions{}, claims{"exp": in(-4 * minute)}, true},
		{"expired beyond the default skew", auth.JWTOptions{}, claims{"exp": in(-6 * minute)}, false},
		{"expired within a skew", auth.JWTOptions{ClockSkew: minute}, claims{"exp": in(-30 * time.Second)}, true},
		{"expired beyond a skew", auth.JWTOptions{ClockSkew: minute}, claims{"exp": in(-90 * time.Second)}, false},
		{"expired without skew", auth.JWTOptions{ClockSkew: -1}, claims{"exp": in(-time.Second)}, false},
		{"not yet, within the default skew", auth.JWTOptions{}, claims{"nbf": in(4 * minute)}, true},
		{"not yet, beyond the default skew", auth.JWTOptions{}, claims{"nbf": in(6 * minute)}, false},
		{"not yet, without skew", auth.JWTOptions{ClockSkew: -1}, claims{"nbf": in(minute)}, false},
		{"nbf of 0", auth.JWTOptions{}, claims{"nbf": 0}, true},
		{"no expiry", auth.JWTOptions{}, claims{"exp": nil}, false},
		{"no expiry, allowed", auth.JWTOptions{AllowNoExpiry: true}, claims{"exp": nil}, true},
		{"expiry of 0", auth.JWTOptions{AllowNoExpiry: true}, claims{"exp": 0}, false},
		{"negative expiry", auth.JWTOptions{}, claims{"exp": -1}, false},
		{"expiry is a text", auth.JWTOptions{}, claims{"exp": "2999-01-01"}, false},
		{"expiry is a list", auth.JWTOptions{}, claims{"exp": []int{1}}, false},
		{"expiry beyond all time", auth.JWTOptions{}, claims{"exp": 1e300}, false},
		{"nbf is a text", auth.JWTOptions{}, claims{"nbf": "x"}, false},
		{"iat beyond all time", auth.JWTOptions{}, claims{"iat": 1e19}, false},
		{"issuer", auth.JWTOptions{Issuer: "https://id"}, claims{"iss": "https://id"}, true},
		{"other issuer", auth.JWTOptions{Issuer: "https://id"}, claims{"iss": "https://id/"}, false},
		{"no issuer", auth.JWTOptions{Issuer: "https://id"}, nil, false},
		{"issuer is a list", auth.JWTOptions{Issuer: "https://id"}, claims{"iss": []string{"https://id"}}, false},
		{"audience", auth.JWTOptions{Audience: []string{"a", "b"}}, claims{"aud": "b"}, true},
		{"audience in a list", auth.JWTOptions{Audience: []string{"a"}}, claims{"aud": []string{"x", "a"}}, true},
		{"other audience", auth.JWTOptions{Audience: []string{"a"}}, claims{"aud": []string{"x", "y"}}, false},
		{"no audience", auth.JWTOptions{Audience: []string{"a"}}, nil, false},
		{"empty audience", auth.JWTOptions{Audience: []string{"a"}}, claims{"aud": ""}, false},
		{"audience is a number", auth.JWTOptions{Audience: []string{"a"}}, claims{"aud": 1}, false},
		{"no user", auth.JWTOptions{}, claims{"sub": nil}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.o.Key = secret
			c := with(tt.claims)
			u, err := newJWT(t, tt.o)(t.Context(), sign(t, "HS256", secret, nil, c))
			if (err == nil) != tt.good {
				t.Fatalf("error %v, want good %v", err, tt.good)
			}
			if err != nil {
				return
			}
			var want time.Time
			if exp, ok := c["exp"].(int64); ok {
				want = time.Unix(exp, 0)
			}
			if !u.Expires.Equal(want) {
				t.Errorf("expires %v, want %v", u.Expires, want)
			}
		})
	}
}

func TestJWTUser(t *testing.T) {
	t.Parallel()
	const long = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	tests := []struct {
		name     string
		o        auth.JWTOptions
		claims   claims
		id, user string
	}{
		{"sub first", auth.JWTOptions{}, claims{"sub": "s", "nameid": "n", "name": "Ann", "unique_name": "u"}, "s", "Ann"},
		{"nameid", auth.JWTOptions{}, claims{"sub": nil, "nameid": "n", "unique_name": "u"}, "n", "u"},
		{"long names", auth.JWTOptions{}, claims{"sub": nil, long + "nameidentifier": "n", long + "name": "Ann"}, "n", "Ann"},
		{"empty sub", auth.JWTOptions{}, claims{"sub": "", "nameid": "n"}, "n", ""},
		{"sub is a number", auth.JWTOptions{}, claims{"sub": 7}, "", ""},
		{"chosen", auth.JWTOptions{UserClaims: []string{"email"}, NameClaims: []string{"nick"}}, claims{"email": "a@b", "nick": "A", "name": "x"}, "a@b", "A"},
		{"chosen and missing", auth.JWTOptions{UserClaims: []string{"email"}}, claims{"sub": "s"}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.o.Key = secret
			u, err := newJWT(t, tt.o)(t.Context(), sign(t, "HS256", secret, nil, with(tt.claims)))
			if err != nil || u.ID != tt.id || u.Name != tt.user {
				t.Errorf("user %+v, error %v, want %q and %q", u, err, tt.id, tt.user)
			}
		})
	}
}

func TestJWTMalformed(t *testing.T) {
	t.Parallel()
	v := newJWT(t, auth.JWTOptions{Key: secret})
	good := sign(t, "HS256", secret, nil, with(nil))
	part := strings.Split(good, ".")
	head := func(json string) string { return b64([]byte(json)) + "." + part[1] + "." + part[2] }
	tests := map[string]string{
		"empty":                   "",
		"one part":                part[0],
		"two parts":               part[0] + "." + part[1],
		"four parts":              good + ".x",
		"five parts":              "a.b.c.d.e",
		"dots":                    "..",
		"many dots":               strings.Repeat(".", 10000),
		"header no base64":        "*." + part[1] + "." + part[2],
		"header no JSON":          head("x"),
		"header a list":           head("[]"),
		"header null":             head("null"),
		"no algorithm":            head(`{"typ":"JWT"}`),
		"algorithm a number":      head(`{"alg":1}`),
		"algorithm null":          head(`{"alg":null}`),
		"algorithm unknown":       head(`{"alg":"XX256"}`),
		"algorithm in lower case": head(`{"alg":"hs256"}`),
		"claims no JSON":          part[0] + "." + b64([]byte("{")) + "." + part[2],
		"claims a list":           part[0] + "." + b64([]byte("[1]")) + "." + part[2],
		"claims null":             part[0] + "." + b64([]byte("null")) + "." + part[2],
		"padding":                 good + "==",
		"line end":                good + "\n",
		"line end inside":         good[:10] + "\r\n" + good[10:],
		"blank":                   " " + good,
		"NUL":                     good + "\x00",
		"not ASCII":               good + "é",
		"too long":                strings.Repeat("a", 33<<10),
		"key id a number":         sign(t, "HS256", secret, claims{"kid": 1}, with(nil)),
		"critical extension":      sign(t, "HS256", secret, claims{"crit": []string{"x"}, "x": 1}, with(nil)),
		"unencoded payload":       sign(t, "HS256", secret, claims{"crit": []string{"b64"}, "b64": false}, with(nil)),
		"deep claims":             part[0] + "." + b64([]byte(strings.Repeat("[", 20000))) + "." + part[2],
		"signature in padding":    part[0] + "." + part[1] + "." + part[2][:len(part[2])-1] + next(part[2][len(part[2])-1]),
	}
	for name, token := range tests {
		u, err := v(t.Context(), token)
		if err == nil {
			t.Errorf("%s: accepted as %+v", name, u)
		} else if len(token) > 20 && strings.Contains(err.Error(), token[:20]) || len(err.Error()) > 300 {
			t.Errorf("%s: the error repeats the token: %v", name, err)
		}
	}
	if _, err := v(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// next returns the base64url digit after c, which differs in the bits that the last digit of 32 bytes does not use.
func next(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return digits[strings.IndexByte(digits, c)+1:][:1]
}

func TestJWTOptionErrors(t *testing.T) {
	t.Parallel()
	weak := &rsa.PublicKey{N: must(rand.Prime(rand.Reader, 1024)), E: 65537}
	huge := &rsa.PublicKey{N: must(rand.Prime(rand.Reader, 64)), E: 65537}
	huge.N.Lsh(huge.N, 9000)
	even := &rsa.PublicKey{N: rsaKey().N, E: 2}
	tests := map[string]auth.JWTOptions{
		"nothing":                     {},
		"two sources":                 {Key: secret, KeyFile: "x"},
		"short secret":                {Key: secret[:31]},
		"empty secret":                {Key: []byte{}},
		"text":                        {Key: string(secret)},
		"private key":                 {Key: rsaKey()},
		"nil RSA key":                 {Key: (*rsa.PublicKey)(nil)},
		"weak RSA key":                {Key: weak},
		"huge RSA key":                {Key: huge},
		"even exponent":               {Key: even},
		"short Ed25519 key":           {Key: ed25519.PublicKey("short")},
		"short secret for algorithm":  {Key: secret[:32], Algorithms: []string{"HS512"}},
		"algorithm of another key":    {Key: secret, Algorithms: []string{"RS256"}},
		"HS with a JWKS":              {JWKSURL: "https://id/keys", Algorithms: []string{"RS256", "HS256"}},
		"JWKS by http":                {JWKSURL: "http://id.example.com/keys"},
		"JWKS by file":                {JWKSURL: "file:///etc/passwd"},
		"relative JWKS":               {JWKSURL: "/keys"},
		"malformed JWKS":              {JWKSURL: "http://[::1"},
		"discovery of an http issuer": {Issuer: "http://id.example.com"},
		"discovery of a name":         {Issuer: "id"},
	}
	for name, o := range tests {
		if _, err := auth.JWT(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, o := range map[string]auth.JWTOptions{
		"JWKS by http, allowed":  {JWKSURL: "http://id.example.com/keys", AllowHTTP: true},
		"JWKS by http, loopback": {JWKSURL: "http://127.0.0.1:1/keys"},
		"discovery":              {Issuer: "https://id.example.com/realm/"},
	} {
		if _, err := auth.JWT(o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A verifier keeps its own copy of the secret.
func TestJWTKeyIsCopied(t *testing.T) {
	t.Parallel()
	mine := []byte(strings.Repeat("k", 32))
	v := newJWT(t, auth.JWTOptions{Key: mine})
	token := sign(t, "HS256", mine, nil, with(nil))
	clear(mine)
	if _, err := v(t.Context(), token); err != nil {
		t.Error(err)
	}
	if _, err := v(t.Context(), sign(t, "HS256", mine, nil, with(nil))); err == nil {
		t.Error("the changed secret is accepted")
	}
}
