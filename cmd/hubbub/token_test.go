package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestToken(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	config := file(t, "hubbub.yaml", "data: "+s.data+"\n")
	const publish = `{"e":"portos.resources.changed","p":{"n":"devices","a":"created","i":{"i":"1","n":"devices"},"r":[]}}`
	for _, c := range []struct {
		name               string
		token              string
		negotiate, publish int
	}{
		{"with a scope", must(t, nil, "token", "--data", s.data, "--user", "ann", "--role", "operator", "--scope", "events:x notifications:publish", "--ttl", "1h"), 200, 202},
		{"by a configuration", must(t, nil, "token", "--config", config, "--user", "ann", "--scope", "notifications:publish"), 200, 202},
		{"by a variable", must(t, []string{"HUBBUB_CONFIG=" + config}, "token", "--user", "ann", "--scope", "notifications:publish"), 200, 202},
		{"without a scope", must(t, nil, "token", "--data", s.data, "--user", "ann"), 200, 403},
		{"of another server", must(t, nil, "token", "--data", filepath.Join(t.TempDir(), "other"), "--user", "ann", "--scope", "notifications:publish"), 401, 401},
		{"none", "", 401, 401},
		{"nonsense", "a.b.c", 401, 401},
	} {
		token := strings.TrimSpace(c.token)
		res, body := s.do(t, "POST", negotiate, token, "")
		if res.StatusCode != c.negotiate || c.negotiate == http.StatusUnauthorized && body != "" {
			t.Errorf("%s: negotiate: status %d, body %q; want %d, and no body with 401", c.name, res.StatusCode, body, c.negotiate)
		}
		if res, body := s.do(t, "POST", "/api/v1/notifications", token, publish); res.StatusCode != c.publish {
			t.Errorf("%s: publish: status %d, want %d: %s", c.name, res.StatusCode, c.publish, body)
		}
	}
}

// Tokens outlive a rotation of the keys, as long as their key is kept.
func TestTokenAfterRotation(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	token := strings.TrimSpace(must(t, nil, "token", "--data", data, "--user", "ann"))
	must(t, nil, "keys", "rotate", "--data", data)
	if out := must(t, nil, "keys", "list", "--data", data); !strings.Contains(out, "key 2, made") || !strings.Contains(out, "key 1, made") {
		t.Errorf("list: %s, want keys 2 and 1", out)
	}
	s := start(t, data, nil)
	if res, _ := s.do(t, "POST", negotiate, token, ""); res.StatusCode != http.StatusOK {
		t.Errorf("after one rotation: status %d, want 200", res.StatusCode)
	}
	s.end(t)
	must(t, nil, "keys", "rotate", "--data", data, "--keep", "0")
	s = start(t, data, nil)
	if res, _ := s.do(t, "POST", negotiate, token, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("after its key is gone: status %d, want 401", res.StatusCode)
	}
}

// Tokens of a configured issuer are good for the hub and for REST beside the server's own.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", 32)
	config := file(t, "hubbub.yaml", "auth:\n  issuer: https://login.example.com\n  audience: [tills]\n  keyFile: "+file(t, "secret", secret)+"\n")
	s := start(t, t.TempDir(), nil, "--config", config)
	sign := func(issuer, audience, key string, ends time.Duration) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "ann",
			"exp": time.Now().Add(ends).Unix()}).SignedString([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct {
		name, token string
		want        int
	}{
		{"good", sign("https://login.example.com", "tills", secret, time.Hour), 200},
		{"of the server itself", strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann")), 200},
		{"within the clock skew", sign("https://login.example.com", "tills", secret, -time.Minute), 200},
		{"expired", sign("https://login.example.com", "tills", secret, -time.Hour), 401},
		{"other issuer", sign("https://evil.example.com", "tills", secret, time.Hour), 401},
		{"other audience", sign("https://login.example.com", "doors", secret, time.Hour), 401},
		{"other key", sign("https://login.example.com", "tills", strings.Repeat("x", 32), time.Hour), 401},
	} {
		if res, _ := s.do(t, "POST", negotiate, c.token, ""); res.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.name, res.StatusCode, c.want)
		}
		// None of them may publish.
		want := c.want
		if want == 200 {
			want = 403
		}
		if res, _ := s.do(t, "POST", "/api/v1/notifications", c.token, "{}"); res.StatusCode != want {
			t.Errorf("%s: REST: status %d, want %d", c.name, res.StatusCode, want)
		}
	}
}

func TestKeysErrors(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"keys", "rotate", "--data", data}, exitConfig, "there is no " + filepath.Join(data, "keys.json")},
		{[]string{"keys", "create", "--data", data}, exitOK, ""},
		{[]string{"keys", "create", "--data", data}, exitConfig, "is there already"},
		{[]string{"keys", "create", "--data", data, "--force"}, exitOK, ""},
		{[]string{"keys", "rotate", "--data", data, "--keep", "64"}, exitUsage, "--keep is 64"},
		{[]string{"token", "--data", data}, exitUsage, "--user is missing"},
		{[]string{"token", "--data", data, "--user", "a", "--ttl", "0s"}, exitUsage, "--ttl is 0s"},
		{[]string{"token", "--data", data, "--user", "a", "--ttl", "soon"}, exitUsage, "invalid argument"},
		{[]string{"serve", "extra"}, exitUsage, "unknown command"},
		{[]string{"dance"}, exitUsage, "unknown command"},
		{[]string{"serve", "--dance"}, exitUsage, "unknown flag"},
		{[]string{"hash"}, exitFailed, "no password"},
	} {
		code, _, errs := run(t, nil, c.args...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("hubbub %s: exit code %d, %q; want %d and %q", strings.Join(c.args, " "), code, errs, c.code, c.want)
		}
	}
}
