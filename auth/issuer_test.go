package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

func ring(t testing.TB, ids ...uint32) *hubbub.KeyRing {
	t.Helper()
	var keys []hubbub.Key
	for _, id := range ids {
		keys = append(keys, hubbub.Key{ID: id, Secret: bytes.Repeat([]byte{byte(id)}, 32)})
	}
	r, err := hubbub.NewKeyRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestIssuer(t *testing.T) {
	t.Parallel()
	i := auth.Issuer{Keys: ring(t, 1), Issuer: "hubbub", Audience: "hub"}
	before := time.Now()
	given := claims{"sub": "ann", "name": "Ann", "role": "admin", "scope": "a b", "n": 1.5}
	token, err := i.Sign(given, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if len(given) != 5 {
		t.Errorf("the claims were changed: %v", given)
	}
	u, err := i.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if u.ID != "ann" || u.Name != "Ann" || !u.HasRole("admin") || !u.HasScope("b") || u.Claim("iss") != "hubbub" || u.Claims["n"] != 1.5 {
		t.Errorf("user %+v", u)
	}
	if d := u.Expires.Sub(before); d < time.Minute || d > time.Minute+2*time.Second {
		t.Errorf("expires after %v, want a minute, rounded up", d)
	}
	var header map[string]any
	head, _, _ := strings.Cut(token, ".")
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(head)), &header); err != nil {
		t.Fatal(err)
	}
	if header["alg"] != "HS256" || header["kid"] != "1" || header["typ"] != "JWT" {
		t.Errorf("header %v", header)
	}
}

func TestIssuerRotation(t *testing.T) {
	t.Parallel()
	sign := func(ids ...uint32) string {
		i := auth.Issuer{Keys: ring(t, ids...)}
		return must(i.Sign(claims{"sub": "ann"}, time.Minute))
	}
	rotated := auth.Issuer{Keys: ring(t, 2, 1)}
	for name, tt := range map[string]struct {
		token string
		good  bool
	}{
		"old key":       {sign(1), true},
		"new key":       {sign(2, 1), true},
		"forgotten key": {sign(3), false},
	} {
		if _, err := rotated.Verify(t.Context(), tt.token); (err == nil) != tt.good {
			t.Errorf("%s: error %v, want good %v", name, err, tt.good)
		}
	}
}

func TestIssuerRefuses(t *testing.T) {
	t.Parallel()
	keys := ring(t, 1)
	i := auth.Issuer{Keys: keys, Issuer: "hubbub", Audience: "hub"}
	derived, _ := keys.Derive(1, "another purpose")
	raw := bytes.Repeat([]byte{1}, 32)
	own := with(claims{"iss": "hubbub", "aud": "hub"})
	other := auth.Issuer{Keys: keys, Issuer: "else", Audience: "hub"}
	refresh := auth.Issuer{Keys: keys, Issuer: "hubbub", Audience: "refresh"}
	tests := map[string]string{
		"other issuer":            must(other.Sign(nil, time.Minute)),
		"other audience":          must(refresh.Sign(nil, time.Minute)),
		"key itself":              sign(t, "HS256", raw, claims{"kid": "1"}, own),
		"key of another purpose":  sign(t, "HS256", derived, claims{"kid": "1"}, own),
		"empty key":               sign(t, "HS256", []byte{}, claims{"kid": "1"}, own),
		"public key":              sign(t, "RS256", rsaKey(), claims{"kid": "1"}, own),
		"no key id":               sign(t, "HS256", raw, nil, own),
		"key id of another form":  sign(t, "HS256", raw, claims{"kid": "0x1"}, own),
		"key id beyond all":       sign(t, "HS256", raw, claims{"kid": "99999999999"}, own),
		"empty key of unknown id": sign(t, "HS256", []byte{}, claims{"kid": "7"}, own),
	}
	for name, token := range tests {
		if u, err := i.Verify(t.Context(), token); err == nil {
			t.Errorf("%s: accepted as %+v", name, u)
		}
	}
}

func TestIssuerExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := auth.Issuer{Keys: ring(t, 1)}
		token := must(i.Sign(claims{"sub": "ann"}, 1500*time.Millisecond))
		time.Sleep(1900 * time.Millisecond)
		if _, err := i.Verify(t.Context(), token); err != nil {
			t.Errorf("before the end: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := i.Verify(t.Context(), token); err == nil {
			t.Error("at the end: no error")
		}
	})
}

func TestIssuerSignErrors(t *testing.T) {
	t.Parallel()
	good, none := auth.Issuer{Keys: ring(t, 1)}, auth.Issuer{}
	for name, f := range map[string]func() (string, error){
		"no ring":        func() (string, error) { return none.Sign(nil, time.Minute) },
		"no time":        func() (string, error) { return good.Sign(nil, 0) },
		"own claim":      func() (string, error) { return good.Sign(claims{"exp": 1}, time.Minute) },
		"no JSON":        func() (string, error) { return good.Sign(claims{"f": func() {}}, time.Minute) },
		"token too long": func() (string, error) { return good.Sign(claims{"x": strings.Repeat("x", 32<<10)}, time.Minute) },
	} {
		if token, err := f(); err == nil {
			t.Errorf("%s: no error but %q", name, token)
		}
	}
	if _, err := none.Verify(t.Context(), "x"); err == nil {
		t.Error("verify without a ring: no error")
	}
}
