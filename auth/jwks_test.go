package auth_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

func TestJWKSAlgorithms(t *testing.T) {
	t.Parallel()
	set := jwks(
		claims{"kty": "oct", "kid": "oct", "k": b64(secret)},
		claims{"kty": "new", "kid": "new"},
		rsaJWK("rsa", &rsaKey().PublicKey),
		ecJWK("p256", "P-256", &ec256().PublicKey), ecJWK("p384", "P-384", &ec384().PublicKey), ecJWK("p521", "P-521", &ec521().PublicKey),
		edJWK("ed", edKey().Public().(ed25519.PublicKey)),
	)
	s, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(set) }))
	v := newJWT(t, auth.JWTOptions{JWKSURL: s.URL, HTTPClient: client})
	kids := map[string]string{
		"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
		"ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed", "HS256": "oct", "HS384": "oct", "HS512": "oct",
	}
	for _, m := range methods() {
		symmetric := m.alg[:2] == "HS" // a secret in a key set is not used
		for _, header := range []claims{{"kid": kids[m.alg]}, {}, {"kid": ""}} {
			_, err := v(t.Context(), sign(t, m.alg, m.sign, header, with(nil)))
			if (err == nil) == symmetric {
				t.Errorf("%s with %v: error %v", m.alg, header, err)
			}
		}
		other := "rsa"
		if kids[m.alg] == "rsa" {
			other = "ed"
		}
		if _, err := v(t.Context(), sign(t, m.alg, m.sign, claims{"kid": other}, with(nil))); err == nil {
			t.Errorf("%s with the key id of another key: no error", m.alg)
		}
	}
}

func TestJWKSKeys(t *testing.T) {
	t.Parallel()
	good := func(changes claims) claims {
		k := rsaJWK("k", &rsaKey().PublicKey)
		for n, v := range changes {
			if k[n] = v; v == nil {
				delete(k, n)
			}
		}
		return k
	}
	ec := func(changes claims) claims {
		k := ecJWK("k", "P-256", &ec256().PublicKey)
		for n, v := range changes {
			k[n] = v
		}
		return k
	}
	tests := []struct {
		name   string
		body   []byte
		alg    string
		key    any
		usable bool
	}{
		{"plain", jwks(good(nil)), "RS256", rsaKey(), true},
		{"no use", jwks(good(claims{"use": nil})), "RS256", rsaKey(), true},
		{"for encryption", jwks(good(claims{"use": "enc"})), "RS256", rsaKey(), false},
		{"to verify", jwks(good(claims{"key_ops": []string{"verify"}})), "RS256", rsaKey(), true},
		{"to wrap", jwks(good(claims{"key_ops": []string{"wrapKey"}})), "RS256", rsaKey(), false},
		{"of the algorithm", jwks(good(claims{"alg": "RS256"})), "RS256", rsaKey(), true},
		{"of another algorithm", jwks(good(claims{"alg": "RS512"})), "RS256", rsaKey(), false},
		{"of an impossible algorithm", jwks(good(claims{"alg": "ES256"})), "RS256", rsaKey(), false},
		{"HS for a public key", jwks(good(claims{"alg": "HS256"})), "HS256", rsaKey().N.Bytes(), false},
		{"no kid", jwks(good(claims{"kid": nil})), "RS256", rsaKey(), true},
		{"same kid twice", jwks(ec(nil), good(nil)), "RS256", rsaKey(), true},
		{"malformed beside a good one", jwks(claims{"kty": 1}, good(nil)), "RS256", rsaKey(), true},
		{"no n", jwks(good(claims{"n": nil})), "RS256", rsaKey(), false},
		{"n no base64", jwks(good(claims{"n": "*"})), "RS256", rsaKey(), false},
		{"weak n", jwks(good(claims{"n": b64(rsaKey().N.Bytes()[:128])})), "RS256", rsaKey(), false},
		{"huge n", jwks(good(claims{"n": b64(bytes.Repeat([]byte{255}, 2000))})), "RS256", rsaKey(), false},
		{"e of 1", jwks(good(claims{"e": b64([]byte{1})})), "RS256", rsaKey(), false},
		{"huge e", jwks(good(claims{"e": b64(bytes.Repeat([]byte{255}, 4))})), "RS256", rsaKey(), false},
		{"very huge e", jwks(good(claims{"e": b64(bytes.Repeat([]byte{255}, 9))})), "RS256", rsaKey(), false},
		{"EC", jwks(ec(nil)), "ES256", ec256(), true},
		{"point not on the curve", jwks(ec(claims{"x": b64(make([]byte, 32))})), "ES256", ec256(), false},
		{"short x", jwks(ec(claims{"x": b64(big.NewInt(1).Bytes())})), "ES256", ec256(), false},
		{"long y", jwks(ec(claims{"y": b64(make([]byte, 33))})), "ES256", ec256(), false},
		{"unknown curve", jwks(ec(claims{"crv": "secp256k1"})), "ES256", ec256(), false},
		{"Ed448", jwks(claims{"kty": "OKP", "crv": "Ed448", "x": b64(make([]byte, 57))}), "EdDSA", edKey(), false},
		{"short Ed25519", jwks(claims{"kty": "OKP", "crv": "Ed25519", "x": b64(make([]byte, 31))}), "EdDSA", edKey(), false},
		{"empty", jwks(), "RS256", rsaKey(), false},
		{"no keys", []byte(`{}`), "RS256", rsaKey(), false},
		{"null", []byte(`null`), "RS256", rsaKey(), false},
		{"keys are a text", []byte(`{"keys":"x"}`), "RS256", rsaKey(), false},
		{"list", []byte(`[]`), "RS256", rsaKey(), false},
		{"no JSON", []byte(`<html>`), "RS256", rsaKey(), false},
		{"nothing", nil, "RS256", rsaKey(), false},
		{"65 keys", jwks(repeat(good(nil), 65)...), "RS256", rsaKey(), false},
		{"huge", append(jwks(good(nil)), bytes.Repeat([]byte(" "), 1<<20)...), "RS256", rsaKey(), false},
		{"nearly huge", append(jwks(good(nil)), bytes.Repeat([]byte(" "), 1<<20-2000)...), "RS256", rsaKey(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(tt.body) }))
			v := newJWT(t, auth.JWTOptions{JWKSURL: s.URL, HTTPClient: client})
			_, err := v(t.Context(), sign(t, tt.alg, tt.key, claims{"kid": "k"}, with(nil)))
			if (err == nil) != tt.usable {
				t.Errorf("error %v, want usable %v", err, tt.usable)
			}
		})
	}
}

