package identity_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
)

// TestForeignIssuer has people sign in elsewhere: the service keeps accounts for whoever has a token, and is no provider.
func TestForeignIssuer(t *testing.T) {
	t.Parallel()
	keys := hubbub.RandomKeyRing()
	theirs := &auth.Issuer{Keys: keys, Issuer: "https://login.example.com", Audience: identity.Audience}
	p := newPlace(t, "sqlite", func(c *identity.Config) {
		c.Issuer, c.PathBase, c.Verify = theirs.Issuer, "/identity-svc", theirs.Verify
	})
	token := func(claims map[string]any) string {
		t.Helper()
		text, err := theirs.Sign(claims, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	id, other := uuid.NewString(), uuid.NewString()
	player := map[string]any{"sub": id, "email": "ann@example.com", "name": "Ann"}
	admin := token(map[string]any{"sub": uuid.NewString(), "role": "Admin", "scope": "IdentityServerApi"})
	for _, c := range []struct {
		name, method, path, token, body string
		want                            int
	}{
		{"no token", "POST", "/register", "", `{"email":"bob@example.com","password":"long enough"}`, 401},
		{"token of somebody without an e-mail", "POST", "/register", token(map[string]any{"sub": other}), "", 400},
		{"user that is no player", "POST", "/register", token(map[string]any{"sub": "ann", "email": "x@example.com"}), "", 403},
		{"e-mail of the administrator", "POST", "/register", token(map[string]any{"sub": other}), `{"email":"Admin@play.com"}`, 409},
		{"register", "POST", "/register", token(player), "", 201},
		{"register again", "POST", "/register", token(player), "", 200},
		{"e-mail of another", "POST", "/register", token(map[string]any{"sub": other}), `{"email":"ann@example.com"}`, 409},
		{"e-mail in the body", "POST", "/register", token(map[string]any{"sub": other}), `{"email":"bob@example.com","userName":"Bob"}`, 201},
		{"users for a player", "GET", "/users", token(player), "", 403},
		{"users for an administrator", "GET", "/users/" + id, admin, "", 200},
		{"no discovery", "GET", "/.well-known/openid-configuration", "", "", 404},
		{"no tokens", "POST", "/connect/token", "", "", 404},
		{"no page to sign in", "GET", "/login", "", "", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := p.do(c.method, c.path, c.token, c.body); a.status != c.want {
				t.Errorf("%s %s: status %d, want %d: %s", c.method, c.path, a.status, c.want, a.body)
			}
		})
	}
	all, err := p.Users(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].ID.String() != id || all[0].UserName != "Ann" || all[0].Email != "ann@example.com" || all[0].Gil.String() != "100" || all[1].UserName != "Bob" {
		t.Errorf("accounts %+v, want Ann and Bob with 100 gil and no administrator", all)
	}
	if _, err := p.Token(t.Context(), "ann@example.com", time.Minute); err == nil {
		t.Error("a token for an account that signs in elsewhere, want an error")
	}
	if _, err := identity.IssueToken(t.Context(), p.database, "ann@example.com", time.Minute); err == nil {
		t.Error("a token of an issuer that was never served, want an error")
	}

	// Whoever was removed and comes back begins anew, also for those who have a copy: they take what has a higher version.
	if a := p.do("DELETE", "/users/"+id, admin, ""); a.status != 204 {
		t.Fatalf("delete: %d %s", a.status, a.body)
	}
	if u := p.updated(uuid.MustParse(id), 2); u.NewTotalGil != 0 {
		t.Errorf("removed: %+v", u)
	}
	if a := p.do("POST", "/register", token(player), ""); a.status != 201 {
		t.Fatalf("register after the end: %d %s", a.status, a.body)
	}
	if u := p.updated(uuid.MustParse(id), 3); u.NewTotalGil.String() != "100" {
		t.Errorf("back: %+v", u)
	}
}
