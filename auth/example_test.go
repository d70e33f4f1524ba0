package auth_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

// hello stands for the handler of a hub.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if u := hubbub.UserFrom(r.Context()); u != nil {
		fmt.Fprintf(w, "hello %s", u.ID)
		return
	}
	fmt.Fprint(w, "hello stranger")
})

func get(h http.Handler, target string, header ...string) {
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body.String()+w.Header().Get("WWW-Authenticate"))
}

// A hub takes the token from the query too, because browsers cannot set a header on a WebSocket.
func ExampleBearer() {
	verify, err := auth.JWT(auth.JWTOptions{Key: []byte("a secret that has at least 32 bytes")})
	if err != nil {
		log.Fatal(err)
	}
	hub := auth.Bearer(verify, &auth.Options{QueryToken: true, Required: true})(hello)
	get(hub, "/hub")
	get(hub, "/hub?access_token=forged")
	// Output:
	// 401 Bearer
	// 401 Bearer error="invalid_token"
}

// Keys of an OpenID Connect provider are found by its address, kept, and looked up again when it changes them.
func ExampleJWT() {
	verify, err := auth.JWT(auth.JWTOptions{
		Issuer:   "https://login.example.com",
		Audience: []string{"hubs"},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/hub", auth.Bearer(verify, &auth.Options{QueryToken: true})(hello))
}

// A server signs its own tokens and takes those of a provider as well.
func ExampleIssuer() {
	issuer := &auth.Issuer{Keys: hubbub.RandomKeyRing(), Issuer: "hubbub"}
	token, err := issuer.Sign(map[string]any{"sub": "ann", "role": "admin"}, time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	provider, err := auth.JWT(auth.JWTOptions{JWKSURL: "https://login.example.com/keys", Issuer: "https://login.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	get(auth.Bearer(auth.Any(issuer.Verify, provider), nil)(hello), "/", "Authorization", "Bearer "+token)
	// Output:
	// 200 hello ann
}

// A verifier is a function, so any kind of token will do.
func ExampleVerifier() {
	sessions := map[string]*hubbub.User{"k7": {ID: "ann", Expires: time.Now().Add(time.Hour)}}
	verify := func(_ context.Context, token string) (*hubbub.User, error) {
		if u := sessions[token]; u != nil {
			return u, nil
		}
		return nil, fmt.Errorf("no such session")
	}
	get(auth.Bearer(verify, nil)(hello), "/", "Authorization", "Bearer k7")
	// Output:
	// 200 hello ann
}

// A check that is slow, such as of a signature, is made once for each token in a while.
func ExampleRemember() {
	asked := 0
	slow := func(_ context.Context, token string) (*hubbub.User, error) {
		asked++
		return &hubbub.User{ID: token}, nil
	}
	verify := auth.Remember(slow, 10*time.Second)
	for range 3 {
		u, err := verify(context.Background(), "ann")
		fmt.Println(u.ID, err, asked)
	}
	// Output:
	// ann <nil> 1
	// ann <nil> 1
	// ann <nil> 1
}

// Cookies beside tokens.
func ExampleAuthenticator() {
	cookie := func(r *http.Request) (*hubbub.User, error) {
		c, err := r.Cookie("session")
		if err != nil {
			return nil, nil // no credential of this kind
		}
		if c.Value != "k7" {
			return nil, fmt.Errorf("no such session")
		}
		return &hubbub.User{ID: "bob"}, nil
	}
	issuer := &auth.Issuer{Keys: hubbub.RandomKeyRing()}
	h := auth.Middleware(auth.First(auth.Token(issuer.Verify, nil), cookie), nil)(hello)
	get(h, "/", "Cookie", "session=k7")
	get(h, "/", "Cookie", "session=k8")
	// Output:
	// 200 hello bob
	// 200 hello stranger
}

// What was wrong with a credential is for the log of the server, and no concern of who sent it.
func ExampleErrorFrom() {
	issuer := &auth.Issuer{Keys: hubbub.RandomKeyRing()}
	h := auth.Bearer(issuer.Verify, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("something wrong:", auth.ErrorFrom(r.Context()) != nil)
		fmt.Fprint(w, "welcome")
	}))
	get(h, "/")
	get(h, "/", "Authorization", "Bearer forged")
	// Output:
	// something wrong: false
	// 200 welcome
	// something wrong: true
	// 200 welcome
}

func ExampleChallenge() {
	h := auth.Bearer((&auth.Issuer{Keys: hubbub.RandomKeyRing()}).Verify, nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch u := hubbub.UserFrom(r.Context()); {
		case u == nil:
			auth.Challenge(w, r)
		case !u.HasRole("admin"):
			auth.Forbid(w)
		}
	}))
	get(h, "/admin", "Authorization", "Bearer forged")
	// Output:
	// 401 Bearer error="invalid_token"
}

// A logger outside of the middleware sees the URL as it came.
func ExampleRedactURL() {
	u, err := url.Parse("/hub?id=7&access_token=eyJhbGciOi")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(auth.RedactURL(u))
	// Output:
	// /hub?id=7&access_token=REDACTED
}

func ExampleRedactAttr() {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: auth.RedactAttr}))
	log.Info("request", "url", "/hub?access_token=eyJhbGciOi")
	_, after, _ := bytes.Cut(out.Bytes(), []byte("msg="))
	os.Stdout.Write(after)
	// Output:
	// request url="/hub?access_token=REDACTED"
}

// Pages of one other origin may use the hub, with cookies and tokens.
func ExampleCORS() {
	cors, err := auth.CORS(auth.CORSOptions{Origins: []string{"https://app.example.com", "http://localhost:*"}})
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/hub", nil)
	r.Header.Set("Origin", "https://app.example.com")
	cors(hello).ServeHTTP(w, r)
	fmt.Println(w.Header().Get("Access-Control-Allow-Origin"), w.Header().Get("Access-Control-Allow-Credentials"))
	// Output:
	// https://app.example.com true
}

func ExampleOrigins() {
	origins, err := auth.ParseOrigins("https://app.example.com")
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/hub", nil)
	for _, origin := range []string{"https://app.example.com", "https://evil.example.com"} {
		r.Header.Set("Origin", origin)
		fmt.Println(origin, origins.Allowed(r))
	}
	// Output:
	// https://app.example.com true
	// https://evil.example.com false
}
