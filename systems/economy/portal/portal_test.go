package portal_test

import (
	"encoding/json"
	"html"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/economy/portal"
)

// open returns the portal as a server has it.
func open(t testing.TB, c portal.Config) http.Handler {
	t.Helper()
	h, err := portal.New(c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/economy/", http.StripPrefix("/economy", h))
	mux.Handle("/economy", http.StripPrefix("/economy", h))
	return mux
}

func do(h http.Handler, method, path, etag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var reference = regexp.MustCompile(`(?:href|src)="([^"]*assets/[^"]+)"`)

// TestPages: every page of the portal is the one document, whose files are where it says, wherever it is served.
func TestPages(t *testing.T) {
	t.Parallel()
	h := open(t, portal.Config{})
	for _, tt := range []struct {
		path   string
		status int
		files  string // how the references to files begin
	}{
		{"/economy/", 200, "./assets/"},
		{"/economy/store", 200, "./assets/"},
		{"/economy/inventory", 200, "./assets/"},
		{"/economy/catalog", 200, "./assets/"},
		{"/economy/users", 200, "./assets/"},
		{"/economy/authentication/login-callback?code=c&state=s", 200, "../assets/"},
		{"/economy/authentication/logout-callback", 200, "../assets/"},
		{"/economy/nothing", 404, "./assets/"},
		{"/economy/a/b/c", 404, "../../assets/"},
	} {
		w := do(h, "GET", tt.path, "")
		if w.Code != tt.status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: status %d, headers %v, want %d and a page that is asked for again", tt.path, w.Code, w.Header(), tt.status)
		}
		all := reference.FindAllStringSubmatch(w.Body.String(), -1)
		if len(all) != 3 {
			t.Errorf("%s has %d references to files, want those to script, style and icon", tt.path, len(all))
		}
		for _, m := range all {
			if !strings.HasPrefix(m[1], tt.files) {
				t.Errorf("%s refers to %s, want %s…", tt.path, m[1], tt.files)
			}
			r := httptest.NewRequest("GET", tt.path, nil)
			u, err := r.URL.Parse(m[1])
			if err != nil {
				t.Fatal(err)
			}
			if f := do(h, "GET", u.Path, ""); f.Code != 200 || !strings.Contains(f.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: status %d, headers %v, want a file for ever", u.Path, f.Code, f.Header())
			}
		}
		again := do(h, "GET", tt.path, w.Header().Get("ETag"))
		if want := map[int]int{200: 304, 404: 404}[tt.status]; again.Code != want {
			t.Errorf("%s again: status %d, want %d", tt.path, again.Code, want)
		}
	}
}

func TestOtherRequests(t *testing.T) {
	t.Parallel()
	h := open(t, portal.Config{})
	if w := do(h, "GET", "/economy?x=1", ""); w.Code != 308 || w.Header().Get("Location") != "economy/" {
		t.Errorf("without slash: status %d to %q, want 308 to economy/", w.Code, w.Header().Get("Location"))
	}
	if w := do(h, "POST", "/economy/store", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, headers %v, want 405", w.Code, w.Header())
	}
	if w := do(h, "HEAD", "/economy/store", ""); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("ETag") == "" {
		t.Errorf("HEAD: status %d, %d bytes, want 200 and none", w.Code, w.Body.Len())
	}
	for _, path := range []string{"/economy/assets/x/nothing.js", "/economy/assets/x/index.html", "/economy/assets/x/../portal.go", "/economy/portal.go"} {
		if w := do(h, "GET", path, ""); w.Code != 404 && w.Code != 307 {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
	if w := do(h, "GET", "/economy/assets/of-another-version/app.js", ""); w.Code != 200 || w.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("file of another version: status %d, headers %v, want ours, not to be kept", w.Code, w.Header())
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		config  portal.Config
		connect string
	}{
		{"one server", portal.Config{}, "connect-src 'self';"},
		{"issuer elsewhere", portal.Config{Issuer: "https://id.example.com/realm"}, "connect-src 'self' https://id.example.com wss://id.example.com;"},
		{"all elsewhere", portal.Config{Catalog: "http://c:5000", Inventory: "http://i:5004/", Identity: "http://d:5002", Trading: "http://t:5006"},
			"connect-src 'self' http://c:5000 ws://c:5000 http://i:5004 ws://i:5004 http://d:5002 ws://d:5002 http://t:5006 ws://t:5006;"},
	} {
		h := open(t, tt.config)
		for _, path := range []string{"/economy/", "/economy/nothing", "/economy/assets/x/app.js"} {
			w := do(h, "GET", path, "")
			policy := w.Header().Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || !strings.Contains(policy, tt.connect) || strings.Contains(policy, "unsafe") ||
				!strings.Contains(policy, "frame-ancestors 'none'") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %s: policy %q, want nothing unsafe and %q", tt.name, path, policy, tt.connect)
			}
		}
	}
}

var configured = regexp.MustCompile(`<meta name="portal" content="([^"]*)">`)

func TestConfiguration(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config portal.Config
		want   portal.Config
	}{
		{"nothing", portal.Config{}, portal.Config{
			Catalog: "../catalog-svc", Inventory: "../inventory-svc", Identity: "../identity-svc", Trading: "../trading-svc", Hub: "../trading-svc/messagehub", Issuer: "../identity-svc",
			Addresses: []string{}, Client: "frontend",
		}},
		{"issuer of this machine", portal.Config{Issuer: "http://localhost:8080/identity-svc/", Client: "x\"><script>", Scopes: []string{"openid"}}, portal.Config{
			Catalog: "../catalog-svc", Inventory: "../inventory-svc", Identity: "../identity-svc", Trading: "../trading-svc", Hub: "../trading-svc/messagehub",
			Issuer: "http://localhost:8080/identity-svc", Addresses: []string{"http://localhost:8080/economy/", "http://127.0.0.1:8080/economy/"}, Client: "x\"><script>",
			Scopes: []string{"openid"},
		}},
		{"addresses", portal.Config{Issuer: "https://id.example.com", Addresses: []string{"https://play.example.com"}, Hub: "https://hub.example.com/h"}, portal.Config{
			Catalog: "../catalog-svc", Inventory: "../inventory-svc", Identity: "../identity-svc", Trading: "../trading-svc", Hub: "https://hub.example.com/h",
			Issuer: "https://id.example.com", Addresses: []string{"https://play.example.com/"}, Client: "frontend",
		}},
	} {
		body := do(open(t, tt.config), "GET", "/economy/", "").Body.String()
		m := configured.FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("%s: no configuration in %s", tt.name, body)
		}
		var got portal.Config
		if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &got); err != nil {
			t.Fatalf("%s: %q: %v", tt.name, m[1], err)
		}
		if tt.want.Scopes == nil {
			tt.want.Scopes = strings.Fields("openid profile email roles offline_access catalog.fullaccess inventory.fullaccess trading.fullaccess IdentityServerApi")
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(tt.want)
		if string(a) != string(b) {
			t.Errorf("%s: configuration\n%s, want\n%s", tt.name, a, b)
		}
	}
}

func TestNoAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []portal.Config{
		{Trading: "javascript:alert(1)"}, {Trading: "ftp://host"}, {Catalog: "//host/x"}, {Issuer: "https://user@host"}, {Hub: "https://host/?x=1"}, {Identity: "https://"},
		{Inventory: "http://a;b"}, {Inventory: "https://*.example.com"}, {Addresses: []string{"../economy"}}, {Addresses: []string{"http://host/#x"}},
	} {
		if _, err := portal.New(c); err == nil || !strings.HasPrefix(err.Error(), "portal: address") {
			t.Errorf("%+v: error %v, want one about the address", c, err)
		}
	}
}

var imported = regexp.MustCompile(`(?:from|import) "\./([^"]+)"`)

// TestModules: whatever a module imports is there, and nothing in the files is against the policy.
func TestModules(t *testing.T) {
	t.Parallel()
	h := open(t, portal.Config{})
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle=|\son[a-z]+=`)
	err := fs.WalkDir(os.DirFS("assets"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		if m := inline.Find(text); m != nil && strings.HasSuffix(name, ".html") {
			t.Errorf("%s has %q, which the policy refuses", name, m)
		}
		for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if strings.Contains(string(text), sink) {
				t.Errorf("%s uses %s, want text and elements", name, sink)
			}
		}
		for _, m := range imported.FindAllStringSubmatch(string(text), -1) {
			if w := do(h, "GET", "/economy/assets/x/"+m[1], ""); w.Code != 200 || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
				t.Errorf("%s imports %s: status %d, %s", name, m[1], w.Code, w.Header().Get("Content-Type"))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
