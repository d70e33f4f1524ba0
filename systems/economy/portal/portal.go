// Package portal is what people use Play Economy with: a page with the store, the inventory of who is signed in, and for administrators the
// catalog and the users. It is plain HTML, CSS and ES modules, embedded as they are; it signs people in by authorization code with
// PKCE, buys, and shows each step of a purchase as it happens.
//
//	index.html     the page, filled with the configuration
//	style.css      light and dark, from 320 px of width
//	app.js         shell and routes: landing.js, store.js, inventory.js, catalog.js, users.js
//	session.js     sign-in, renewal, sign-out
//	purchases.js   what becomes of purchases: pushed (live.js, signalr.js), else asked for (api.js)
//	timeline.js    the steps of a purchase, for people
package portal

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/hubbub-go/hubbub/internal/pageclient"
)

//go:embed assets
var assets embed.FS

// pages are the paths that the page has a view for; any other is answered with 404 and the page that says so.
var pages = map[string]bool{
	"/": true, "/store": true, "/inventory": true, "/catalog": true, "/users": true,
	"/authentication/login-callback": true, "/authentication/logout-callback": true,
}

// file is an asset as it is served.
type file struct {
	body []byte
	kind string
	etag string
}

// portal is the handler.
type portal struct {
	files   map[string]*file
	version string // of all files together
	page    *template.Template
	config  string // as the page reads it
	policy  string
}

// New returns a handler for everything below the address of the portal: put it behind [http.StripPrefix]. It serves static files
// alone, is safe for concurrent use and has nothing to close. An address that is none is an error.
func New(c Config) (http.Handler, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	p := &portal{files: make(map[string]*file), policy: c.policy()}
	config, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	p.config = string(config)
	if err := p.load(); err != nil {
		return nil, fmt.Errorf("portal: embedded files: %w", err)
	}
	return p, nil
}

func (p *portal) load() error {
	all := sha256.New()
	err := fs.WalkDir(assets, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(all, "%s %d\n", name, len(body))
		all.Write(body)
		if name == "assets/index.html" {
			p.page, err = template.New("page").Parse(string(body))
			return err
		}
		p.files[strings.TrimPrefix(name, "assets/")] = &file{body, kind(name), tag(body)}
		return nil
	})
	client := []byte(pageclient.Source())
	all.Write(client)
	p.files[pageclient.Name] = &file{client, kind(pageclient.Name), tag(client)}
	p.version = base64.RawURLEncoding.EncodeToString(all.Sum(nil)[:9])
	return err
}

func tag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// kind is the media type by extension, from a list of our own: that of the system differs between machines.
func kind(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// ServeHTTP implements [http.Handler].
func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "The portal has pages to read only.", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "" { // the address without the slash at its end, to which all others are relative
		asked, _, _ := strings.Cut(r.RequestURI, "?")
		h.Set("Location", path.Base(asked)+"/")
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	if version, name, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/assets/"), "/"); found && strings.HasPrefix(r.URL.Path, "/assets/") {
		p.serveFile(w, r, version, name)
		return
	}
	p.servePage(w, r)
}

// serveFile serves a file under the version of all: what is asked for under another one, while a server of that version runs beside this
// one, is the file of this version, which is not kept.
func (p *portal) serveFile(w http.ResponseWriter, r *http.Request, version, name string) {
	f := p.files[name]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	cache := "no-cache"
	if version == p.version {
		cache = "public, max-age=31536000, immutable"
	}
	w.Header().Set("Cache-Control", cache)
	f.serve(w, r, http.StatusOK)
}

// servePage serves the page, which is the same for all paths but that its files are so many folders up.
func (p *portal) servePage(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	up := strings.Repeat("../", strings.Count(r.URL.Path, "/")-1)
	if up == "" {
		up = "./"
	}
	if err := p.page.Execute(&b, struct{ Assets, Config string }{up + "assets/" + p.version + "/", p.config}); err != nil {
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-cache") // asked again each time, answered with 304
	status := http.StatusOK
	if !pages[r.URL.Path] {
		status = http.StatusNotFound
	}
	(&file{b.Bytes(), "text/html; charset=utf-8", tag(b.Bytes())}).serve(w, r, status)
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.etag)
	if status == http.StatusOK && r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(f.body)
	}
}
