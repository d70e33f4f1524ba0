package auth_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
)

// words is a verifier of three tokens.
func words(_ context.Context, token string) (*hubbub.User, error) {
	switch token {
	case "good", "a+b/c=":
		return &hubbub.User{ID: "ann", Expires: time.Unix(1<<32, 0)}, nil
	case "lost":
		return nil, fmt.Errorf("no keys: %w", auth.ErrUnavailable)
	case "nobody":
		return nil, nil
	}
	return nil, errors.New("refused")
}

// seen is what the handler behind the middleware tells.
type seen struct {
	User, Query, URI, Error string
}

func tell(w http.ResponseWriter, r *http.Request) {
	s := seen{Query: r.URL.RawQuery, URI: r.RequestURI}
	if u := hubbub.UserFrom(r.Context()); u != nil {
		s.User = u.ID
	}
	if err := auth.ErrorFrom(r.Context()); err != nil {
		s.Error = err.Error()
	}
	json.NewEncoder(w).Encode(s)
}

// do sends a request with exactly these headers to a server and returns the answer with its body.
func do(t *testing.T, h http.Handler, method, target string, header http.Header) (*http.Response, string) {
	t.Helper()
	s, client := serve(t, h)
	r := must(http.NewRequestWithContext(t.Context(), method, s.URL+target, nil))
	r.Header = header
	w, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	return w, string(must(io.ReadAll(w.Body)))
}

func authorization(lines ...string) http.Header { return http.Header{"Authorization": lines} }

func TestBearerSources(t *testing.T) {
	t.Parallel()
	query := &auth.Options{QueryToken: true, Logger: quiet}
	header := &auth.Options{Logger: quiet}
	tests := []struct {
		name   string
		o      *auth.Options
		header http.Header
		query  string
		user   string
		bad    bool
		rest   string // of the query
	}{
		{"nothing", query, nil, "", "", false, ""},
		{"header", header, authorization("Bearer good"), "", "ann", false, ""},
		{"scheme in another case", header, authorization("bEARER good"), "", "ann", false, ""},
		{"blanks around", header, authorization("Bearer   good  "), "", "ann", false, ""},
		{"bad", header, authorization("Bearer evil"), "", "", true, ""},
		{"token with blanks", header, authorization("Bearer good good"), "", "", true, ""},
		{"scheme alone", header, authorization("Bearer"), "", "", false, ""},
		{"scheme and a blank", header, authorization("Bearer "), "", "", false, ""},
		{"scheme glued to the token", header, authorization("Bearergood"), "", "", false, ""},
		{"token alone", header, authorization("good"), "", "", false, ""},
		{"other scheme", header, authorization("Basic Z29vZA=="), "", "", false, ""},
		{"other scheme first", header, authorization("Basic Z29vZA==", "Bearer good"), "", "ann", false, ""},
		{"twice", header, authorization("Bearer good", "Bearer good"), "", "", true, ""},
		{"verifier knows nobody", header, authorization("Bearer nobody"), "", "", true, ""},
		{"own scheme", &auth.Options{Scheme: "Token", Logger: quiet}, authorization("token good"), "", "ann", false, ""},
		{"own scheme, bearer sent", &auth.Options{Scheme: "Token", Logger: quiet}, authorization("Bearer good"), "", "", false, ""},
		{"query", query, nil, "access_token=good", "ann", false, ""},
		{"query between others", query, nil, "id=1&access_token=good&x=%20y&&z", "ann", false, "id=1&x=%20y&&z"},
		{"query in another case", query, nil, "Access_Token=good", "ann", false, ""},
		{"query with an escaped name", query, nil, "access%5Ftoken=good&id=1", "ann", false, "id=1"},
		{"query with escapes", query, nil, "access_token=a%2Bb%2Fc%3D", "ann", false, ""},
		{"query, bad", query, nil, "access_token=evil&id=1", "", true, "id=1"},
		{"query, empty", query, nil, "access_token=&id=1", "", false, "id=1"},
		{"query, no value", query, nil, "access_token&id=1", "", false, "id=1"},
		{"query, twice", query, nil, "access_token=good&access_token=good", "", true, ""},
		{"query, escaped wrongly", query, nil, "access_token=%zz&id=1", "", true, "id=1"},
		{"query, longer name", query, nil, "my_access_token=good", "", false, "my_access_token=good"},
		{"query without the option", header, nil, "access_token=good&id=1", "", false, "id=1"},
		{"query without options", nil, nil, "access_token=good", "", false, ""},
		{"header before query", query, authorization("Bearer good"), "access_token=evil&id=1", "ann", false, "id=1"},
		{"bad header before good query", query, authorization("Bearer evil"), "access_token=good", "", true, ""},
		{"other scheme and query", query, authorization("Basic Z29vZA=="), "access_token=good", "ann", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := auth.Bearer(words, tt.o)(http.HandlerFunc(tell))
			target := "/hub"
			if tt.query != "" {
				target += "?" + tt.query
			}
			w, body := do(t, h, "GET", target, tt.header)
			var s seen
			if err := json.Unmarshal([]byte(body), &s); err != nil || w.StatusCode != 200 {
				t.Fatalf("status %d, body %q", w.StatusCode, body)
			}
			uri := "/hub"
			if tt.rest != "" {
				uri += "?" + tt.rest
			}
			if s.User != tt.user || (s.Error != "") != tt.bad || s.Query != tt.rest || s.URI != uri {
				t.Errorf("got %+v, want user %q, bad %v, query %q", s, tt.user, tt.bad, tt.rest)
			}
		})
	}
}

