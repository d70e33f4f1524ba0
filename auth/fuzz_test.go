package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

// Whatever stands in the header and the query: nobody but the holder of the token is let in, and the next handler does not
// see the token of the query.
func FuzzBearer(f *testing.F) {
	good := sign(f, "HS256", secret, nil, with(claims{"exp": 1 << 36}))
	for _, header := range []string{"", "Bearer", "Bearer ", "bearer " + good, "Basic x", "Bearer a.b.c", "Bearer " + good + "."} {
		for _, query := range []string{"", "access_token=" + good, "a=b&ACCESS_TOKEN=" + good + "&c", "access%5ftoken=%zz", "access_token=x;access_token=y"} {
			f.Add(header, query)
		}
	}
	for _, head := range []string{`{"alg":"none"}`, `{"alg":"HS256","kid":1}`, `{"alg":"HS256","crit":[]}`, `null`} {
		f.Add("Bearer "+b64([]byte(head))+good[strings.IndexByte(good, '.'):], "")
	}
	v := newJWT(f, auth.JWTOptions{Key: secret})
	middleware := auth.Bearer(v, &auth.Options{QueryToken: true, Logger: quiet})
	f.Fuzz(func(t *testing.T, header, query string) {
		r := httptest.NewRequest("GET", "/hub", nil)
		r.Header["Authorization"] = []string{header}
		r.URL.RawQuery = query
		called := false
		middleware(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
			called = true
			for name := range in.URL.Query() {
				if strings.EqualFold(name, "access_token") {
					t.Errorf("the query %q still has the token: %q", query, in.URL.RawQuery)
				}
			}
			if u := hubbub.UserFrom(in.Context()); u != nil && !strings.Contains(header+query, "eyJ") && !strings.Contains(query, "%") {
				t.Errorf("header %q and query %q let %v in", header, query, u)
			}
			if hubbub.UserFrom(in.Context()) != nil && auth.ErrorFrom(in.Context()) != nil {
				t.Error("a user and an error")
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if !called {
			t.Error("the handler was not called")
		}
	})
}

// A token that the library takes has been signed, whatever its parts say.
func FuzzJWT(f *testing.F) {
	part := strings.Split(sign(f, "HS256", secret, nil, with(claims{"exp": 1 << 36})), ".")
	f.Add([]byte(`{"alg":"HS256"}`), []byte(`{"sub":"ann","exp":9999999999,"aud":["a"]}`), part[2])
	f.Add([]byte(`{"alg":"none"}`), []byte(`{"exp":1e400,"nbf":{}}`), "")
	f.Add([]byte(`{"alg":"HS256","alg":"none"}`), []byte(`null`), part[2])
	v := newJWT(f, auth.JWTOptions{Key: secret, Audience: []string{"a"}})
	f.Fuzz(func(t *testing.T, header, payload []byte, signature string) {
		if u, err := v(t.Context(), b64(header)+"."+b64(payload)+"."+signature); err == nil {
			t.Errorf("header %s, claims %s, signature %s: accepted as %+v", header, payload, signature, u)
		}
		// Signed by the right key the claims are looked at.
		token := b64([]byte(`{"alg":"HS256"}`)) + "." + b64(payload)
		u, err := v(t.Context(), token+"."+hs256(token))
		if err == nil && (u == nil || u.Expires.IsZero() || u.Claims["aud"] == nil) {
			t.Errorf("claims %s: accepted as %+v", payload, u)
		}
	})
}

func FuzzKeyFile(f *testing.F) {
	f.Add(jwks(rsaJWK("k", &rsaKey().PublicKey), ecJWK("e", "P-256", &ec256().PublicKey)))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"OKP","crv":"Ed25519"}]}`))
	f.Add(secret)
	name := filepath.Join(f.TempDir(), "key")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := auth.JWT(auth.JWTOptions{KeyFile: name})
		if (v == nil) == (err == nil) {
			t.Errorf("verifier %t, error %v", v != nil, err)
		}
	})
}

func FuzzRedactURL(f *testing.F) {
	f.Add("a=b", "x&c=d")
	f.Add("access_token=1;", "%41&&=")
	f.Fuzz(func(t *testing.T, before, after string) {
		const token = "eyJ-the-token"
		for _, name := range []string{"access_token", "ACCESS_TOKEN", "access%5Ftoken", "%61ccess_token"} {
			u := &url.URL{Path: "/hub", RawQuery: before + "&" + name + "=" + token + "&" + after}
			if !strings.Contains(before+after, token) && strings.Contains(auth.RedactURL(u), token) {
				t.Errorf("%q: got %q", u.RawQuery, auth.RedactURL(u))
			}
		}
	})
}

func FuzzOrigins(f *testing.F) {
	for _, s := range []string{"https://x.a.com", "http://localhost:1", "null", "https://a.com.evil.com", "https://evil.com\\.a.com"} {
		f.Add(s)
	}
	o, err := auth.ParseOrigins("https://a.com", "https://*.a.com", "http://localhost:*")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Origin"] = []string{origin}
		if !o.Allowed(r) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil {
			t.Fatalf("%q is allowed and no URL", origin)
		}
		host := strings.ToLower(u.Hostname())
		if host != "a.com" && host != "localhost" && !strings.HasSuffix(host, ".a.com") || u.Path != "" || u.User != nil {
			t.Errorf("%q is allowed", origin)
		}
	})
}

// Bearer costs what the token costs, and little beside.
func BenchmarkBearer(b *testing.B) {
	none := func(context.Context, string) (*hubbub.User, error) { return nil, errors.New("refused") }
	ann := &hubbub.User{ID: "ann"}
	known := func(context.Context, string) (*hubbub.User, error) { return ann, nil }
	hs := newJWT(b, auth.JWTOptions{Key: secret})
	rs := newJWT(b, auth.JWTOptions{Key: &rsaKey().PublicKey})
	es := newJWT(b, auth.JWTOptions{Key: &ec256().PublicKey})
	issuer := auth.Issuer{Keys: ring(b, 1)}
	own := must(issuer.Sign(claims{"sub": "ann"}, 1e18))
	for _, bm := range []struct {
		name   string
		v      auth.Verifier
		header string
		query  string
	}{
		{"anonymous", none, "", ""},
		{"header", known, "Bearer x", ""},
		{"query", known, "", "id=1&access_token=x"},
		{"HS256", hs, "Bearer " + sign(b, "HS256", secret, nil, with(claims{"exp": 1 << 36})), ""},
		{"RS256", rs, "Bearer " + sign(b, "RS256", rsaKey(), nil, with(claims{"exp": 1 << 36})), ""},
		{"ES256", es, "Bearer " + sign(b, "ES256", ec256(), nil, with(claims{"exp": 1 << 36})), ""},
		{"issuer", issuer.Verify, "Bearer " + own, ""},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			want := bm.name != "anonymous"
			h := auth.Bearer(bm.v, &auth.Options{QueryToken: true, Logger: quiet})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if (hubbub.UserFrom(r.Context()) != nil) != want {
					b.Fatal("wrong user: ", auth.ErrorFrom(r.Context()))
				}
			}))
			r := httptest.NewRequest("GET", "/hub?"+bm.query, nil)
			if bm.header != "" {
				r.Header.Set("Authorization", bm.header)
			}
			w := httptest.NewRecorder()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
