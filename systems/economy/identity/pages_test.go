package identity_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/economy/identity"
)

// TestPages: each page has a policy that lets nothing in, and the style is cached for ever.
func TestPages(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	for _, path := range []string{"/account/login", "/register", "/account/signed-out", "/account/login?request=none"} {
		a := p.browser().open(p.url+path, nil)
		h := a.header
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", path, h)
		}
		if strings.Contains(a.body, "<script") || strings.Contains(a.body, "style=") || !strings.Contains(a.body, `href="/identity-svc/account/style.css?v=`) {
			t.Errorf("%s: %s, want a page without scripts and styles of its own", path, a.body)
		}
	}
	if a := p.do("GET", "/account/style.css", "", ""); a.status != 200 || a.header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("style: status %d, headers %v", a.status, a.header)
	}
}

// TestPagesInBrowser: Chromium shows the pages at the width of a desktop and of a phone, light and dark, and a person gets to the
// client with them; HUBBUB_SCREENSHOTS names a folder for pictures.
func TestPagesInBrowser(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../../../conformance/js/node_modules/playwright-core"); err != nil {
		t.Fatalf("the npm packages are missing: node conformance/js/install.js installs them (%v)", err)
	}
	client := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!doctype html><title>client</title><link rel="icon" href="data:,"><p>The client`))
	}))
	t.Cleanup(client.Close)
	p := newPlace(t, "sqlite", func(c *identity.Config) { c.Clients = []identity.Client{identity.Frontend(client.URL)} })
	r := newRequest(allScopes)
	r.query.Set("redirect_uri", client.URL+"/")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	args := []string{"testdata/pages.mjs", p.authorizeURL(r), client.URL + "/"}
	if folder := os.Getenv("HUBBUB_SCREENSHOTS"); folder != "" {
		args = append(args, folder)
	}
	if out, err := exec.CommandContext(ctx, "node", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
