package identity_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is a person with a browser who signs in for a client.
type browser struct {
	*place
	jar http.CookieJar
}

func (p *place) browser() *browser {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return &browser{p, jar}
}

// open requests an address, with a form if there is one, and follows redirects as long as they stay at the service.
func (b *browser) open(address string, form url.Values) answer {
	b.t.Helper()
	for range 10 {
		method, body := "GET", ""
		if form != nil {
			method, body = "POST", form.Encode()
		}
		r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			b.t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		for _, c := range b.jar.Cookies(r.URL) {
			r.AddCookie(c)
		}
		a := b.send(http.DefaultTransport, r)
		b.jar.SetCookies(r.URL, (&http.Response{Header: a.header}).Cookies())
		to := a.header.Get("Location")
		if a.status < 300 || a.status > 399 {
			return a
		}
		next, err := r.URL.Parse(to)
		if err != nil {
			b.t.Fatal(err)
		}
		if !strings.HasPrefix(next.String(), b.url) {
			return a
		}
		address, form = next.String(), nil
	}
	b.t.Fatal("more than 10 redirects")
	return answer{}
}

// request is a sign-in as the client has begun it.
type request struct {
	client   string
	redirect string
	verifier string
	state    string
	nonce    string
	query    url.Values
}

const allScopes = "openid profile email roles offline_access catalog.fullaccess inventory.fullaccess trading.fullaccess IdentityServerApi"

func newRequest(scope string) *request {
	r := &request{client: "frontend", redirect: callback, verifier: rand.Text() + rand.Text(), state: rand.Text(), nonce: rand.Text()}
	sum := sha256.Sum256([]byte(r.verifier))
	r.query = url.Values{
		"client_id": {r.client}, "redirect_uri": {r.redirect}, "response_type": {"code"}, "scope": {scope}, "state": {r.state}, "nonce": {r.nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	return r
}

func (p *place) authorizeURL(r *request) string {
	return p.url + "/connect/authorize?" + r.query.Encode()
}

var hidden = regexp.MustCompile(`name="request" value="([^"]+)"`)

// begin opens the authorization page and returns the id of the sign-in in the page that comes.
func (b *browser) begin(r *request) string {
	b.t.Helper()
	a := b.open(b.authorizeURL(r), nil)
	m := hidden.FindStringSubmatch(a.body)
	if a.status != 200 || m == nil {
		b.t.Fatalf("status %d, body %s, want the login page", a.status, a.body)
	}
	return m[1]
}

func (b *browser) login(id, email, password string) answer {
	b.t.Helper()
	return b.open(b.url+"/account/login", url.Values{"request": {id}, "email": {email}, "password": {password}})
}

// code returns the code of an answer that leads to the client.
func code(t testing.TB, r *request, a answer) string {
	t.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	u.RawQuery = ""
	if a.status/100 != 3 || u.String() != r.redirect || q.Get("state") != r.state || q.Get("code") == "" {
		t.Fatalf("status %d, location %s, body %s, want a code and the state at %s", a.status, a.header.Get("Location"), a.body, r.redirect)
	}
	return q.Get("code")
}

// tokens are what a client gets for a code.
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Error   string `json:"error"`
}

func (p *place) post(path string, form url.Values) answer {
	p.t.Helper()
	return p.do("POST", path, "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (p *place) exchange(form url.Values) (answer, tokens) {
	p.t.Helper()
	a := p.post("/connect/token", form)
	var t tokens
	a.decode(p.t, &t)
	return a, t
}

func (r *request) exchange(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {r.client}, "redirect_uri": {r.redirect}, "code": {code}, "code_verifier": {r.verifier}}
}

func renew(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"frontend"}, "refresh_token": {token}}
}

// signIn goes the whole way.
func (p *place) signIn(email, password, scope string) tokens {
	p.t.Helper()
	b, r := p.browser(), newRequest(scope)
	a, t := p.exchange(r.exchange(code(p.t, r, b.login(b.begin(r), email, password))))
	if a.status != 200 {
		p.t.Fatalf("status %d: %s", a.status, a.body)
	}
	return t
}

// claims returns those of a token, which is not verified.
func claims(t testing.TB, token string) (c map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