// The form that an outer handler has parsed loses the token too; that of the outer request stays.
func TestBearerStripsForm(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/hub?access_token=good&id=1", nil)
	if err := r.ParseForm(); err != nil {
		t.Fatal(err)
	}
	auth.Bearer(words, &auth.Options{QueryToken: true})(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		if in.Form.Encode() != "id=1" || in.URL.Query().Encode() != "id=1" || in.RequestURI != "/hub?id=1" {
			t.Errorf("form %v, URL %v, request URI %q", in.Form, in.URL, in.RequestURI)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if r.URL.RawQuery != "access_token=good&id=1" || r.Form.Get("access_token") != "good" {
		t.Error("the request of the outer handler was changed")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	o := auth.Options{Logger: quiet}
	required := auth.Options{Required: true, Logger: quiet}
	token := auth.Options{Scheme: "Token", Logger: quiet}
	challenge := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		auth.Challenge(w, r)
	})
	forbid := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { auth.Forbid(w) })
	foreign := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	ownHeader := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Digest")
		w.WriteHeader(http.StatusUnauthorized)
	})
	const bad = `Bearer error="invalid_token"`
	tests := []struct {
		name   string
		o      *auth.Options
		next   http.Handler
		token  string
		status int
		www    string
	}{
		{"required, none", &required, http.HandlerFunc(tell), "", 401, "Bearer"},
		{"required, bad", &required, http.HandlerFunc(tell), "Bearer evil", 401, bad},
		{"required, good", &required, forbid, "Bearer good", 403, ""},
		{"required, other scheme", &required, http.HandlerFunc(tell), "Basic x", 401, "Bearer"},
		{"challenge, none", &o, challenge, "", 401, "Bearer"},
		{"challenge, bad", &o, challenge, "Bearer evil", 401, bad},
		{"challenge, good", &o, challenge, "Bearer good", 401, "Bearer"},
		{"challenge of another scheme, bad", &token, challenge, "Token evil", 401, "Token"},
		{"forbid, none", &o, forbid, "", 403, ""},
		{"401 of a handler that knows nothing, none", &o, foreign, "", 401, "Bearer"},
		{"401 of a handler that knows nothing, bad", &o, foreign, "Bearer evil", 401, bad},
		{"401 with a challenge of its own", &o, ownHeader, "Bearer evil", 401, "Digest"},
		{"not to be checked", &o, http.HandlerFunc(tell), "Bearer lost", 503, ""},
		{"required, not to be checked", &required, http.HandlerFunc(tell), "Bearer lost", 503, ""},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "POST", "DELETE", "HEAD"} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				t.Parallel()
				header := http.Header{}
				if tt.token != "" {
					header = authorization(tt.token)
				}
				w, body := do(t, auth.Bearer(words, tt.o)(tt.next), method, "/hub", header)
				if w.StatusCode != tt.status || body != "" || w.Header.Get("Content-Length") != "0" && method != "HEAD" {
					t.Errorf("status %d, body %q, header %v, want %d and nothing", w.StatusCode, body, w.Header, tt.status)
				}
				if got := strings.Join(w.Header.Values("WWW-Authenticate"), ", "); got != tt.www {
					t.Errorf("WWW-Authenticate is %q, want %q", got, tt.www)
				}
				if ct := w.Header.Values("Content-Type"); ct != nil {
					t.Errorf("content type %q, want none", ct)
				}
			})
		}
	}
	// Without any middleware.
	w, body := do(t, challenge, "GET", "/", nil)
	if w.StatusCode != 401 || body != "" || w.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("status %d, body %q, header %v", w.StatusCode, body, w.Header)
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	cookie := func(r *http.Request) (*hubbub.User, error) {
		c, err := r.Cookie("session")
		switch {
		case err != nil:
			return nil, nil
		case c.Value == "lost":
			return nil, auth.ErrUnavailable
		case c.Value != "s1":
			return nil, errors.New("no such session")
		}
		return &hubbub.User{ID: "bob"}, nil
	}
	h := auth.Middleware(auth.First(auth.Token(words, nil), cookie), &auth.Options{Logger: quiet})(http.HandlerFunc(tell))
	tests := []struct {
		name, token, cookie string
		status              int
		user                string
		bad                 bool
	}{
		{"neither", "", "", 200, "", false},
		{"token", "good", "", 200, "ann", false},
		{"cookie", "", "s1", 200, "bob", false},
		{"both", "good", "s1", 200, "ann", false},
		{"bad token, good cookie", "evil", "s1", 200, "bob", false},
		{"good token, bad cookie", "good", "s2", 200, "ann", false},
		{"bad cookie", "", "s2", 200, "", true},
		{"both bad", "evil", "s2", 200, "", true},
		{"bad token, cookie cannot be checked", "evil", "lost", 503, "", false},
		{"good token, cookie cannot be checked", "good", "lost", 200, "ann", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			if tt.token != "" {
				header.Set("Authorization", "Bearer "+tt.token)
			}
			if tt.cookie != "" {
				header.Set("Cookie", "session="+tt.cookie)
			}
			w, body := do(t, h, "GET", "/", header)
			var s seen
			if w.StatusCode != tt.status || tt.status == 200 && json.Unmarshal([]byte(body), &s) != nil {
				t.Fatalf("status %d, body %q, want %d", w.StatusCode, body, tt.status)
			}
			if s.User != tt.user || (s.Error != "") != tt.bad {
				t.Errorf("got %+v, want user %q, bad %v", s, tt.user, tt.bad)
			}
		})
	}
}

