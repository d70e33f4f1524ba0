package identity_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestCodeFlow goes the whole way of a browser, on each database: from discovery to tokens that each service takes.
func TestCodeFlow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		b, r := p.browser(), newRequest(allScopes)
		id := b.begin(r)
		a := b.open(p.url+"/register", url.Values{"request": {id}, "email": {"Ann@play.com"}, "userName": {"Ann"}, "password": {"correct horse"}})
		a, got := p.exchange(r.exchange(code(t, r, a)))
		if a.status != 200 || got.Type != "Bearer" || got.Expires < 3590 || got.Expires > 3600 || got.Refresh == "" || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("status %d, headers %v, body %s", a.status, a.header, a.body)
		}
		all, err := p.Users(t.Context())
		if err != nil || len(all) != 2 || all[1].Email != "Ann@play.com" || all[1].UserName != "Ann" || all[1].Gil.String() != "100" {
			t.Fatalf("users %v, %v", all, err)
		}
		sub := all[1].ID.String()
		c := claims(t, got.Access)
		if c["iss"] != p.url || c["sub"] != sub || c["name"] != "Ann" || c["role"] != "Player" || c["client_id"] != "frontend" ||
			!reflect.DeepEqual(c["aud"], []any{"Catalog", "Identity", "Inventory", "Trading"}) || !reflect.DeepEqual(c["scope"], words(allScopes)) {
			t.Errorf("access token %v", c)
		}
		c = claims(t, got.ID)
		if c["iss"] != p.url || c["sub"] != sub || c["name"] != "Ann" || c["role"] != "Player" || c["email"] != "Ann@play.com" || c["nonce"] != r.nonce ||
			!reflect.DeepEqual(c["aud"], []any{"frontend"}) {
			t.Errorf("ID token %v", c)
		}
		for _, audience := range []string{"Catalog", "Inventory", "Trading", identity.Audience} {
			outside, err := auth.JWT(auth.JWTOptions{Issuer: p.url, Audience: []string{audience}, Logger: quiet()}) // by discovery
			if err != nil {
				t.Fatal(err)
			}
			for name, verify := range map[string]auth.Verifier{"outside": outside, "inside": p.Verifier(audience)} {
				u, err := verify(t.Context(), got.Access)
				if err != nil || u.ID != sub || u.Name != "Ann" || !u.HasRole("Player") || u.HasRole("Admin") || !u.HasScope("trading.fullaccess") {
					t.Errorf("%s, %s: %v, %v", audience, name, u, err)
				}
				if u, err := verify(t.Context(), got.ID); err == nil {
					t.Errorf("%s, %s: the ID token is good for %v, want it refused", audience, name, u)
				}
			}
		}
		var info map[string]any
		p.do("GET", "/connect/userinfo", got.Access, "").decode(t, &info)
		if info["sub"] != sub || info["name"] != "Ann" || info["role"] != "Player" || info["email"] != "Ann@play.com" {
			t.Errorf("userinfo %v", info)
		}
	})
}

func words(s string) (all []any) {
	for f := range strings.FieldsSeq(s) {
		all = append(all, f)
	}
	return all
}

