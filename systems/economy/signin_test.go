package economy_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"

	"github.com/hubbub-go/hubbub/systems/economy"
)

const callback = "http://localhost:3000/authentication/login-callback" // of the original's portal

var hidden = regexp.MustCompile(`name="request" value="([^"]+)"`)

// signIn goes the whole way of a browser, and returns an access token with some scopes.
func (w *world) signIn(email, password, scope string) string {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	var last *url.URL
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if last = r.URL; r.URL.Host == "localhost:3000" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	at, verifier, state := w.at(economy.Identity), rand.Text()+rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	page := read(w.t)(browser.Get(at + "/connect/authorize?" + url.Values{
		"client_id": {"frontend"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {scope}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()))
	m := hidden.FindStringSubmatch(page.body)
	if page.status != http.StatusOK || m == nil {
		w.t.Fatalf("status %d, body %s, want the login page", page.status, page.body)
	}
	a := read(w.t)(browser.PostForm(at+"/account/login", url.Values{"request": {m[1]}, "email": {email}, "password": {password}}))
	if last == nil || last.Query().Get("code") == "" || last.Query().Get("state") != state {
		w.t.Fatalf("status %d, last address %v, body %s, want a code", a.status, last, a.body)
	}
	a = read(w.t)(browser.PostForm(at+"/connect/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"frontend"}, "redirect_uri": {callback}, "code": {last.Query().Get("code")}, "code_verifier": {verifier},
	}))
	token, ok := a.json(w.t)["access_token"].(string)
	if !ok {
		w.t.Fatalf("status %d, body %s, want an access token", a.status, a.body)
	}
	return token
}

// read reads an answer.
func read(t testing.TB) func(*http.Response, error) answer {
	return func(res *http.Response, err error) answer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, res)
	}
}
