package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hubbub-go/hubbub/systems/catalog"
)

// FuzzPublish: whatever is posted to whatever path, the answer is 202 or a problem, and 202 only for JSON in UTF-8. What Go
// refuses as a typed event REST refuses with 400.
func FuzzPublish(f *testing.F) {
	for _, path := range []string{partEvents, pipeEvents, "/centro/parts/a%2Fb/events", "/centro/parts//events", "/centro/parts/%zz/events", "/Centro/PIPELINES/7/EVENTS"} {
		for _, body := range []string{`{}`, `{"PartKey":"1882708","EventType":"Added","ResourceKey":"r"}`, `{"Id":"j","Status":1,"Progress":5}`, `[`, `"\ud800"`, "\"\xff\"", `{"partkey":null}`, ``} {
			f.Add(path, []byte(body), false)
			f.Add(path, []byte(body), true)
		}
	}
	systems := map[bool]*catalog.System{}
	for _, schema := range []bool{false, true} {
		s, err := catalog.New(catalog.Config{TokenTypes: []catalog.TokenType{{Scheme: "Bearer", Verify: people}}, Schema: schema})
		if err != nil {
			f.Fatal(err)
		}
		systems[schema] = s
	}
	f.Fuzz(func(t *testing.T, path string, body []byte, schema bool) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		u, err := r.URL.Parse(path)
		if err != nil {
			return
		}
		r.URL = u
		r.Header.Set("Authorization", publisher)
		w := httptest.NewRecorder()
		systems[schema].Handler().ServeHTTP(w, r)
		good := json.Valid(body) && utf8.Valid(body)
		switch {
		case w.Code == http.StatusAccepted && !good:
			t.Errorf("%q to %q is published", body, path)
		case w.Code != http.StatusAccepted && w.Code != http.StatusBadRequest && w.Code != http.StatusNotFound:
			t.Errorf("%q to %q: status %d", body, path, w.Code)
		case w.Code != http.StatusAccepted && !json.Valid(w.Body.Bytes()):
			t.Errorf("%q to %q: answer %q", body, path, w.Body)
		}
		var invalid *catalog.Invalid
		if err := systems[schema].PublishPart(t.Context(), "1882708", body); err != nil && !errors.As(err, &invalid) {
			t.Errorf("publish %q: %v, want nil or that it is invalid", body, err)
		}
	})
}

// BenchmarkPublish is an event that nobody hears, which is checked and counted all the same.
func BenchmarkPublish(b *testing.B) {
	for _, schema := range []bool{false, true} {
		s, err := catalog.New(catalog.Config{TokenTypes: []catalog.TokenType{{Scheme: "Bearer", Verify: people}}, Schema: schema})
		if err != nil {
			b.Fatal(err)
		}
		event := json.RawMessage(`{"EventType":1,"ResourceKey":"r1","Properties":{"text":"` + strings.Repeat("x", 200) + `"}}`)
		b.Run(map[bool]string{false: "opaque", true: "schema"}[schema], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.PublishPart(b.Context(), "1882708", event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
