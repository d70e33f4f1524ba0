package auth_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/auth"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		list   string // "": the zero Origins
		host   string
		tls    bool
		origin string
		want   bool
	}{
		{"", "hub.example.com", false, "http://hub.example.com", true},
		{"", "hub.example.com", false, "https://hub.example.com", true}, // TLS may end at a proxy
		{"", "hub.example.com", true, "https://hub.example.com", true},
		{"", "hub.example.com", true, "http://hub.example.com", false},
		{"", "Hub.Example.Com", false, "http://hub.example.com", true},
		{"", "hub.example.com:80", false, "http://hub.example.com", true},
		{"", "hub.example.com:443", true, "https://hub.example.com", true},
		{"", "hub.example.com:8080", false, "http://hub.example.com:8080", true},
		{"", "hub.example.com:8080", false, "http://hub.example.com", false},
		{"", "hub.example.com", false, "http://hub.example.com:8080", false},
		{"", "127.0.0.1:8080", false, "http://localhost:8080", false},
		{"", "[::1]:8080", false, "http://[::1]:8080", true},
		{"", "hub.example.com", false, "http://evil.com", false},
		{"", "hub.example.com", false, "http://hub.example.com.evil.com", false},
		{"", "hub.example.com", false, "http://evil.com#hub.example.com", false},
		{"", "hub.example.com", false, "http://evil.com@hub.example.com", false},
		{"", "hub.example.com", false, "ftp://hub.example.com", false},
		{"", "hub.example.com", false, "null", false},
		{"", "hub.example.com", false, "file://", false},
		{"", "hub.example.com", false, "", false},
		{"", "hub.example.com", false, "http://", false},
		{"", "", false, "http://", false},
		{"https://a.com", "hub.com", false, "https://a.com", true},
		{"https://a.com", "hub.com", false, "HTTPS://A.com:443", true},
		{"HTTPS://A.com:443", "hub.com", false, "https://a.com", true},
		{"https://a.com", "hub.com", false, "http://a.com", false},
		{"https://a.com", "hub.com", false, "https://a.com:8443", false},
		{"https://a.com", "hub.com", false, "https://x.a.com", false},
		{"https://a.com", "hub.com", false, "https://a.com/", false},
		{"https://a.com", "hub.com", false, "https://hub.com", false},
		{"https://a.com", "hub.com", false, "null", false},
		{"https://a.com", "hub.com", false, "", false},
		{"https://a.com https://b.com", "hub.com", false, "https://b.com", true},
		{"http://[::1]:80", "hub.com", false, "http://[::1]", true},
		{"capacitor://localhost", "hub.com", false, "capacitor://localhost", true},
		{"http://localhost:*", "hub.com", false, "http://localhost", true},
		{"http://localhost:*", "hub.com", false, "http://localhost:9876", true},
		{"http://localhost:*", "hub.com", false, "https://localhost:9876", false},
		{"http://localhost:*", "hub.com", false, "http://localhost:1.evil.com", false},
		{"http://localhost:*", "hub.com", false, "http://localhost.evil.com", false},
		{"http://localhost:*", "hub.com", false, "http://localhost:1@evil.com", false},
		{"http://127.0.0.1:*", "hub.com", false, "http://127.0.0.1:1", true},
		{"https://*.a.com", "hub.com", false, "https://x.a.com", true},
		{"https://*.a.com", "hub.com", false, "https://X.y.A.com", true},
		{"https://*.a.com", "hub.com", false, "https://a.com", false},
		{"https://*.a.com", "hub.com", false, "https://.a.com", false},
		{"https://*.a.com", "hub.com", false, "https://xa.com", false},
		{"https://*.a.com", "hub.com", false, "https://x.a.com:8443", false},
		{"https://*.a.com:*", "hub.com", false, "https://x.a.com:8443", true},
		{"*", "hub.com", false, "https://evil.com", true},
		{"*", "hub.com", false, "null", true},
	}
	for _, tt := range tests {
		o, err := auth.ParseOrigins(strings.Fields(tt.list)...)
		if err != nil {
			t.Errorf("%s: %v", tt.list, err)
			continue
		}
		r := httptest.NewRequest("GET", "/hub", nil)
		r.Host = tt.host
		r.Header.Set("Origin", tt.origin)
		if tt.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got := o.Allowed(r); got != tt.want {
			t.Errorf("list %q, host %q, TLS %v, origin %q: got %v, want %v", tt.list, tt.host, tt.tls, tt.origin, got, tt.want)
		}
		r.Header.Del("Origin")
		if !o.Allowed(r) {
			t.Errorf("list %q: a request without origin is refused", tt.list)
		}
		r.Header["Origin"] = []string{tt.origin, "https://evil.com"}
		if tt.list != "*" && o.Allowed(r) {
			t.Errorf("list %q: a request with two origins is allowed", tt.list)
		}
	}
	var none *auth.Origins
	r := httptest.NewRequest("GET", "http://hub.com/", nil)
	for origin, want := range map[string]bool{"http://hub.com": true, "http://evil.com": false} {
		r.Header.Set("Origin", origin)
		if got := none.Allowed(r); got != want {
			t.Errorf("nil, origin %s: got %v, want %v", origin, got, want)
		}
	}
}