func repeat(k claims, n int) []claims {
	all := make([]claims, n)
	for i := range all {
		all[i] = k
	}
	return all
}

// Fifty tokens with unknown keys, at once: one fetch for the first keys, one more to look for the unknown.
func TestJWKSStorm(t *testing.T) {
	t.Parallel()
	var fetches atomic.Int32
	s, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		w.Write(jwks(rsaJWK("k", &rsaKey().PublicKey)))
	}))
	v := newJWT(t, auth.JWTOptions{JWKSURL: s.URL, HTTPClient: client})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			token := sign(t, "RS256", rsaKey2(), claims{"kid": fmt.Sprint("x", i)}, with(nil))
			if u, err := v(t.Context(), token); err == nil || errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("user %+v, error %v, want a refusal", u, err)
			}
		})
	}
	wg.Wait()
	if n := fetches.Load(); n > 2 {
		t.Errorf("%d fetches, want at most 2", n)
	}
	if _, err := v(t.Context(), sign(t, "RS256", rsaKey(), claims{"kid": "k"}, with(nil))); err != nil {
		t.Errorf("the good token: %v", err)
	}
	before := fetches.Load()
	_, err := v(t.Context(), sign(t, "RS256", rsaKey2(), claims{"kid": "k"}, with(nil)))
	wantBad(t, "known id, wrong signature", err, false)
	if n := fetches.Load(); n != before {
		t.Errorf("%d fetches for a wrong signature, want none", n-before)
	}
}

// Tokens that cannot be good whatever the keys are cause no fetch at all.
func TestJWKSNoFetchForGarbage(t *testing.T) {
	t.Parallel()
	var fetches atomic.Int32
	s, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fetches.Add(1) }))
	v := newJWT(t, auth.JWTOptions{JWKSURL: s.URL, HTTPClient: client, Algorithms: []string{"RS256"}})
	for _, token := range []string{"", "x", "a.b.c", sign(t, "HS256", secret, nil, with(nil)), sign(t, "ES256", ec256(), nil, with(nil))} {
		if _, err := v(t.Context(), token); err == nil || errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%.10q: error %v, want a refusal", token, err)
		}
	}
	if n := fetches.Load(); n != 0 {
		t.Errorf("%d fetches, want none", n)
	}
}

