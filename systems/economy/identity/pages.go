package identity

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
)

// Paths of pages.
const (
	pathLogin     = "/account/login"
	pathRegister  = "/register"
	pathSignedOut = "/account/signed-out"
	pathStyle     = "/account/style.css"
	pathIcon      = "/account/icon.svg"
)

//go:embed pages
var pageFiles embed.FS

// pages are what a browser shows. They need no script.
type pages struct {
	base     string
	template *template.Template
	styleURL string
}

// view is what a page shows.
type view struct {
	Title, Base, Style string
	// Request is the sign-in that the page is part of; without one it is for the browser alone.
	Request string
	// Client is what the person goes on to.
	Client          string
	Email, UserName string
	Errors          []string
	Name            string // of who is signed in
	MinimumPassword int
}

func newPages(base string) (*pages, error) {
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		return nil, err
	}
	t, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(style)
	return &pages{base, t, base + pathStyle + "?v=" + hex.EncodeToString(sum[:6])}, nil
}

// serveFile serves a file of the pages; the address of one that changes has to change too.
func serveFile(w http.ResponseWriter, name, kind string) error {
	b, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		return fmt.Errorf("identity: page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(b)
	return nil
}

// show answers with a page. target is where the form of the page leads in the end: browsers hold redirects after a form to its
// policy too.
func (p *pages) show(w http.ResponseWriter, status int, name string, v view, target string) error {
	v.Base, v.Style, v.MinimumPassword = p.base, p.styleURL, minimumPassword
	var b bytes.Buffer
	if err := p.template.ExecuteTemplate(&b, name, v); err != nil {
		return fmt.Errorf("identity: page %s: %w", name, err)
	}
	form := "'self'"
	if o := origin(target); o != "" {
		form += " " + o
	} else if u, err := url.Parse(target); err == nil && u.Scheme != "" {
		form += " " + u.Scheme + ":"
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action "+form+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer a form has no Origin
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}

// expired says that there is no such sign-in.
func (p *pages) expired(w http.ResponseWriter, _ *http.Request) {
	p.show(w, http.StatusBadRequest, "note.html", view{Title: "This sign-in has expired", Errors: []string{
		"It took too long, was already used, or was begun in another browser. Go back to where you came from and sign in again.",
	}}, "")
}