func TestMissingPartsPanic(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"Token":      func() { auth.Token(nil, nil) },
		"Bearer":     func() { auth.Bearer(nil, nil) },
		"Middleware": func() { auth.Middleware(nil, nil) },
		"First":      func() { auth.First(nil) },
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

// What SignalR's transports need of a response writer works through the middleware: flushing an event stream, taking over a
// connection for a WebSocket, both by the old interfaces and by a response controller.
func TestMiddlewareKeepsTheWriter(t *testing.T) {
	t.Parallel()
	wrap := auth.Bearer(words, nil)
	for name, flush := range map[string]func(w http.ResponseWriter) error{
		"controller": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"interface":  func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
	} {
		t.Run("flush by "+name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			s, client := serve(t, wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "data\n")
				if err := flush(w); err != nil {
					t.Error(err)
				}
				<-release
			})))
			w, err := client.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Body.Close()
			if line, err := bufio.NewReader(w.Body).ReadString('\n'); line != "data\n" {
				t.Errorf("got %q, error %v", line, err)
			}
			close(release)
		})
	}
	t.Run("deadline by controller", func(t *testing.T) {
		t.Parallel()
		w, body := do(t, wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, http.NewResponseController(w).SetWriteDeadline(time.Time{}))
		})), "GET", "/", nil)
		if w.StatusCode != 200 || body != "<nil>" {
			t.Errorf("status %d, body %q", w.StatusCode, body)
		}
	})
	for name, hijack := range map[string]func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
		"interface": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
	} {
		t.Run("hijack by "+name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _, err := hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				c.Close()
			})))
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if all, err := io.ReadAll(c); !bytes.HasPrefix(all, []byte("HTTP/1.1 101 ")) {
				t.Errorf("got %q, error %v", all, err)
			}
		})
	}
}

