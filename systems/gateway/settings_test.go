package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// TestSettings: the configuration file of the original means the same here.
func TestSettings(t *testing.T) {
	t.Parallel()
	backend := service(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.Method + " " + r.URL.RequestURI())) })
	s := newServer(t, gateway.Config{}, func(g *gateway.Gateway) {
		var r gateway.Routes
		if err := r.AddSettings([]byte(`{"Logging": {"x": [1]}, "Settings": [
			{"Identifier": "1", "ApiKey": "WeatherService", "BackendAPIBaseUrls": ["` + backend + `/"], "Routes": [
				{"Identifier": "a", "RouteKey": "forecast", "Verb": "GET", "BackendAPIRoutePath": "weatherforecast/forecast", "ResponseCachingDurationInSeconds": 60},
				{"routekey": "typewithparams", "verb": "get", "backendapiroutepath": "types/{index}", "ResponseCachingDurationInSeconds": -1},
				{"RouteKey": "add", "Verb": "POST", "BackendAPIRoutePath": "/add"}]}]}`)); err != nil {
			t.Fatal(err)
		}
		if err := g.Reload(&r); err != nil {
			t.Fatal(err)
		}
	})
	for _, tt := range []struct{ verb, path, want, cache string }{
		{"GET", "weatherservice/forecast", "GET /weatherforecast/forecast", "public, max-age=60"},
		{"GET", "weatherservice/typewithparams?parameters=index%3D3", "GET /types/3", "no-store"},
		{"POST", "weatherservice/add", "POST /add", "no-store"},
	} {
		status, header, body := s.do(tt.verb, "/api/Gateway/"+tt.path, "{}")
		if status != 200 || body != tt.want || header.Get("Cache-Control") != tt.cache {
			t.Errorf("%s: status %d, body %s, Cache-Control %s, want %s and %s", tt.path, status, body, header.Get("Cache-Control"), tt.want, tt.cache)
		}
	}
}

func TestSettingsProblems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"Settings": [`:                      "unexpected end",
		"{\n\n\"Settings\": x}":               "line 3",
		`{}`:                                  "no Settings",
		`{"Settings": {}}`:                    "object",
		`{"Settings": [{"ApiKy": "a"}]}`:      `Settings[0]: json: unknown field "ApiKy"`,
		`{"Settings": [{}, {"Routes": [1]}]}`: "Settings[1].Routes[0]",
		`{"Settings": [{"ApiKey": "a"}]}`:     "AddAPI a: no BaseURLs",
		`{"Settings": [{"ApiKey": "a/b", "BackendAPIBaseUrls": ["http://x"]}]}`:                                           `key "a/b"`,
		`{"Settings": [{"ApiKey": "a", "BackendAPIBaseUrls": ["http://x"], "Routes": [{"RouteKey":"r","Verb":"COPY"}]}]}`: `AddRoute a/r: verb "COPY"`,
	} {
		var r gateway.Routes
		err := r.AddSettings([]byte(text))
		if err == nil {
			err = r.Err()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "gateway: ") {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add(`{"Settings": [{"ApiKey": "a", "BackendAPIBaseUrls": ["http://x"], "Routes": [{"RouteKey": "r", "Verb": "GET", "BackendAPIRoutePath": "a/{b}"}]}]}`)
	f.Add(`{"settings": [null, {"routes": [null]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var r gateway.Routes
		if err := r.AddSettings([]byte(text)); err != nil || r.Err() != nil {
			return
		}
		g := gateway.New(gateway.Config{})
		defer g.Close(t.Context())
		if err := g.Reload(&r); err != nil {
			t.Errorf("%s: read without a fault, then refused: %v", text, err)
		}
	})
}
