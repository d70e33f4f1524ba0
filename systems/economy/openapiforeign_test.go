package economy_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// stranger is an OpenID provider of somebody else, as far as services look at it.
type stranger struct {
	t      testing.TB
	url    string
	signer jose.Signer
}

func newStranger(t testing.TB) *stranger {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	own := jose.JSONWebKey{Key: key, KeyID: "1", Algorithm: string(jose.RS256), Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: own}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{t: t, signer: signer}
	mux := http.NewServeMux()
	write := func(path string, v func() any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(v()) })
	}
	write("/.well-known/openid-configuration", func() any { return map[string]string{"issuer": s.url, "jwks_uri": s.url + "/keys"} })
	write("/keys", func() any { return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{own.Public()}} })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// token is one for all services.
func (s *stranger) token(claims map[string]any) string {
	s.t.Helper()
	all := map[string]any{
		"iss": s.url, "exp": time.Now().Add(time.Hour).Unix(), "aud": []string{"Catalog", "Inventory", "Identity", "Trading"},
		"scope": "catalog.fullaccess inventory.fullaccess IdentityServerApi trading.fullaccess",
	}
	maps.Copy(all, claims)
	body, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := s.signer.Sign(body)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// TestOpenAPIOfForeignIssuer: with people who sign in elsewhere /register is another one, and a purchase may be of nobody.
func TestOpenAPIOfForeignIssuer(t *testing.T) {
	t.Parallel()
	theirs := newStranger(t)
	w := &world{t: t, dir: t.TempDir(), database: storetest.Config(t, "sqlite", "x"), change: func(c *economy.Config) { c.Issuer, c.Foreign = theirs.url, true }}
	all := w.serve("")
	w.parts = map[string]*part{economy.Catalog: all, economy.Inventory: all, economy.Identity: all, economy.Trading: all}
	all.start()
	w.bus = all.system.Bus()
	w.admin = theirs.token(map[string]any{"sub": uuid.NewString(), "role": "Admin"})
	guest := func(email string) *player {
		id := uuid.NewString()
		return &player{w: w, id: id, email: email, token: theirs.token(map[string]any{"sub": id, "email": email, "name": "Guest"})}
	}
	a, b, nameless, nobody := guest("ann@play.com"), guest("bob@play.com"), theirs.token(map[string]any{"sub": uuid.NewString()}), theirs.token(map[string]any{"sub": "nobody"})
	d := w.described()
	if got := d.doc.Components.SecuritySchemes["economyLogin"].Value.OpenIdConnectUrl; got != theirs.url+"/.well-known/openid-configuration" {
		t.Errorf("people sign in at %s, want the foreign issuer", got)
	}
	for _, x := range []request{
		{"POST", "/identity-svc/register", a.token, ``, 503, ""},
		{"POST", "/identity-svc/register", a.token, ``, 201, ""},
		{"POST", "/identity-svc/register", a.token, ``, 200, ""},
		{"POST", "/identity-svc/register", b.token, `{"userName":"Bob"}`, 201, ""},
		{"POST", "/identity-svc/register", nameless, ``, 400, ""},
		{"POST", "/identity-svc/register", nameless, `{"email":7}`, 400, "email"},
		{"POST", "/identity-svc/register", nameless, `{"email":"ann@play.com"}`, 409, ""},
		{"POST", "/identity-svc/register", nobody, `{"email":"carl@play.com"}`, 403, ""},
		{"POST", "/trading-svc/purchase", nobody, order(uuid.NewString(), 1, uuid.NewString()), 403, ""},
	} {
		d.sends(x)
	}
	potion, gone := w.potion(), w.item("Ether", "10", "")
	bought := a.buys(potion, 2)
	a.becomes(bought, "Completed")
	d.each(w.admin, a.token)
	for _, x := range d.requests(w.admin, a, b, potion, gone, bought) {
		d.sends(x)
	}
	d.complete()
}

// TestOpenAPIOfOneService: a service alone describes itself, at the root, and nothing of the others.
func TestOpenAPIOfOneService(t *testing.T) {
	t.Parallel()
	w := newTown(t, "sqlite", nil)
	for service, want := range map[string]struct {
		paths    []string
		webhooks int
	}{
		economy.Catalog:   {[]string{"/items", "/items/{id}"}, 0},
		economy.Inventory: {[]string{"/items"}, 0},
		economy.Identity:  {[]string{"/register", "/users", "/users/{id}"}, 0},
		economy.Trading:   {[]string{"/purchase", "/purchase/status/{id}", "/purchase/{id}/history", "/store"}, 2},
	} {
		s := w.parts[service].system
		doc, text := describe(t, s), string(s.OpenAPI())
		paths := slices.Sorted(maps.Keys(doc.Paths.Map()))
		if all := slices.Sorted(slices.Values(append(want.paths, "/health/live", "/health/ready"))); !slices.Equal(paths, all) {
			t.Errorf("%s: paths %q, want %q", service, paths, all)
		}
		if len(doc.Webhooks) != want.webhooks || len(doc.Tags) != 1 || doc.Tags[0].Name != "economy "+service {
			t.Errorf("%s: %d webhooks, tags %v; want %d and its own tag", service, len(doc.Webhooks), doc.Tags, want.webhooks)
		}
		if strings.Contains(text, "-svc") || strings.Contains(text, "x-foreign") {
			t.Errorf("%s: its document speaks of paths that it does not have: %s", service, text)
		}
		for name := range doc.Components.Schemas {
			if !strings.Contains(text, `"#/components/schemas/`+name+`"`) {
				t.Errorf("%s: nothing refers to %s", service, name)
			}
		}
		if got := doc.Components.SecuritySchemes["economyLogin"].Value.OpenIdConnectUrl; got != w.at(economy.Identity)+"/.well-known/openid-configuration" {
			t.Errorf("%s: people sign in at %s, want the identity service", service, got)
		}
		for path, item := range doc.Paths.Map() { // it is where the document says
			for method, o := range item.Operations() {
				if a := w.do(method, service, strings.ReplaceAll(path, "{id}", uuid.NewString()), "", ""); o.Responses.Status(a.status) == nil {
					t.Errorf("%s: %s %s: status %d is not described", service, method, path, a.status)
				}
			}
		}
		if service == economy.Trading {
			signal := doc.Webhooks["trading/ReceivePurchaseStatus"].Post.Extensions["x-signalr"].(map[string]any)
			if signal["hub"] != "/messagehub" {
				t.Errorf("the hub is at %v, want /messagehub", signal["hub"])
			}
		}
	}
}