// Whatever happens to a token, it is not in the log.
func TestTokensAreNotLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := newJWT(t, auth.JWTOptions{Key: secret, Logger: log})
	h := auth.Bearer(v, &auth.Options{QueryToken: true, Required: true, Logger: log})(http.HandlerFunc(tell))
	good := sign(t, "HS256", secret, nil, with(nil))
	bad := []string{
		"top-secret", good + "x", sign(t, "HS256", secret, nil, with(claims{"exp": 1})), sign(t, "RS256", rsaKey(), nil, with(nil)),
		strings.Replace(good, ".", ".x", 1), strings.Repeat("top-secret", 5000),
	}
	for _, token := range bad {
		for _, r := range []*http.Request{
			httptest.NewRequest("GET", "/hub?access_token="+token, nil),
			httptest.NewRequest("GET", "/hub?access_token="+token+"%zz", nil),
			httptest.NewRequest("GET", "/hub?access_token="+token+"&access_token="+token, nil),
			func() *http.Request {
				r := httptest.NewRequest("GET", "/hub", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				return r
			}(),
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 401 {
				t.Errorf("status %d, want 401", w.Code)
			}
		}
		if out.Len() == 0 {
			t.Fatal("nothing was logged")
		}
		if s := out.String(); strings.Contains(s, token[:10]) && token[:10] != good[:10] || strings.Contains(s, "eyJ") {
			t.Fatalf("the token is in the log: %s", s)
		}
		out.Reset()
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"/hub", "/hub"},
		{"/hub?id=1", "/hub?id=1"},
		{"/hub?access_token=secret", "/hub?access_token=REDACTED"},
		{"/hub?id=1&access_token=secret&x=y", "/hub?id=1&access_token=REDACTED&x=y"},
		{"/hub?ACCESS_TOKEN=secret", "/hub?ACCESS_TOKEN=REDACTED"},
		{"/hub?access%5ftoken=secret", "/hub?access%5ftoken=REDACTED"},
		{"/hub?access_token=secret&access_token=secret", "/hub?access_token=REDACTED&access_token=REDACTED"},
		{"/hub?a;access_token=secret;b", "/hub?a;access_token=REDACTED;b"},
		{"/hub?access_token=%zzsecret", "/hub?access_token=REDACTED"},
		{"/hub?access_token=se=cret", "/hub?access_token=REDACTED"},
		{"/hub?x=%zz&access_token", "/hub?x=%zz&access_token"},
		{"https://ann:secret@host/hub?access_token=secret", "https://ann:xxxxx@host/hub?access_token=REDACTED"},
	}
	for _, tt := range tests {
		u := must(url.Parse(tt.in))
		if got := auth.RedactURL(u); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
		if u.String() != tt.in {
			t.Errorf("%s: the URL was changed to %s", tt.in, u)
		}
	}
	if got := auth.RedactURL(nil); got != "" {
		t.Errorf("nil: got %q", got)
	}
}

func TestRedactAttr(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: auth.RedactAttr}))
	u := must(url.Parse("http://h/hub?access_token=secret&id=1"))
	_, err := (&http.Client{Transport: refusing{}}).Get(u.String())
	log.Info("GET /hub?Access_Token=secret HTTP/1.1", "url", u, "value", *u, "text", "see http://h/?access_token=secret, then",
		"two", "access_token=secret&access_token=secret", "error", err, "number", 7, slog.Group("g", "url", u), "plain", "access token")
	got := out.String()
	if strings.Contains(got, "secret") {
		t.Errorf("the token is in the log: %s", got)
	}
	for _, want := range []string{"HTTP/1.1", "id=1", ", then", "number=7", `plain="access token"`, "connection refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the log: %s", want, got)
		}
	}
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}
