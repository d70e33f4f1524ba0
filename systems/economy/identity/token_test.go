package identity_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestIssueToken: a token without a browser, beside the running service and after it.
func TestIssueToken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		never := storetest.Config(t, database, "identity")
		never.Logger = quiet()
		if token, err := identity.IssueToken(t.Context(), never, adminEmail, time.Hour); err == nil || !strings.Contains(err.Error(), "or never, with this database") {
			t.Errorf("without a service: %q, %v, want an error that says so", token, err)
		}
		p := newPlace(t, database, nil)
		ann := p.player("ann@play.com")
		for _, c := range []struct{ email, role, name string }{{"ANN@play.com", "Player", "ann@play.com"}, {adminEmail, "Admin", adminEmail}} {
			token, err := identity.IssueToken(t.Context(), p.database, c.email, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			got := claims(t, token)
			if got["iss"] != p.url || got["role"] != c.role || got["name"] != c.name || !reflect.DeepEqual(got["aud"], []any{"Catalog", "Identity", "Inventory", "Trading"}) ||
				!reflect.DeepEqual(got["scope"], words("openid profile catalog.fullaccess inventory.fullaccess trading.fullaccess IdentityServerApi roles")) {
				t.Errorf("token %v", got)
			}
			for _, audience := range []string{"Catalog", "Inventory", "Trading", identity.Audience} {
				u, err := p.Verifier(audience)(t.Context(), token)
				if err != nil || !u.HasRole(c.role) || u.Expires.Before(time.Now().Add(59*time.Minute)) {
					t.Errorf("%s: %v, %v", audience, u, err)
				}
			}
			if u, err := p.Verifier("Other")(t.Context(), token); err == nil {
				t.Errorf("another audience: %v, want an error", u)
			}
		}
		if token, err := identity.IssueToken(t.Context(), p.database, "nobody@play.com", time.Hour); !errors.Is(err, identity.ErrNoAccount) || token != "" {
			t.Errorf("nobody: %q, %v, want ErrNoAccount", token, err)
		}
		before := p.token("ann@play.com")
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		after, err := identity.IssueToken(t.Context(), p.database, "ann@play.com", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		p.Service = p.open() // the keys are those of before
		for _, token := range []string{before, after} {
			if u, err := p.Verifier("Trading")(t.Context(), token); err != nil || u.ID != ann.ID.String() {
				t.Errorf("after a restart: %v, %v", u, err)
			}
		}
	})
}

// TestKeyChange: after its lifetime a key signs no more and verifies for as long again, also in a process that did not make it.
func TestKeyChange(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "postgres", nil)
	p.player("ann@play.com")
	old := p.token("ann@play.com")
	p.clock.move(91 * 24 * time.Hour)
	second := p.open()
	defer second.Close()
	fresh, err := second.Token(t.Context(), "ann@play.com", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := second.Verifier("Trading")(t.Context(), old); err != nil {
		t.Errorf("a token of the old key: %v, %v", u, err)
	}
	late := time.Now().Add(patience)
	for {
		if _, err = p.Verifier("Trading")(t.Context(), fresh); err == nil {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("the first process does not know the key of the second: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.clock.move(91 * 24 * time.Hour)
	third := p.open()
	defer third.Close()
	if u, err := third.Verifier("Trading")(t.Context(), old); err == nil {
		t.Errorf("a token of a key that is gone: %v, want an error", u)
	}
	if u, err := third.Verifier("Trading")(t.Context(), fresh); err != nil {
		t.Errorf("a token of the key before: %v, %v", u, err)
	}
}

// TestSeed: the administrator's account is made once, and its password is told once.
func TestSeed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		type told struct{ email, password string }
		said := make(chan told, 10)
		p := newPlace(t, database, func(c *identity.Config) {
			c.AdminPassword, c.AdminEmail = "", "root@play.com"
			c.Announce = func(email, password string) { said <- told{email, password} }
		})
		first := <-said
		if first.email != "root@play.com" || len(first.password) < 20 {
			t.Fatalf("told %v, want the e-mail and a random password", first)
		}
		if c := claims(t, p.signIn(first.email, first.password, allScopes).Access); c["role"] != "Admin" {
			t.Errorf("token %v, want an administrator's", c)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p.Service = p.open()
		if len(said) > 0 {
			t.Errorf("told again: %v", <-said)
		}
		all, err := p.Users(t.Context())
		if err != nil || len(all) != 1 {
			t.Errorf("users %v, %v, want one", all, err)
		}
	})
}

// TestBadConfig: what makes no sense is said at the start.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	for want, change := range map[string]func(c *identity.Config){
		`issuer ""`:                       func(c *identity.Config) { c.Issuer = "" },
		`issuer "play.example.com"`:       func(c *identity.Config) { c.Issuer = "play.example.com" },
		"ends with a slash":               func(c *identity.Config) { c.Issuer += "/" },
		"no bus":                          func(c *identity.Config) { c.Bus = nil },
		`client "frontend"`:               func(c *identity.Config) { c.Clients = []identity.Client{identity.Frontend(), identity.Frontend()} },
		`client ""`:                       func(c *identity.Config) { c.Clients = []identity.Client{{}} },
		"bcrypt":                          func(c *identity.Config) { c.PasswordCost = 99 },
		"administrator's password of 3":   func(c *identity.Config) { c.AdminPassword = "abc" },
		`administrator's e-mail "nobody"`: func(c *identity.Config) { c.AdminEmail = "nobody" },
	} {
		c := identity.Config{Database: storetest.Config(t, "sqlite", "identity"), Bus: p.bus, Issuer: p.url, PasswordCost: 4, Logger: quiet()}
		change(&c)
		s, err := identity.Open(t.Context(), c)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// FuzzVerifier: nothing but a token of ours is good, whatever it looks like.
func FuzzVerifier(f *testing.F) {
	p := newPlace(f, "sqlite", nil)
	good := p.token(adminEmail)
	for _, s := range []string{good, good[1:], good + "A", "", ".", "..", "a.b.c", "eyJraWQiOiIifQ.e30.", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat("A", 300)} {
		f.Add(s)
	}
	verify := p.Verifier(identity.Audience)
	f.Fuzz(func(t *testing.T, token string) {
		if u, err := verify(t.Context(), token); (err == nil) != (token == good) && token[:strings.LastIndexByte(token, '.')+1] != good[:strings.LastIndexByte(good, '.')+1] {
			t.Errorf("%q: %v, %v", token, u, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	p := newPlace(b, "sqlite", nil)
	token, verify := p.token(adminEmail), p.Verifier(identity.Audience)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	p := newPlace(b, "sqlite", nil)
	b.ReportAllocs()
	for b.Loop() {
		p.token(adminEmail)
	}
}