func TestParseOriginsErrors(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", "a.com", "null", "https://", "https://a.com/", "https://a.com/path", "https://a.com?x", "https://a.com#x", "https://u@a.com",
		"https://a.com:x", "https://*", "https://*:*", "https://*.com", "https://*.*.com", "https://a.*", "https://a*.com", "*://a.com",
		"https://a.com:8*", "https://a.com:80:*", "https://*.1.2.3.4", "**", "https://*.", "https://*..com", "file://", "://a.com", "https:// a.com",
	} {
		if _, err := auth.ParseOrigins("https://good.com", entry); err == nil {
			t.Errorf("%q: no error", entry)
		} else if !strings.Contains(err.Error(), `"`+entry+`"`) {
			t.Errorf("%q: the error does not name it: %v", entry, err)
		}
	}
}

func TestCORSErrors(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]auth.CORSOptions{
		"star with credentials":              {Origins: []string{"*"}},
		"star among others with credentials": {Origins: []string{"https://a.com", "*"}},
		"malformed":                          {Origins: []string{"a.com"}},
		"negative age":                       {MaxAge: -1},
	} {
		if _, err := auth.CORS(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What browsers ask before the requests of SignalR's JavaScript client, and what they are told.
func TestCORSPreflight(t *testing.T) {
	t.Parallel()
	const app = "https://app.example.com"
	exact := auth.CORSOptions{Origins: []string{app, "http://localhost:*"}, MaxAge: time.Minute}
	with := func(f func(o *auth.CORSOptions)) auth.CORSOptions {
		o := exact
		f(&o)
		return o
	}
	open := auth.CORSOptions{Origins: []string{"*"}, NoCredentials: true}
	const (
		negotiate = "authorization,x-requested-with,x-signalr-user-agent"
		post      = "authorization,content-type,x-requested-with,x-signalr-user-agent"
		refresh   = "authorization,x-requested-with,x-signalr-connection-token,x-signalr-user-agent"
	)
	tests := []struct {
		name, origin, method, headers string
		o                             auth.CORSOptions
		allowed                       string // Access-Control-Allow-Origin
		credentials                   bool
	}{
		{"negotiate", app, "POST", negotiate, exact, app, true},
		{"poll", app, "GET", negotiate, exact, app, true},
		{"send bytes", app, "POST", post, exact, app, true},
		{"end", app, "DELETE", negotiate, exact, app, true},
		{"refresh", app, "POST", refresh, exact, app, true},
		{"no headers", app, "DELETE", "", exact, app, true},
		{"pattern", "http://localhost:9876", "POST", negotiate, exact, "http://localhost:9876", true},
		{"other origin", "https://evil.com", "POST", negotiate, exact, "", false},
		{"origin below", "https://x.app.example.com", "POST", negotiate, exact, "", false},
		{"null", "null", "POST", negotiate, exact, "", false},
		{"other method", app, "PUT", negotiate, exact, "", false},
		{"extra method", app, "PUT", negotiate, with(func(o *auth.CORSOptions) { o.Methods = []string{"PUT"} }), app, true},
		{"other header", app, "POST", "x-evil", exact, "", false},
		{"extra header", app, "POST", "authorization,x-tenant", with(func(o *auth.CORSOptions) { o.Headers = []string{"X-Tenant"} }), app, true},
		{"any header", app, "POST", "x-evil", with(func(o *auth.CORSOptions) { o.Headers = []string{"*"} }), app, true},
		{"no credentials", app, "POST", negotiate, with(func(o *auth.CORSOptions) { o.NoCredentials = true }), app, false},
		{"every origin", "https://evil.com", "POST", negotiate, open, "*", false},
		{"no origins", app, "POST", negotiate, auth.CORSOptions{}, "", false},
		{"no origins, same host", "http://127.0.0.1", "POST", negotiate, auth.CORSOptions{}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cors, err := auth.CORS(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the preflight reached the handler") })
			h := http.Header{"Origin": {tt.origin}, "Access-Control-Request-Method": {tt.method}}
			if tt.headers != "" {
				h.Set("Access-Control-Request-Headers", tt.headers)
			}
			w, body := do(t, cors(next), "OPTIONS", "/hub/negotiate?negotiateVersion=1", h)
			get := w.Header.Get
			if w.StatusCode != 204 || body != "" {
				t.Errorf("status %d, body %q, want 204 and nothing", w.StatusCode, body)
			}
			if !strings.Contains(get("Vary"), "Origin") {
				t.Errorf("Vary is %q, want Origin in it", get("Vary"))
			}
			if get("Access-Control-Allow-Origin") != tt.allowed || (get("Access-Control-Allow-Credentials") == "true") != tt.credentials {
				t.Errorf("header %v, want origin %q, credentials %v", w.Header, tt.allowed, tt.credentials)
			}
			if tt.allowed == "" {
				return
			}
			if get("Access-Control-Allow-Methods") != tt.method || get("Access-Control-Allow-Headers") != tt.headers {
				t.Errorf("header %v, want method %s, headers %q", w.Header, tt.method, tt.headers)
			}
			if want := map[bool]string{true: "60"}[tt.o.MaxAge > 0]; get("Access-Control-Max-Age") != want {
				t.Errorf("max age %q, want %q", get("Access-Control-Max-Age"), want)
			}
		})
	}
}

func TestCORSRequests(t *testing.T) {
	t.Parallel()
	const app = "https://app.example.com"
	for _, tt := range []struct {
		name, origin string
		o            auth.CORSOptions
		allowed      string
		credentials  string
		expose       string
	}{
		{"listed", app, auth.CORSOptions{Origins: []string{app}}, app, "true", ""},
		{"listed, exposing", app, auth.CORSOptions{Origins: []string{app}, Expose: []string{"X-Total"}}, app, "true", "X-Total"},
		{"other", "https://evil.com", auth.CORSOptions{Origins: []string{app}}, "", "", ""},
		{"none", "", auth.CORSOptions{Origins: []string{app}}, "", "", ""},
		{"nobody listed", app, auth.CORSOptions{}, "", "", ""},
		{"all", app, auth.CORSOptions{Origins: []string{"*"}, NoCredentials: true}, "*", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cors, err := auth.CORS(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			// A refusal must be readable for the page, so CORS stands outside.
			h := cors(auth.Bearer(words, &auth.Options{Required: true})(http.HandlerFunc(tell)))
			header := http.Header{}
			if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			w, _ := do(t, h, "POST", "/hub", header)
			if w.StatusCode != 401 {
				t.Errorf("status %d, want 401: the request must reach the handler", w.StatusCode)
			}
			for name, want := range map[string]string{
				"Access-Control-Allow-Origin": tt.allowed, "Access-Control-Allow-Credentials": tt.credentials,
				"Access-Control-Expose-Headers": tt.expose, "Vary": "Origin",
			} {
				if got := w.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// An OPTIONS that is no preflight is the handler's.
func TestCORSPlainOptions(t *testing.T) {
	t.Parallel()
	cors, err := auth.CORS(auth.CORSOptions{Origins: []string{"https://a.com"}})
	if err != nil {
		t.Fatal(err)
	}
	teapot := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	if w, _ := do(t, cors(teapot), "OPTIONS", "/", http.Header{"Origin": {"https://a.com"}}); w.StatusCode != http.StatusTeapot {
		t.Errorf("status %d, want 418", w.StatusCode)
	}
}
