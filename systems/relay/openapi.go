package relay

import (
	_ "embed" // the document
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
)

//go:embed openapi.json
var openAPIDocument []byte

// OpenAPI returns an OpenAPI 3.1 document of the REST endpoints, as JSON, to be shown by itself or within that of a gateway. Without
// tickets it has none of theirs, and without [Config.Verify] it demands no token.
func (s *System) OpenAPI() []byte {
	var doc map[string]any
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		panic(fmt.Sprintf("relay: embedded document: %v", err)) // it is part of the binary
	}
	paths := doc["paths"].(map[string]any)
	for path, item := range paths {
		if s.queue == nil && isTickets(path) {
			delete(paths, path)
			continue
		}
		if s.config.Verify == nil {
			unguard(item.(map[string]any))
		}
	}
	if s.queue == nil {
		doc["tags"] = slices.DeleteFunc(doc["tags"].([]any), func(t any) bool { return t.(map[string]any)["name"] != "relay events" })
	}
	if s.config.Verify == nil {
		delete(doc["components"].(map[string]any), "securitySchemes")
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("relay: embedded document: %v", err))
	}
	return raw
}

// isTickets reports whether a path is one of those of tickets and objects.
func isTickets(path string) bool {
	return slices.ContainsFunc(ticket.Paths(), func(p string) bool { return path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) })
}

// unguard takes what is about tokens off the operations of a path.
func unguard(item map[string]any) {
	for _, operation := range item {
		o := operation.(map[string]any)
		delete(o, "security")
		for _, status := range []string{"401", "403", "503"} {
			delete(o["responses"].(map[string]any), status)
		}
	}
}
