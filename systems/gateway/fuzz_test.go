package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// reached is a transport that keeps the address of a request.
type reached struct{ url *url.URL }

func (r *reached) RoundTrip(q *http.Request) (*http.Response, error) {
	r.url = q.URL
	return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody, Request: q}, nil
}

// FuzzParameters: whatever the parameters are, the request stays at the service and below its path.
func FuzzParameters(f *testing.F) {
	for _, s := range []string{"", "7", "a/b?c=d", "../x", "%2e%2e/x", "id=1", "id=..", "id=%2F..%2F", "@evil.example/", "//evil.example/x", "?q=1#f", "\\..\\x", "\x00\n", "id=a b&id=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, parameters string) {
		for _, path := range []string{"types/", "", "types/{id}/of?y={id}"} {
			at := &reached{}
			g := gateway.New(gateway.Config{})
			g.AddAPI("a", gateway.API{BaseURLs: []string{"http://service.example/v1"}, Transport: at}).AddRoute("r", gateway.Route{Path: path})
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api/Gateway/a/r?parameters="+url.QueryEscape(parameters), nil))
			switch {
			case w.Code == http.StatusBadRequest && at.url == nil:
				continue
			case w.Code != http.StatusNoContent || at.url == nil:
				t.Fatalf("%q for %q: status %d, address %v", parameters, path, w.Code, at.url)
			}
			if at.url.Host != "service.example" || at.url.User != nil || !strings.HasPrefix(at.url.Path, "/v1/") {
				t.Fatalf("%q for %q leads to %s", parameters, path, at.url)
			}
			for part := range strings.SplitSeq(strings.ReplaceAll(at.url.Path, "\\", "/"), "/") {
				if part == ".." || part == "." {
					t.Fatalf("%q for %q leads out, to %s", parameters, path, at.url)
				}
			}
			if clean, err := url.Parse(at.url.String()); err != nil || clean.Path != at.url.Path {
				t.Fatalf("%q for %q: the address %s is read as %v, error %v", parameters, path, at.url, clean, err)
			}
		}
	})
}
