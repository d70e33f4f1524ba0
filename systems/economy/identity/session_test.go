package identity_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/economy/identity"
)

// TestSession: who is signed in in a browser is not asked again, unless the client wants that, until the session ends.
func TestSession(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	p.player("ann@play.com")
	b, r := p.browser(), newRequest(allScopes)
	_, got := p.exchange(r.exchange(code(t, r, b.login(b.begin(r), "ann@play.com", "correct horse"))))

	silent := func(change map[string]string) (answer, *request) {
		r := newRequest(allScopes)
		r.query.Set("prompt", "none")
		for k, v := range change {
			r.query.Set(k, v)
		}
		return b.open(p.authorizeURL(r), nil), r
	}
	refused := func(what string, a answer) {
		t.Helper()
		if to := a.header.Get("Location"); a.status != 302 || !strings.HasPrefix(to, callback+"?error=login_required&") {
			t.Errorf("%s: status %d, location %s, want login_required", what, a.status, to)
		}
	}
	a, again := silent(nil)
	if a, renewed := p.exchange(again.exchange(code(t, again, a))); a.status != 200 || claims(t, renewed.ID)["sub"] != claims(t, got.ID)["sub"] {
		t.Errorf("silent: status %d, %s", a.status, a.body)
	}
	a, again = silent(map[string]string{"id_token_hint": got.ID})
	code(t, again, a)
	other := p.signIn(adminEmail, adminPassword, allScopes)
	a, _ = silent(map[string]string{"id_token_hint": other.ID})
	refused("for another account", a)
	p.clock.move(time.Minute)
	a, again = silent(map[string]string{"max_age": "3600"})
	code(t, again, a)
	a, _ = silent(map[string]string{"max_age": "30"})
	refused("longer ago than the client takes", a)
	asked := newRequest(allScopes)
	asked.query.Set("prompt", "login")
	b.begin(asked) // the login page, though there is a session
	if a := b.open(p.url+"/account/login", nil); a.status != 200 || !strings.Contains(a.body, "signed in as <strong>ann@play.com</strong>") {
		t.Errorf("login page without a client: status %d, %s, want who is signed in", a.status, a.body)
	}

	leave := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {signedOut}, "state": {"s1"}}
	foreign := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://elsewhere.example/"}}
	if a := b.open(p.url+"/connect/endsession?"+foreign.Encode(), nil); a.status != 400 || a.header.Get("Location") != "" {
		t.Errorf("sign out to a foreign address: status %d, location %s, want 400", a.status, a.header.Get("Location"))
	}
	if a := b.open(p.url+"/connect/endsession?"+leave.Encode(), nil); a.status != 302 || a.header.Get("Location") != signedOut+"?state=s1" {
		t.Errorf("sign out: status %d, location %s", a.status, a.header.Get("Location"))
	}
	a, _ = silent(nil)
	refused("signed out", a)

	r = newRequest(allScopes)
	code(t, r, b.login(b.begin(r), "ann@play.com", "correct horse"))
	p.clock.move(12 * time.Hour)
	a, _ = silent(nil)
	refused("after the lifetime of the session", a)
	if a := b.open(p.url+"/connect/endsession", nil); a.status != 200 || !strings.Contains(a.body, "You are signed out") {
		t.Errorf("sign out without a client: status %d, %s", a.status, a.body)
	}
}

// TestCookies: scripts and other sites do not have them.
func TestCookies(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	p.player("ann@play.com")
	for issuer, secure := range map[string]bool{p.url: false, "https://play.example.com/identity-svc": true} {
		p.change = func(c *identity.Config) { c.Issuer = issuer }
		s := p.open()
		defer s.Close()
		mux := http.NewServeMux()
		if err := s.Mount(mux); err != nil {
			t.Fatal(err)
		}
		w := recorder{header: http.Header{}}
		form := strings.NewReader(url.Values{"email": {"ann@play.com"}, "password": {"correct horse"}}.Encode())
		r, err := http.NewRequestWithContext(t.Context(), "POST", issuer+"/account/login", form)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		mux.ServeHTTP(&w, r)
		cookies := (&http.Response{Header: w.header}).Cookies()
		if w.status != 303 || len(cookies) != 2 {
			t.Fatalf("status %d, cookies %v, want 303 and two", w.status, cookies)
		}
		for _, c := range cookies {
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/identity-svc/" || c.Secure != secure {
				t.Errorf("%s: cookie %v", issuer, c)
			}
		}
	}
}

// recorder keeps what a handler answers.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

