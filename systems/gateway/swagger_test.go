package gateway_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// TestPage: the page and its files are there in any case, under a policy, compressed for those who want that.
func TestPage(t *testing.T) {
	t.Parallel()
	s := newServer(t, gateway.Config{}, func(*gateway.Gateway) {})
	if status, header, _ := s.do("GET", "/Swagger", ""); status != 302 || header.Get("Location") != "swagger/" {
		t.Errorf("/Swagger: status %d, location %q, want 302 and swagger/, relative for the sake of proxies", status, header.Get("Location"))
	}
	for path, want := range map[string]struct{ kind, text string }{
		"/swagger/":                     {"text/html; charset=utf-8", `src="page.js"`},
		"/SWAGGER/Index.html":           {"text/html; charset=utf-8", `src="page.js"`},
		"/swagger/page.js":              {"text/javascript; charset=utf-8", "v1/swagger.json"},
		"/swagger/page.css":             {"text/css; charset=utf-8", "max-width"},
		"/swagger/swagger-ui-bundle.js": {"text/javascript; charset=utf-8", "SwaggerUIBundle"},
		"/swagger/swagger-ui.css":       {"text/css; charset=utf-8", ".swagger-ui"},
		"/swagger/favicon-32x32.png":    {"image/png", "PNG"},
	} {
		status, header, body := s.do("GET", path, "", "Accept-Encoding", "br, gzip;q=0")
		if status != 200 || header.Get("Content-Type") != want.kind || !strings.Contains(body, want.text) || header.Get("Content-Encoding") != "" ||
			!strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, headers %v, %d bytes, want %v", path, status, header, len(body), want)
		}
		status, header, zipped := s.do("GET", path, "", "Accept-Encoding", "br;q=1, GZIP;q=0.5")
		plain := zipped
		if header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(strings.NewReader(zipped))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			plain = string(b)
		}
		if status != 200 || plain != body {
			t.Errorf("%s: with gzip: status %d, headers %v, not the same text", path, status, header)
		}
		if status, again, rest := s.do("GET", path, "", "Accept-Encoding", "gzip", "If-None-Match", header.Get("Etag")); status != 304 || rest != "" || again.Get("Etag") != header.Get("Etag") {
			t.Errorf("%s: again: status %d, headers %v, want 304", path, status, again)
		}
		if status, _, body := s.do("HEAD", path, ""); status != 200 || body != "" {
			t.Errorf("HEAD %s: status %d, body %q", path, status, body)
		}
	}
	for path, method := range map[string]string{"/swagger/none.js": "GET", "/swagger/v2/swagger.json": "GET", "/swagger/../config.go": "GET", "/swaggerx": "GET", "/swagger/": "POST"} {
		if status, _, body := s.do(method, path, ""); status != 404 {
			t.Errorf("%s %s: status %d, body %q, want 404", method, path, status, body)
		}
	}
	off := newServer(t, gateway.Config{OpenAPI: gateway.OpenAPI{Off: true}}, func(*gateway.Gateway) {})
	for _, path := range []string{"/swagger", "/swagger/", gateway.DocumentPath} {
		if status, _, body := off.do("GET", path, ""); status != 404 || body != "" {
			t.Errorf("%s, turned off: status %d, body %q, want 404", path, status, body)
		}
	}
}

// TestPageInBrowser: Chromium shows the page, behind a proxy that takes a prefix off the path, and calls a service and a hub from it.
// Where
// the document is for some people only it asks for a token. It complains about nothing, its policy included, and asks nobody else
// for anything.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../../conformance/js/node_modules/playwright-core"); err != nil {
		t.Fatalf("the npm packages are missing: node conformance/js/install.js installs them (%v)", err)
	}
	s := newDescribed(t, gateway.Config{})
	eventually(t, "the hub connected", func() bool { return s.Health()[0].Connected })
	proxy := httptest.NewServer(http.StripPrefix("/apis/ours", s.Handler()))
	t.Cleanup(proxy.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	closed := newClosed(t)
	if out, err := exec.CommandContext(ctx, "node", "testdata/swagger.mjs", proxy.URL+"/apis/ours", closed.url).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPageOfAnother: a server without a gateway shows a document of its own.
func TestPageOfAnother(t *testing.T) {
	t.Parallel()
	const document = `{"openapi":"3.1.1","info":{"title":"Play","version":"v1"},"paths":{}}`
	h := gateway.Swagger([]byte(document))
	get := func(method, path, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := get("GET", gateway.DocumentPath, "")
	if w.Code != 200 || w.Body.String() != document || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("the document: status %d, headers %v, %s", w.Code, w.Header(), w.Body)
	}
	if again := get("GET", "/Swagger/V1/swagger.json", w.Header().Get("Etag")); again.Code != 304 || again.Body.Len() > 0 {
		t.Errorf("the document again: status %d, %s, want 304", again.Code, again.Body)
	}
	for path, want := range map[string]int{"/swagger": 302, "/swagger/": 200, "/swagger/page.js": 200, "/swagger/none.js": 404, "/other": 404} {
		if w := get("GET", path, ""); w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
	if w := get("POST", gateway.DocumentPath, ""); w.Code != 404 {
		t.Errorf("POST of the document: status %d, want 404", w.Code)
	}
}
