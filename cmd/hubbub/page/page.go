// Package page is the web page of the server: what runs, and windows to watch notifications and the catalog live. It is plain HTML, CSS and
// ES modules, embedded as they are, with a small SignalR client of their own.
//
//	index.html   the page
//	style.css    light and dark, from 320 px of width
//	catalog.js   watches parts and pipelines of the catalog, and publishes to them
//	app.js       wires the page: log in, subscribe, list, publish
//	status.js    what is running, asked every few seconds
//	signalr.js   the client, of package pageclient
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/hubbub-go/hubbub/internal/pageclient"
)

//go:embed assets
var assets embed.FS

// policy lets the page load what comes with it and talk to its own server, and nothing else. There is no inline script and
// no inline style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type file struct {
	body []byte
	kind string
	etag string
}

// Handler serves the page at / and its files below /page/. All other paths are 404.
func Handler() http.Handler {
	files := map[string]*file{}
	add := func(url, name string, body []byte) {
		sum := sha256.Sum256(body)
		files[url] = &file{body, kind(name), `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	}
	add("/page/"+pageclient.Name, pageclient.Name, []byte(pageclient.Source()))
	err := fs.WalkDir(assets, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		url := "/page/" + strings.TrimPrefix(name, "assets/")
		if url == "/page/index.html" {
			url = "/"
		}
		add(url, name, body)
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("page: embedded files: %v", err)) // they are part of the binary
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := files[r.URL.Path]
		if f == nil {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r)
	})
}

// kind is the media type by extension, from a list of our own: that of the system differs between machines.
func kind(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", f.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // asked again each time, answered with 304
	h.Set("ETag", f.etag)
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(f.body)
}