// TestDiscovery: the document says what there is, and no more.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	var d map[string]any
	p.do("GET", "/.well-known/openid-configuration", "", "").decode(t, &d)
	for name, want := range map[string]any{
		"issuer": p.url, "authorization_endpoint": p.url + "/connect/authorize", "token_endpoint": p.url + "/connect/token",
		"userinfo_endpoint": p.url + "/connect/userinfo", "end_session_endpoint": p.url + "/connect/endsession",
		"revocation_endpoint": p.url + "/connect/revocation", "jwks_uri": p.url + "/.well-known/openid-configuration/jwks",
		"response_types_supported": []any{"code"}, "grant_types_supported": []any{"authorization_code", "refresh_token"},
		"code_challenge_methods_supported": []any{"S256"}, "token_endpoint_auth_methods_supported": []any{"none"},
		"id_token_signing_alg_values_supported": []any{"RS256"}, "introspection_endpoint": nil, "device_authorization_endpoint": nil,
	} {
		if !reflect.DeepEqual(d[name], want) {
			t.Errorf("%s is %v, want %v", name, d[name], want)
		}
	}
	var keys struct{ Keys []map[string]any }
	p.do("GET", "/.well-known/openid-configuration/jwks", "", "").decode(t, &keys)
	if len(keys.Keys) != 1 || keys.Keys[0]["kty"] != "RSA" || keys.Keys[0]["use"] != "sig" || keys.Keys[0]["d"] != nil {
		t.Errorf("keys %v, want one public RSA key", keys.Keys)
	}
	for origin, want := range map[string]string{"http://localhost:3000": "http://localhost:3000", "https://elsewhere.example": ""} {
		a := p.do("GET", "/.well-known/openid-configuration", "", "", "Origin", origin)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != want || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("origin %s: allowed %q, want %q, and no credentials: %v", origin, got, want, a.header)
		}
	}
	for _, path := range []string{"/health/live", "/health/ready"} {
		if a := p.do("GET", path, "", ""); a.status != 200 || a.body != "Healthy" {
			t.Errorf("%s: status %d, body %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/connect/introspect", "/device_authorization", "/healthz", "/nothing"} {
		if a := p.do("GET", path, "", ""); a.status != 404 {
			t.Errorf("%s: status %d, want 404", path, a.status)
		}
	}
}

// TestRefresh: a refresh token is good once; one that comes again ends all that came from it, and so does a code.
func TestRefresh(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		p.player("ann@play.com")
		refused := func(what string, form url.Values) {
			t.Helper()
			if a, got := p.exchange(form); a.status != 400 || got.Error != "invalid_grant" || got.Access != "" {
				t.Errorf("%s: status %d, %s, want invalid_grant", what, a.status, a.body)
			}
		}
		first := p.signIn("ANN@play.com", "correct horse", "openid offline_access trading.fullaccess catalog.readaccess")
		narrow := renew(first.Refresh)
		narrow.Set("scope", "openid trading.fullaccess")
		a, second := p.exchange(narrow)
		if a.status != 200 || second.Refresh == first.Refresh || !reflect.DeepEqual(claims(t, second.Access)["aud"], []any{"Trading"}) {
			t.Fatalf("status %d, %s, want a token for Trading", a.status, a.body)
		}
		wide := renew(second.Refresh)
		wide.Set("scope", "openid IdentityServerApi")
		if a, got := p.exchange(wide); a.status != 400 || got.Error != "invalid_scope" {
			t.Errorf("more scopes: status %d, %s, want invalid_scope", a.status, a.body)
		}
		a, third := p.exchange(renew(second.Refresh))
		if a.status != 200 || !reflect.DeepEqual(claims(t, third.Access)["aud"], []any{"Catalog", "Trading"}) {
			t.Fatalf("status %d, %s, want the scopes of the sign-in again", a.status, a.body)
		}
		refused("used", renew(second.Refresh))
		refused("of an ended family", renew(third.Refresh))
		refused("unknown", renew("something"))

		other := p.signIn("ann@play.com", "correct horse", "openid offline_access")
		stranger := renew(other.Refresh)
		stranger.Set("client_id", "postman")
		refused("of another client", stranger)
		if a := p.post("/connect/revocation", url.Values{"client_id": {"frontend"}, "token": {other.Refresh}, "token_type_hint": {"refresh_token"}}); a.status != 200 {
			t.Errorf("revoke: status %d, %s", a.status, a.body)
		}
		refused("revoked", renew(other.Refresh))

		late := p.signIn("ann@play.com", "correct horse", "openid offline_access")
		if err := p.SetPassword(t.Context(), "ann@play.com", "another password"); err != nil {
			t.Fatal(err)
		}
		refused("from before the password was changed", renew(late.Refresh))
		late = p.signIn("ann@play.com", "another password", "openid offline_access")
		p.clock.move(31 * 24 * time.Hour)
		refused("expired", renew(late.Refresh))
		if got := p.signIn("ann@play.com", "another password", "openid trading.fullaccess"); got.Refresh != "" {
			t.Error("a refresh token came without offline_access")
		}
	})
}

