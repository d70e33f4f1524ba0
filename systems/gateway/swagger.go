package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/swaggest/swgui/v5/static"
)

// The page is ours, what it shows the document with is Swagger UI, whose files come compressed.
//
//go:embed swagger
var ownFiles embed.FS

// pagePolicy lets the page load what comes with it and talk to its own server, and nothing else. Swagger UI sets styles as it runs
// and has small pictures within its style sheet.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'self'; form-action 'none'; frame-ancestors 'none'"

// pageFile is a file of the page.
type pageFile struct {
	kind, etag string
	body       []byte
	zipped     bool // body is compressed
}

// pageFiles returns the files of the page by name. They are read when the first is asked for.
var pageFiles = sync.OnceValues(func() (map[string]*pageFile, error) {
	files := make(map[string]*pageFile)
	for _, x := range []struct {
		name, kind string
		from       embed.FS
		path       string
	}{
		{"index.html", "text/html; charset=utf-8", ownFiles, "swagger/index.html"},
		{"page.js", "text/javascript; charset=utf-8", ownFiles, "swagger/page.js"},
		{"page.css", "text/css; charset=utf-8", ownFiles, "swagger/page.css"},
		{"swagger-ui-bundle.js", "text/javascript; charset=utf-8", static.FS, "swagger-ui-bundle.js.gz"},
		{"swagger-ui.css", "text/css; charset=utf-8", static.FS, "swagger-ui.css.gz"},
		{"favicon-32x32.png", "image/png", static.FS, "favicon-32x32.png"},
	} {
		body, err := x.from.ReadFile(x.path)
		if err != nil {
			return nil, fmt.Errorf("gateway: file of the page: %w", err)
		}
		sum := sha256.Sum256(body)
		files[x.name] = &pageFile{x.kind, base64.RawURLEncoding.EncodeToString(sum[:12]), body, strings.HasSuffix(x.path, ".gz")}
	}
	return files, nil
})

// isSwagger reports whether a path is that of the page or below it, in any case.
func isSwagger(path string) bool {
	return len(path) >= len(SwaggerPath) && strings.EqualFold(path[:len(SwaggerPath)], SwaggerPath) &&
		(len(path) == len(SwaggerPath) || path[len(SwaggerPath)] == '/')
}

// serveSwagger answers what is below SwaggerPath, if that is not turned off.
func (g *Gateway) serveSwagger(w http.ResponseWriter, r *http.Request) {
	if g.config.OpenAPI.Off {
		notFound(w)
		return
	}
	servePage(w, r, g.described)
}

// Swagger returns what serves the page and a document of its own, which is JSON: for a server without a gateway, at [SwaggerPath] and
// below.
func Swagger(document []byte) http.Handler {
	described := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveJSON(w, r, document) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { servePage(w, r, described) })
}

// servePage answers what is below SwaggerPath, in any case: the page, its files, and the document.
func servePage(w http.ResponseWriter, r *http.Request, described http.Handler) {
	if (r.Method != http.MethodGet && r.Method != http.MethodHead) || !isSwagger(r.URL.Path) {
		notFound(w)
		return
	}
	name, below := strings.CutPrefix(strings.ToLower(r.URL.Path[len(SwaggerPath):]), "/")
	switch {
	case !below: // relative, since a proxy may have taken a prefix off the path
		w.Header().Set("Location", strings.TrimPrefix(SwaggerPath, "/")+"/")
		w.WriteHeader(http.StatusFound)
		return
	case SwaggerPath+"/"+name == DocumentPath:
		described.ServeHTTP(w, r)
		return
	case name == "":
		name = "index.html"
	}
	files, err := pageFiles()
	if err != nil { // they are part of the binary
		refuse(w, http.StatusInternalServerError, "The files of the page cannot be read.")
		return
	}
	f := files[name]
	if f == nil {
		notFound(w)
		return
	}
	f.serve(w, r)
}

func (f *pageFile) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	etag, zip := f.etag, false
	if f.zipped {
		h.Set("Vary", "Accept-Encoding")
		if zip = acceptsGzip(r.Header.Get("Accept-Encoding")); zip {
			etag += ".gzip"
		}
	}
	h.Set("Etag", `"`+etag+`"`)
	if r.Header.Get("If-None-Match") == `"`+etag+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if f.zipped && !zip {
		z, err := gzip.NewReader(bytes.NewReader(f.body))
		if err == nil {
			_, err = io.Copy(w, z)
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	if zip {
		h.Set("Content-Encoding", "gzip")
	}
	w.Write(f.body)
}

// acceptsGzip reads a header Accept-Encoding. One that gives gzip no weight does not want it.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(part, " ", "")), ";")
		if name == "gzip" {
			return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
		}
	}
	return false
}