// endpoint stands for an issuer in tests about time, where no real network may be.
type endpoint struct {
	mu      sync.Mutex
	fetches int
	answer  func() (int, []byte, error) // nil hangs until the request ends
}

func (e *endpoint) set(status int, body []byte, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = func() (int, []byte, error) { return status, body, err }
}

func (e *endpoint) hang() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = nil
}

func (e *endpoint) count() int {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fetches
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	e.fetches++
	answer := e.answer
	e.mu.Unlock()
	if answer == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status, body, err := answer()
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// clockwork runs f in a bubble of time with a verifier of the endpoint e and a function that presents a token of a key.
func clockwork(t *testing.T, f func(t *testing.T, e *endpoint, present func(kid string) error)) {
	t.Helper()
	t.Parallel()
	one, two := rsaKey(), rsaKey2() // made outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		v := newJWT(t, auth.JWTOptions{JWKSURL: "https://id.example.com/keys", HTTPClient: &http.Client{Transport: e}})
		f(t, e, func(kid string) error {
			k := one
			if kid == "two" {
				k = two
			}
			header := claims{"kid": kid}
			if kid == "" {
				header, k = nil, two
			}
			_, err := v(t.Context(), sign(t, "RS256", k, header, with(nil)))
			return err
		})
	})
}

var (
	setOne  = sync.OnceValue(func() []byte { return jwks(rsaJWK("one", &rsaKey().PublicKey)) })
	setBoth = sync.OnceValue(func() []byte {
		return jwks(rsaJWK("one", &rsaKey().PublicKey), rsaJWK("two", &rsaKey2().PublicKey))
	})
	setTwo = sync.OnceValue(func() []byte { return jwks(rsaJWK("two", &rsaKey2().PublicKey)) })
)