// TestReplayedCode: a code is good once, and its second use ends the refresh token that came for it.
func TestReplayedCode(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		p.player("ann@play.com")
		b, r := p.browser(), newRequest(allScopes)
		form := r.exchange(code(t, r, b.login(b.begin(r), "ann@play.com", "correct horse")))
		a, got := p.exchange(form)
		if a.status != 200 {
			t.Fatalf("status %d: %s", a.status, a.body)
		}
		if a, got := p.exchange(form); a.status != 400 || got.Error != "invalid_grant" {
			t.Errorf("second use: status %d, %s, want invalid_grant", a.status, a.body)
		}
		if a, got := p.exchange(renew(got.Refresh)); a.status != 400 || got.Error != "invalid_grant" {
			t.Errorf("refresh token of a code that was used twice: status %d, %s, want invalid_grant", a.status, a.body)
		}
	})
}

// TestParallelCode: of many clients with one code, one gets tokens.
func TestParallelCode(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		p.player("ann@play.com")
		b, r := p.browser(), newRequest("openid trading.fullaccess")
		form := r.exchange(code(t, r, b.login(b.begin(r), "ann@play.com", "correct horse")))
		statuses := make(chan int, 8)
		for range cap(statuses) {
			go func() {
				res, err := http.PostForm(p.url+"/connect/token", form)
				if err != nil {
					statuses <- 0
					return
				}
				res.Body.Close()
				statuses <- res.StatusCode
			}()
		}
		good := 0
		for range cap(statuses) {
			switch s := <-statuses; s {
			case 200:
				good++
			case 400:
			default:
				t.Errorf("status %d, want 200 or 400", s)
			}
		}
		if good != 1 {
			t.Errorf("%d got tokens, want 1", good)
		}
	})
}

// TestBadExchange: what is wrong with the exchange of a code that is good.
func TestBadExchange(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	p.player("ann@play.com")
	for name, change := range map[string]struct {
		form func(url.Values)
		wait time.Duration
		want string
	}{
		"wrong verifier":   {func(f url.Values) { f.Set("code_verifier", strings.Repeat("x", 43)) }, 0, "invalid_grant"},
		"no verifier":      {func(f url.Values) { f.Del("code_verifier") }, 0, "invalid_grant invalid_request"},
		"wrong code":       {func(f url.Values) { f.Set("code", "abc") }, 0, "invalid_grant"},
		"no code":          {func(f url.Values) { f.Del("code") }, 0, "invalid_request"},
		"foreign redirect": {func(f url.Values) { f.Set("redirect_uri", "http://localhost:3000/") }, 0, "invalid_grant"},
		"other client":     {func(f url.Values) { f.Set("client_id", "postman") }, 0, "invalid_grant"},
		"unknown client":   {func(f url.Values) { f.Set("client_id", "nobody") }, 0, "invalid_client"},
		"no grant type":    {func(f url.Values) { f.Del("grant_type") }, 0, "invalid_request"},
		"other grant type": {func(f url.Values) { f.Set("grant_type", "client_credentials") }, 0, "unsupported_grant_type"},
		"password grant":   {func(f url.Values) { f.Set("grant_type", "password") }, 0, "unsupported_grant_type"},
		"expired":          {func(url.Values) {}, 61 * time.Second, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := p.browser(), newRequest(allScopes)
			form := r.exchange(code(t, r, b.login(b.begin(r), "ann@play.com", "correct horse")))
			change.form(form)
			p.clock.move(change.wait)
			a, got := p.exchange(form)
			if a.status/100 != 4 || !slices.Contains(strings.Fields(change.want), got.Error) || got.Access != "" {
				t.Errorf("status %d, %s, want %s", a.status, a.body, change.want)
			}
		})
	}
}

