package economy

import (
	"bytes"
	_ "embed" // the document
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// openAPIDocument is that of all services in one server. What is under "x-foreign" takes the place of what is beside it where
// people sign in elsewhere.
//
//go:embed openapi.json
var openAPIDocument []byte

// OpenAPI returns an OpenAPI 3.1 document of the REST endpoints of the services that are here, as JSON, to be shown by itself or
// within that of a gateway. What the hub tells its clients is among the webhooks, with the extension x-signalr.
func (s *System) OpenAPI() []byte {
	text, only := openAPIDocument, s.config.Only
	if only != "" { // its paths are those of the server
		text = bytes.ReplaceAll(text, []byte(base(only)+"/"), []byte("/"))
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		panic(fmt.Sprintf("economy: embedded document: %v", err)) // it is part of the binary
	}
	choose(doc, s.config.Foreign)
	object(doc, "components", "securitySchemes", "economyLogin")["openIdConnectUrl"] = s.config.Issuer + "/.well-known/openid-configuration"
	if only != "" {
		leave(doc, only)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("economy: embedded document: %v", err))
	}
	return raw
}

// object returns an object within another one.
func object(o map[string]any, path ...string) map[string]any {
	for _, name := range path {
		o = o[name].(map[string]any)
	}
	return o
}

// choose puts what is for a foreign issuer in its place, or takes it out.
func choose(v any, foreign bool) {
	switch v := v.(type) {
	case map[string]any:
		if other, found := v["x-foreign"]; found {
			delete(v, "x-foreign")
			if foreign {
				maps.Copy(v, other.(map[string]any))
			}
		}
		for _, member := range v {
			choose(member, foreign)
		}
	case []any:
		for _, element := range v {
			choose(element, foreign)
		}
	}
}

// leave takes out of the document what is not about one service, which is at the root already.
func leave(doc map[string]any, only string) {
	title := object(doc, "info")
	title["title"] = title["title"].(string) + ", " + only
	doc["tags"] = slices.DeleteFunc(doc["tags"].([]any), func(t any) bool { return t.(map[string]any)["name"] != "economy "+only })
	maps.DeleteFunc(object(doc, "paths"), func(path string, _ any) bool {
		return slices.ContainsFunc(Names(), func(other string) bool { return strings.HasPrefix(path, base(other)+"/") })
	})
	if only != Trading {
		delete(doc, "webhooks")
	}
	// Components that nothing refers to go, and so on until all are needed.
	for gone := true; gone; {
		gone = false
		raw, err := json.Marshal(doc)
		if err != nil {
			panic(fmt.Sprintf("economy: embedded document: %v", err))
		}
		for _, kind := range []string{"schemas", "responses"} {
			maps.DeleteFunc(object(doc, "components", kind), func(name string, _ any) bool {
				unused := !strings.Contains(string(raw), `"#/components/`+kind+"/"+name+`"`)
				gone = gone || unused
				return unused
			})
		}
	}
}