func wantGood(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func wantBad(t *testing.T, what string, err error, unavailable bool) {
	t.Helper()
	if err == nil || errors.Is(err, auth.ErrUnavailable) != unavailable {
		t.Errorf("%s: error %v, want one with unavailable %v", what, err, unavailable)
	}
}

func wantFetches(t *testing.T, e *endpoint, want int) {
	t.Helper()
	if n := e.count(); n != want {
		t.Errorf("%d fetches, want %d", n, want)
	}
}

// A new key is found with its first token; then strangers can cause one fetch in 30 s.
func TestJWKSRotation(t *testing.T) {
	clockwork(t, func(t *testing.T, e *endpoint, present func(string) error) {
		e.set(200, setOne(), nil)
		wantGood(t, "first key", present("one"))
		e.set(200, setBoth(), nil)
		wantGood(t, "new key at once", present("two"))
		wantFetches(t, e, 2)
		wantBad(t, "unknown", present("three"), false)
		time.Sleep(29 * time.Second)
		wantBad(t, "unknown within the pause", present("three"), false)
		wantFetches(t, e, 2)
		time.Sleep(time.Second)
		wantBad(t, "unknown after the pause", present("three"), false)
		wantFetches(t, e, 3)
	})
}

// A token without a key id whose signature no key made is like one with an unknown key.
func TestJWKSRotationWithoutKeyID(t *testing.T) {
	clockwork(t, func(t *testing.T, e *endpoint, present func(string) error) {
		e.set(200, setOne(), nil)
		wantGood(t, "first key", present("one"))
		e.set(200, setTwo(), nil)
		wantGood(t, "new key without id", present(""))
		wantFetches(t, e, 2)
	})
}

// Old keys are refreshed in the background: the token that finds them old is still verified with them.
func TestJWKSRefresh(t *testing.T) {
	clockwork(t, func(t *testing.T, e *endpoint, present func(string) error) {
		e.set(200, setOne(), nil)
		wantGood(t, "first", present("one"))
		e.set(200, setTwo(), nil)
		time.Sleep(59 * time.Minute)
		wantGood(t, "before the interval", present("one"))
		wantFetches(t, e, 1)
		time.Sleep(time.Minute)
		wantGood(t, "the token that finds the keys old", present("one"))
		wantFetches(t, e, 2)
		wantBad(t, "the key that was taken away", present("one"), false)
		wantGood(t, "the key that came", present("two"))
	})
}

// An endpoint that is down takes nothing away, and is asked again less and less often.
func TestJWKSLastGoodKeys(t *testing.T) {
	for name, down := range map[string]func(e *endpoint){
		"refused": func(e *endpoint) { e.set(0, nil, errors.New("connection refused")) },
		"500":     func(e *endpoint) { e.set(500, setOne(), nil) },
		"empty":   func(e *endpoint) { e.set(200, jwks(), nil) },
		"hangs":   func(e *endpoint) { e.hang() },
	} {
		t.Run(name, func(t *testing.T) {
			clockwork(t, func(t *testing.T, e *endpoint, present func(string) error) {
				e.set(200, setOne(), nil)
				wantGood(t, "first", present("one"))
				down(e)
				for range 48 {
					time.Sleep(time.Hour)
					wantGood(t, "last good key", present("one"))
				}
				wantFetches(t, e, 49)
				time.Sleep(time.Minute)
				wantBad(t, "unknown key, which may be new", present("two"), true)
				before := e.count()
				for range 50 {
					wantBad(t, "unknown key, which may be new", present("two"), true)
					wantGood(t, "last good key", present("one"))
				}
				wantFetches(t, e, before)
				e.set(200, setBoth(), nil)
				time.Sleep(time.Minute)
				wantGood(t, "new key when it is up again", present("two"))
			})
		})
	}
}

// Without any keys a token cannot be judged; the attempts are 1, 2, 4 … 30 s apart.
func TestJWKSDownFromTheStart(t *testing.T) {
	clockwork(t, func(t *testing.T, e *endpoint, present func(string) error) {
		e.set(503, nil, nil)
		start := time.Now()
		var at []time.Duration
		for n := 0; time.Since(start) < 2*time.Minute; time.Sleep(100 * time.Millisecond) {
			wantBad(t, "down", present("one"), true)
			if now := e.count(); now > n {
				n = now
				at = append(at, time.Since(start))
			}
		}
		want := fmt.Sprint([]time.Duration{0, 1e9, 3e9, 7e9, 15e9, 31e9, 61e9, 91e9})
		if got := fmt.Sprint(at); got != want {
			t.Errorf("attempts at %s, want %s", got, want)
		}
		e.set(200, setOne(), nil)
		time.Sleep(30 * time.Second)
		wantGood(t, "up", present("one"))
	})
}

// A fetch is bounded in time; a caller who goes away gives up waiting, and the fetch goes on for the others.
func TestJWKSTimeoutAndContext(t *testing.T) {
	t.Parallel()
	key := rsaKey()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		v := newJWT(t, auth.JWTOptions{JWKSURL: "https://id.example.com/keys", HTTPClient: &http.Client{Transport: e}})
		token := sign(t, "RS256", key, nil, with(nil))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v(ctx, token)
		if d := time.Since(start); d != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v, want the deadline after 1s", d, err)
		}
		_, err = v(t.Context(), token)
		if d := time.Since(start); d != 10*time.Second || !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("after %v: %v, want unavailable after 10s", d, err)
		}
		wantFetches(t, e, 1)
	})
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		path   string // of the issuer
		config func(base string) string
		good   bool
	}{
		{"plain", "", func(b string) string { return `{"issuer":"` + b + `","jwks_uri":"` + b + `/keys"}` }, true},
		{"below a path", "/realm", func(b string) string { return `{"issuer":"` + b + `/realm","jwks_uri":"` + b + `/keys"}` }, true},
		{"with a slash", "/realm/", func(b string) string { return `{"issuer":"` + b + `/realm/","jwks_uri":"` + b + `/keys"}` }, true},
		{"moved keys", "", func(b string) string { return `{"issuer":"` + b + `","jwks_uri":"` + b + `/moved"}` }, true},
		{"other issuer", "", func(b string) string { return `{"issuer":"` + b + `/evil","jwks_uri":"` + b + `/keys"}` }, false},
		{"no issuer", "", func(b string) string { return `{"jwks_uri":"` + b + `/keys"}` }, false},
		{"no keys", "", func(b string) string { return `{"issuer":"` + b + `"}` }, false},
		{"keys by file", "", func(b string) string { return `{"issuer":"` + b + `","jwks_uri":"file:///etc/passwd"}` }, false},
		{"keys by http elsewhere", "", func(b string) string { return `{"issuer":"` + b + `","jwks_uri":"http://id.example.com/keys"}` }, false},
		{"keys moved to http elsewhere", "", func(b string) string { return `{"issuer":"` + b + `","jwks_uri":"` + b + `/away"}` }, false},
		{"keys moved in a circle", "", func(b string) string { return `{"issuer":"` + b + `","jwks_uri":"` + b + `/circle"}` }, false},
		{"keys not there", "", func(b string) string { return `{"issuer":"` + b + `","jwks_uri":"` + b + `/none"}` }, false},
		{"no JSON", "", func(b string) string { return "<html>" }, false},
		{"huge", "", func(b string) string {
			return `{"issuer":"` + b + `","jwks_uri":"` + b + `/keys"}` + strings.Repeat(" ", 1<<20)
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s *httptest.Server
			mux := http.NewServeMux()
			mux.HandleFunc("GET "+strings.TrimSuffix(tt.path, "/")+"/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, tt.config(s.URL))
			})
			mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) { w.Write(setOne()) })
			mux.Handle("GET /moved", http.RedirectHandler("/keys", http.StatusFound))
			mux.Handle("GET /away", http.RedirectHandler("http://id.example.com/keys", http.StatusFound))
			mux.Handle("GET /circle", http.RedirectHandler("/circle", http.StatusFound))
			s, client := serve(t, mux)
			issuer := s.URL + tt.path
			v := newJWT(t, auth.JWTOptions{Issuer: issuer, HTTPClient: client})
			_, err := v(t.Context(), sign(t, "RS256", rsaKey(), claims{"kid": "one"}, with(claims{"iss": issuer})))
			if (err == nil) != tt.good || err != nil && !errors.Is(err, auth.ErrUnavailable) {
				t.Fatalf("error %v, want good %v", err, tt.good)
			}
			if tt.good {
				_, err := v(t.Context(), sign(t, "RS256", rsaKey(), claims{"kid": "one"}, with(claims{"iss": "https://else"})))
				wantBad(t, "token of another issuer", err, false)
			}
		})
	}
}

