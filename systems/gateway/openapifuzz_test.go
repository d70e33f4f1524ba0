package gateway_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// documentOf returns the document of a gateway as plain JSON.
func documentOf(t *testing.T, g *gateway.Gateway) map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequest("GET", gateway.DocumentPath, nil))
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); w.Code != 200 || err != nil {
		t.Fatalf("status %d, error %v, body %s", w.Code, err, w.Body)
	}
	return doc
}

// dangling returns a reference of a document into itself that leads nowhere, "" if there is none. What stands where values do is no
// reference.
func dangling(part any, whole map[string]any) string {
	switch v := part.(type) {
	case map[string]any:
		for name, x := range v {
			if ref, ok := x.(string); ok && name == "$ref" && strings.HasPrefix(ref, "#/") && !leads(whole, ref) {
				return ref
			}
			if name == "enum" || name == "const" || name == "default" || name == "example" || name == "examples" {
				continue
			}
			if ref := dangling(x, whole); ref != "" {
				return ref
			}
		}
	case []any:
		for _, x := range v {
			if ref := dangling(x, whole); ref != "" {
				return ref
			}
		}
	}
	return ""
}

func leads(whole any, ref string) bool {
	plain, err := url.PathUnescape(ref[2:])
	if err != nil {
		return false
	}
	for token := range strings.SplitSeq(plain, "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch v := whole.(type) {
		case map[string]any:
			x, ok := v[token]
			if !ok {
				return false
			}
			whole = x
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return false
			}
			whole = v[i]
		default:
			return false
		}
	}
	return true
}

// FuzzSchema: a schema that is accepted leaves a document whose references all lead somewhere; accepting the same twice does too.
func FuzzSchema(f *testing.F) {
	for _, s := range []string{citySchema, addSchema, requestSchema, "true", "false", "{}", "[]", "null", `{"$ref":"#"}`, `{"$ref":"#/"}`, `{"":{"$ref":"#/"}}`,
		`{"$defs":{"a~b/c":{"$ref":"#/$defs/a~0b~1c"}}}`, `{"properties":{"$ref":{"type":"string"},"enum":{"$ref":"#/$defs/x"}},"$defs":{"x":true}}`,
		`{"default":{"$ref":"#/nowhere"}}`, `{"const":{"a":1},"allOf":[{"$ref":"#/const"}]}`, `{"allOf":[{"$ref":"#/allOf/0"}]}`, `{"$id":"x","$ref":"#/$id"}`,
		`{"$ref":"#/$defs/a/properties/b","$defs":{"a":{"properties":{"b":{"$ref":"#/definitions/a"}}}},"definitions":{"a":{"$ref":"#"}}}`, `{"$ref":"#/$defs","$defs":{}}`,
		`{"$defs":{"x":1}}`, `{"$defs":{"x":[{}]},"$ref":"#/%24defs/x/0"}`, `{"$defs":{"$ref":{}},"$ref":"#/$defs/$ref"}`,
		`{"items":{"items":{"items":{"items":{"items":{"items":{"items":{}}}}}}},"minimum":12345678901234567890.5}`, `{"type":"array","properties":1,"enum":[]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, schema string) {
		var routes gateway.Routes
		routes.AddAPI("a", gateway.API{BaseURLs: someURL}).AddRoute("r", gateway.Route{Verb: "POST", RequestSchema: []byte(schema), ResponseSchema: []byte(schema)})
		routes.AddHub("h", gateway.Hub{URL: "http://service.example"}).
			AddRoute("r", gateway.HubRoute{InvokeMethod: "x", ArgumentSchemas: []json.RawMessage{[]byte(schema), []byte(schema)}, ResultSchema: []byte(schema)})
		if routes.Err() != nil {
			return
		}
		g := gateway.New(gateway.Config{})
		if err := g.Reload(&routes); err != nil {
			t.Fatal(err)
		}
		doc := documentOf(t, g)
		if ref := dangling(doc, doc); ref != "" {
			t.Errorf("schema %s: the document refers to %q, which it does not have", schema, ref)
		}
	})
}

// FuzzAddOpenAPI: whatever is added, the document stays one, and keeps what the gateway has.
func FuzzAddOpenAPI(f *testing.F) {
	for _, s := range []string{`{"openapi":"3.1.0","paths":{"/x":{"get":{"operationId":"a_r","responses":{}}}},"tags":[{"name":"a"},1,null]}`,
		`{"openapi":"3.1.0","paths":{"/x":null}}`, `{"openapi":"3.1.0","paths":{"/x":1}}`, `{"openapi":"3.1.0","paths":null,"components":{"schemas":null,"responses":{"Problem":{}}}}`,
		`{"openapi":"3.1.0","components":{"schemas":{"Problem":{},"Problem_2":{},"Orchestration":{}}}}`, `{"openapi":"3.1.0","components":{"x":1}}`,
		`{"openapi":"3.1.0","webhooks":{"a":{"post":{"operationId":"orchestration"}}}}`, `{"openapi":"3.1.0","paths":{"/api/Gateway/a/r":{}}}`} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		g := gateway.New(gateway.Config{})
		g.AddAPI("a", gateway.API{BaseURLs: someURL}).AddRoute("r", gateway.Route{ResponseSchema: []byte(`{"$defs":{"x":{}},"$ref":"#/$defs/x"}`)})
		for _, text := range []string{one, two} {
			if err := g.AddOpenAPI([]byte(text)); err != nil && !strings.HasPrefix(err.Error(), "gateway: add an OpenAPI document: ") {
				t.Errorf("error %v", err)
			}
		}
		doc := documentOf(t, g)
		get, _ := doc["paths"].(map[string]any)["/api/Gateway/a/r"].(map[string]any)["get"].(map[string]any)
		if get == nil {
			t.Fatalf("the gateway's route is gone: %v", doc["paths"])
		}
		if ref := dangling(get, doc); ref != "" {
			t.Errorf("the gateway's route refers to %q, which the document does not have", ref)
		}
		for path, item := range doc["paths"].(map[string]any) {
			if _, ok := item.(map[string]any); !ok || !strings.HasPrefix(path, "/") {
				t.Errorf("the path item %q is %v", path, item)
			}
		}
	})
}
