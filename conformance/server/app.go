package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
)

// app is the whole application.
type app struct {
	handler    http.Handler
	hubs       []*hubbub.Hub
	classic    *classicApp
	key        []byte
	redirected atomic.Int64
}

func newApp() (*app, error) {
	a := &app{key: make([]byte, 32)}
	rand.Read(a.key)
	verifier, err := auth.JWT(auth.JWTOptions{Key: a.key, Algorithms: []string{"HS256"}})
	if err != nil {
		return nil, err
	}
	bearer := auth.Bearer(verifier, &auth.Options{QueryToken: true})
	test, authorized, uncreatable := newTestHub(), newAuthorizedHub(), newUncreatableHub()
	a.hubs = []*hubbub.Hub{test, authorized, uncreatable}

	mux := http.NewServeMux()
	keys := hubbub.RandomKeyRing()
	signalr.MapHub(mux, "/testhub", test, &signalr.Options{Auth: bearer, Keys: keys})
	signalr.MapHub(mux, "/testhub-nowebsockets", test, &signalr.Options{
		Auth: bearer, Keys: keys, Transports: signalr.ServerSentEvents | signalr.LongPolling})
	signalr.MapHub(mux, "/testhub-stateful", test, &signalr.Options{Auth: bearer, Keys: keys, AllowStatefulReconnects: true})
	signalr.MapHub(mux, "/uncreatable", uncreatable, &signalr.Options{Auth: bearer, Keys: keys})
	signalr.MapHub(mux, "/authorizedhub", authorized, &signalr.Options{Auth: bearer, Keys: keys})
	signalr.MapConnection(mux, "/echo", echo, &signalr.Options{Keys: keys})
	mux.HandleFunc("GET /generateJwtToken", a.generateToken)
	mux.HandleFunc("GET /clientresult/{id}", a.clientResult(test))
	mux.HandleFunc("GET /deployment", deployment)

	a.classic = newClassicApp(mux, bearer)

	routes := signalr.FoldCase(mux, "/testhub-nowebsockets", "/testhub-stateful", "/testhub", "/uncreatable", "/authorizedhub", "/echo")
	a.handler = allowAll(a.redirects(cookies(a.classic.handler(routes))))
	return a, nil
}

func (a *app) shutdown(ctx context.Context) {
	for _, h := range append(a.classic.all(), a.hubs...) {
		_ = h.Shutdown(ctx, 0)
	}
}

// echo writes every chunk back as it came.
func echo(ctx context.Context, c *signalr.RawConnection) error {
	for {
		p, err := c.Read(ctx)
		if err != nil {
			return nil // the peer has ended
		}
		if err := c.Write(p); err != nil {
			return nil
		}
	}
}

// allowAll answers every origin: this is a test server on the loopback interface.
func allowAll(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			for ask, allow := range map[string]string{
				"Access-Control-Request-Method":  "Access-Control-Allow-Methods",
				"Access-Control-Request-Headers": "Access-Control-Allow-Headers",
			} {
				if v := r.Header.Get(ask); v != "" {
					h.Set(allow, v)
				}
			}
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// segment reports whether path is first, or below it, without regard to case.
func segment(path, first string) bool {
	return len(path) >= len(first) && strings.EqualFold(path[:len(first)], first) && (len(path) == len(first) || path[len(first)] == '/')
}

// redirects are the addresses that send clients elsewhere.
func (a *app) redirects(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case segment(path, "/echoredirect"):
			to := "/echo" + path[len("/echoredirect"):]
			if r.URL.RawQuery != "" {
				to += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		case segment(path, "/redirect"):
			w.Header()["Content-Type"] = nil
			fmt.Fprintf(w, `{ "url": "%s/testHub?numRedirects=%d" }`, r.URL.Query().Get("baseUrl"), a.redirected.Add(1))
		case segment(path, "/bad-negotiate"):
			setCookies(w, r)
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, "Some response from server")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func cookies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setCookies(w, r)
		next.ServeHTTP(w, r)
	})
}

// setCookies gives every answer to negotiate the cookies that clients must bring back.
func setCookies(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(strings.ToLower(r.URL.Path), "/negotiate") {
		return
	}
	tail := "path=/"
	if r.TLS != nil {
		tail += "; secure; samesite=none; partitioned"
	}
	h := w.Header()
	h.Add("Set-Cookie", "testCookie=testValue; "+tail)
	h.Add("Set-Cookie", "testCookie2=testValue2; "+tail)
	h.Add("Set-Cookie", "expiredCookie=doesntmatter; expires="+time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)+"; "+tail)
}

// generateToken answers with a token of a user who is good for a short time.
func (a *app) generateToken(w http.ResponseWriter, _ *http.Request) {
	t, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "SignalRTestServer", "aud": "SignalRTests", "nameid": "testuser", "exp": time.Now().Add(5 * time.Second).Unix(),
	}).SignedString(a.key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header()["Content-Type"] = nil
	fmt.Fprint(w, t)
}

// clientResult asks a connection for a number, from outside the hub.
func (a *app) clientResult(hub *hubbub.Hub) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		n, err := hubbub.Invoke[int32](r.Context(), hub.Client(r.PathValue("id")), "Result")
		if err != nil {
			var e *hubbub.Error
			if errors.As(err, &e) {
				fmt.Fprint(w, e.Message)
				return
			}
			fmt.Fprint(w, err)
			return
		}
		fmt.Fprint(w, strconv.Itoa(int(n)))
	}
}

func deployment(w http.ResponseWriter, _ *http.Request) {
	about := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			about[s.Key] = s.Value
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(about)
}