// The redirect policy of a client that was handed in holds too, and the client stays as it is.
func TestJWKSRedirectPolicy(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) { w.Write(setOne()) })
	mux.Handle("GET /moved", http.RedirectHandler("/keys", http.StatusFound))
	s, client := serve(t, mux)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("no redirects here") }
	v := newJWT(t, auth.JWTOptions{JWKSURL: s.URL + "/moved", HTTPClient: client})
	_, err := v(t.Context(), sign(t, "RS256", rsaKey(), claims{"kid": "one"}, with(nil)))
	wantBad(t, "redirect", err, true)
	if err == nil || !strings.Contains(err.Error(), "no redirects here") {
		t.Errorf("error %v, want that of the client", err)
	}
}

func TestAny(t *testing.T) {
	t.Parallel()
	refuse := func(context.Context, string) (*hubbub.User, error) { return nil, errors.New("refused") }
	lost := func(context.Context, string) (*hubbub.User, error) { return nil, auth.ErrUnavailable }
	nobody := func(context.Context, string) (*hubbub.User, error) { return nil, nil }
	ann := func(context.Context, string) (*hubbub.User, error) { return &hubbub.User{ID: "ann"}, nil }
	bob := func(context.Context, string) (*hubbub.User, error) { return &hubbub.User{ID: "bob"}, nil }
	tests := []struct {
		name        string
		v           []auth.Verifier
		id          string
		unavailable bool
	}{
		{"first", []auth.Verifier{ann, bob}, "ann", false},
		{"second", []auth.Verifier{refuse, bob}, "bob", false},
		{"after one that is not available", []auth.Verifier{lost, bob}, "bob", false},
		{"after one that knows nobody", []auth.Verifier{nobody, bob}, "bob", false},
		{"none", []auth.Verifier{refuse, nobody}, "", false},
		{"none, one not available", []auth.Verifier{refuse, lost, refuse}, "", true},
	}
	for _, tt := range tests {
		u, err := auth.Any(tt.v...)(t.Context(), "x")
		if u == nil && tt.id != "" || u != nil && u.ID != tt.id || (err == nil) != (tt.id != "") || errors.Is(err, auth.ErrUnavailable) != tt.unavailable {
			t.Errorf("%s: user %+v, error %v", tt.name, u, err)
		}
	}
	for name, f := range map[string]func(){
		"none": func() { auth.Any() },
		"nil":  func() { auth.Any(ann, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