// TestBadAuthorize: what is wrong with the request of a client. A redirect address that is not the client's gets nothing.
func TestBadAuthorize(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	for name, change := range map[string]struct {
		query map[string]string
		want  string // error at the client; "" for a page with status 400
	}{
		"foreign redirect":      {map[string]string{"redirect_uri": "https://elsewhere.example/"}, ""},
		"redirect below":        {map[string]string{"redirect_uri": callback + "/x"}, ""},
		"redirect with a query": {map[string]string{"redirect_uri": callback + "?x=1"}, ""},
		"no redirect":           {map[string]string{"redirect_uri": ""}, ""},
		"unknown client":        {map[string]string{"client_id": "nobody"}, ""},
		"no client":             {map[string]string{"client_id": ""}, ""},
		"implicit":              {map[string]string{"response_type": "id_token token"}, "unauthorized_client"},
		"no type":               {map[string]string{"response_type": ""}, "invalid_request"},
		"no challenge":          {map[string]string{"code_challenge": ""}, "invalid_request"},
		"plain challenge":       {map[string]string{"code_challenge_method": "plain"}, "invalid_request"},
		"default challenge":     {map[string]string{"code_challenge_method": ""}, "invalid_request"},
		"no scope":              {map[string]string{"scope": ""}, "invalid_scope"},
		"unknown scope":         {map[string]string{"scope": "everything"}, "invalid_scope"},
		"long state":            {map[string]string{"state": strings.Repeat("x", 5000)}, "invalid_request"},
		"nobody signed in":      {map[string]string{"prompt": "none"}, "login_required"},
		"none and more":         {map[string]string{"prompt": "none login"}, "invalid_request"},
		"bad hint":              {map[string]string{"id_token_hint": "abc"}, "login_required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(allScopes)
			for k, v := range change.query {
				r.query.Set(k, v)
			}
			a := p.browser().open(p.authorizeURL(r), nil)
			if change.want == "" {
				if a.status != 400 || a.header.Get("Location") != "" {
					t.Errorf("status %d, location %q, want 400 and none", a.status, a.header.Get("Location"))
				}
				return
			}
			u, err := url.Parse(a.header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if a.status != 302 || !strings.HasPrefix(u.String(), callback) {
				t.Fatalf("status %d, location %s, body %s, want the client", a.status, u, a.body)
			}
			if q := u.Query(); q.Get("error") != change.want || q.Get("state") != r.query.Get("state") || q.Get("code") != "" {
				// The error of a response type that is not code comes in the fragment.
				if q, _ := url.ParseQuery(u.Fragment); q.Get("error") != change.want {
					t.Errorf("location %s, want the error %s", u, change.want)
				}
			}
		})
	}
}

// TestClients: programs on the user's machine listen at any port, and the portal is found at the server's own address.
func TestClients(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	p.player("ann@play.com")
	server := strings.TrimSuffix(p.url, "/identity-svc")
	for _, c := range []struct{ client, redirect string }{
		{"frontend", server + "/economy/"}, {"frontend", server + "/economy/authentication/login-callback"},
		{"postman", "https://oauth.pstmn.io/v1/callback"}, {"postman", "urn:ietf:wg:oauth:2.0:oob"}, {"postman", "http://127.0.0.1:51234/callback"},
	} {
		b, r := p.browser(), newRequest("openid trading.fullaccess")
		r.client, r.redirect = c.client, c.redirect
		r.query.Set("client_id", c.client)
		r.query.Set("redirect_uri", c.redirect)
		page := b.open(p.authorizeURL(r), nil)
		m := hidden.FindStringSubmatch(page.body)
		if m == nil {
			t.Fatalf("%v: status %d, %s", c, page.status, page.body)
		}
		a := b.login(m[1], "ann@play.com", "correct horse")
		to := a.header.Get("Location")
		if !strings.HasPrefix(to, c.redirect+"?code=") {
			t.Errorf("%v: status %d, location %s", c, a.status, to)
		}
		// Browsers hold the redirect after the form to the policy of its page.
		policy := page.header.Get("Content-Security-Policy")
		u, _ := url.Parse(c.redirect)
		want := u.Scheme + "://" + u.Host
		if u.Host == "" {
			want = u.Scheme + ":"
		}
		if !strings.Contains(policy, "form-action 'self' "+want+";") {
			t.Errorf("%v: policy %s, want the form to lead to %s", c, policy, want)
		}
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		if a, got := p.exchange(r.exchange(u.Query().Get("code"))); a.status != 200 || got.Access == "" {
			t.Errorf("%v: status %d, %s", c, a.status, a.body)
		}
	}
	if a := p.browser().open(p.url+"/connect/authorize?client_id=postman&redirect_uri=http%3A%2F%2F192.0.2.1%2Fcallback&response_type=code&scope=openid", nil); a.status != 400 {
		t.Errorf("postman elsewhere: status %d, want 400", a.status)
	}
}