// TestOtherBrowser: who sends somebody the address of a sign-in of his own does not get a code for that account, nor can another
// page post the forms.
func TestOtherBrowser(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	p.player("ann@play.com")
	attacker, victim := p.browser(), p.browser()
	r := newRequest(allScopes)
	id := attacker.begin(r)
	if a := victim.open(p.url+"/account/login?request="+id, nil); a.status != 400 || hidden.MatchString(a.body) {
		t.Errorf("login page in another browser: status %d, %s, want 400", a.status, a.body)
	}
	if a := victim.login(id, "ann@play.com", "correct horse"); a.status != 400 || a.header.Get("Location") != "" {
		t.Errorf("login in another browser: status %d, want 400", a.status)
	}
	if a := victim.open(p.url+"/register", url.Values{"request": {id}, "email": {"bob@play.com"}, "password": {"correct horse"}}); a.status != 400 {
		t.Errorf("register in another browser: status %d, want 400", a.status)
	}
	own := newRequest(allScopes)
	done := victim.begin(own)
	if a := attacker.open(p.url+"/connect/authorize/callback?id="+done, nil); a.status != 400 || a.header.Get("Location") != "" {
		t.Errorf("callback in another browser: status %d, location %s, want 400", a.status, a.header.Get("Location"))
	}
	if a := victim.open(p.url+"/connect/authorize/callback?id="+done, nil); a.status != 200 || !hidden.MatchString(a.body) {
		t.Errorf("callback before the login: status %d, %s, want the login page", a.status, a.body)
	}
	code(t, own, victim.login(done, "ann@play.com", "correct horse"))
	if a := victim.open(p.url+"/account/login?request="+done, nil); a.status/100 == 3 && strings.Contains(a.header.Get("Location"), "code=") {
		t.Errorf("a sign-in gave a second code: %s", a.header.Get("Location"))
	}
	for _, path := range []string{"/account/login", "/register"} {
		for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://elsewhere.example"}} {
			a := p.do("POST", path, "", "email=ann%40play.com&password=correct+horse", append(headers, "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")...)
			if a.status != 403 || len(a.header.Values("Set-Cookie")) > 0 {
				t.Errorf("%s with %v: status %d, cookies %v, want 403 and none", path, headers, a.status, a.header.Values("Set-Cookie"))
			}
		}
	}
}

// TestExpiredSignIn: a login page that was open for too long says so.
func TestExpiredSignIn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	p.player("ann@play.com")
	b := p.browser()
	id := b.begin(newRequest(allScopes))
	p.clock.move(time.Hour)
	if a := b.login(id, "ann@play.com", "correct horse"); a.status != 400 || !strings.Contains(a.body, "This sign-in has expired") {
		t.Errorf("status %d, %s, want a page that says so", a.status, a.body)
	}
}

// TestGuessing: a wrong password says nothing about the account, and too many have to wait. The right one does not count.
func TestGuessing(t *testing.T) {
	t.Parallel()
	var address atomic.Value
	address.Store("192.0.2.1")
	p := newPlace(t, "sqlite", func(c *identity.Config) {
		c.ClientAddress = func(*http.Request) string { return address.Load().(string) }
	})
	p.clock.hold()
	p.player("ann@play.com")
	b := p.browser()
	id := b.begin(newRequest(allScopes))
	for i := range 5 {
		for _, email := range []string{"ann@play.com", "nobody@play.com"} {
			if a := b.login(id, email, "wrong"); a.status != 401 || !strings.Contains(a.body, "The e-mail or the password is not right.") || strings.Contains(a.body, "wrong") {
				t.Fatalf("try %d of %s: status %d, %s", i, email, a.status, a.body)
			}
		}
	}
	a := b.login(id, "ANN@play.com", "correct horse")
	if a.status != 429 || a.header.Get("Retry-After") != "13" || !strings.Contains(a.body, "Try again in 13 seconds.") {
		t.Errorf("sixth try: status %d, headers %v, %s, want to wait", a.status, a.header, a.body)
	}
	if n := p.Stats().FailedSignIns; n != 11 {
		t.Errorf("%d sign-ins have failed, want 11", n)
	}
	address.Store("192.0.2.2")
	b2 := p.browser()
	for range 7 {
		r := newRequest(allScopes)
		r.query.Set("prompt", "login")
		code(t, r, b2.login(b2.begin(r), "ann@play.com", "correct horse"))
	}
	address.Store("192.0.2.1")
	p.clock.move(12 * time.Second)
	if a := b.login(id, "ann@play.com", "correct horse"); a.status != 302 {
		t.Errorf("after the wait: status %d, %s, want the client", a.status, a.body)
	}
	for i := range 60 {
		if a = b.open(p.url+"/account/login", url.Values{"email": {strings.Repeat("x", i+1)}, "password": {"wrong"}}); a.status == 429 {
			break
		}
	}
	if a.status != 429 {
		t.Error("one address may try any number of accounts")
	}
}
