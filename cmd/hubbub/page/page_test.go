package page_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/cmd/hubbub/page"
)

func get(t *testing.T, path, etag string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	page.Handler().ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for path, kind := range map[string]string{
		"/":                "text/html; charset=utf-8",
		"/page/style.css":  "text/css; charset=utf-8",
		"/page/app.js":     "text/javascript; charset=utf-8",
		"/page/catalog.js": "text/javascript; charset=utf-8",
		"/page/signalr.js": "text/javascript; charset=utf-8",
		"/page/icon.svg":   "image/svg+xml",
	} {
		w := get(t, path, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind {
			t.Errorf("%s: %d %s, want 200 %s", path, w.Code, w.Header().Get("Content-Type"), kind)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q, want nothing by default and nothing unsafe", path, policy)
		}
		if again := get(t, path, w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s with its tag: %d and %d bytes, want 304 and none", path, again.Code, again.Body.Len())
		}
	}
	for _, path := range []string{"/page/", "/page/index.html", "/page/page.go", "/page/../page.go", "/x"} {
		if w := get(t, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
}

// Whatever the page refers to is there, and nothing in it is refused by its own policy.
func TestReferences(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle=|\son[a-z]+=`)
	link := regexp.MustCompile(`(?:href|src)="(/page/[^"]+)"|from "\./([^"]+)"`)
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
		if strings.Contains(string(text), "innerHTML") {
			t.Errorf("%s writes HTML, want text and elements", name)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			path := m[1]
			if path == "" {
				path = "/page/" + m[2]
			}
			if w := get(t, path, ""); w.Code != http.StatusOK {
				t.Errorf("%s refers to %s: %d, want 200", name, path, w.Code)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
