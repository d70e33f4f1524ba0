package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Where the document and the page to try it are.
const (
	SwaggerPath  = "/swagger"
	DocumentPath = SwaggerPath + "/v1/swagger.json"
)

// OpenAPI says how the gateway describes itself, to programs in an OpenAPI 3.1 document and to people on a page where they try
// it. Zero fields have the default of their comment.
type OpenAPI struct {
	// Off turns the document and the page off: their paths are answered with 404.
	Off bool
	// Title is the name of what is described. Default "My Api Gateway".
	Title string
	// Version is the version of what is described. Default "v1".
	Version string
	// Description is a text for people, in Markdown. Default none.
	Description string
	// Servers are the addresses at which clients reach the gateway. Default the one that the document was read from, behind
	// whatever prefix a proxy has put before its path.
	Servers []string
}

func (o *OpenAPI) setDefaults() {
	if o.Title == "" {
		o.Title = "My Api Gateway"
	}
	if o.Version == "" {
		o.Version = "v1"
	}
	if len(o.Servers) == 0 {
		o.Servers = []string{"../.."} // of DocumentPath
	}
	o.Servers = slices.Clone(o.Servers)
}

// openAPIPart is what others have added to the document.
type openAPIPart struct {
	mu              sync.Mutex
	tags            []json.RawMessage
	paths, webhooks object
	components      map[string]object // by kind
	operations      map[string]bool   // their ids
}

// AddOpenAPI adds to the document of the gateway what else its server has: the paths, webhooks, tags and components of another
// OpenAPI 3.1 document, which is JSON. Its info, servers and general security are left out, so an operation that demands a token
// says so itself. It fails, and adds nothing, if a path, a webhook or the id of an operation is there already, or a component of
// that name that differs. It may be called at any time.
func (g *Gateway) AddOpenAPI(document []byte) error {
	if err := g.others.add(document); err != nil {
		return fmt.Errorf("gateway: add an OpenAPI document: %w", err)
	}
	return nil
}

func (p *openAPIPart) add(document []byte) error {
	var d struct {
		OpenAPI         string            `json:"openapi"`
		Tags            []json.RawMessage `json:"tags"`
		Paths, Webhooks object
		Components      map[string]object
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return err
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		return fmt.Errorf("its version is %q, want 3.1", d.OpenAPI)
	}
	for _, m := range d.Paths {
		if under := RESTPath + "/"; !strings.HasPrefix(m.name, "/") || len(m.name) >= len(under) && strings.EqualFold(m.name[:len(under)], under) {
			return fmt.Errorf("its path %q, want one that begins with a slash and is none of the gateway's", m.name)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	paths, err := merge(p.paths, d.Paths, "path", false)
	if err != nil {
		return err
	}
	webhooks, err := merge(p.webhooks, d.Webhooks, "webhook", false)
	if err != nil {
		return err
	}
	operations := make(map[string]bool)
	maps.Copy(operations, p.operations)
	if err := noteOperations(operations, slices.Concat(d.Paths, d.Webhooks)); err != nil {
		return err
	}
	components := make(map[string]object)
	maps.Copy(components, p.components)
	for kind, members := range d.Components {
		if components[kind], err = merge(components[kind], members, "component "+kind, true); err != nil {
			return err
		}
	}
	p.paths, p.webhooks, p.components, p.operations = paths, webhooks, components, operations
	p.tags = append(p.tags, d.Tags...)
	return nil
}

// noteOperations adds the ids of the operations of path items to a set in which there must be none of them.
func noteOperations(ids map[string]bool, items object) error {
	for _, item := range items {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(item.value.(json.RawMessage), &members); err != nil {
			return fmt.Errorf("the path item %q: %w", item.name, err)
		}
		if members == nil {
			return fmt.Errorf("the path item %q is null, want an object", item.name)
		}
		for verb, raw := range members {
			var operation struct {
				ID string `json:"operationId"`
			}
			if json.Unmarshal(raw, &operation) != nil || operation.ID == "" {
				continue // no operation, or one without an id
			}
			if ids[operation.ID] {
				return fmt.Errorf("%s %s: the operation id %q is there already", verb, item.name, operation.ID)
			}
			ids[operation.ID] = true
		}
	}
	return nil
}

// merge returns the members of both. One of the same name is an error, unless it is the same and that is allowed.
func merge(own, others object, what string, same bool) (object, error) {
	all := slices.Clone(own)
	for _, m := range others {
		if have := own.get(m.name); have != nil && (!same || !sameJSON(have, m.value)) {
			return nil, fmt.Errorf("the %s %q is there already", what, m.name)
		}
		all.set(m.name, m.value)
	}
	return all, nil
}

// sameJSON reports whether two values have the same JSON form, white space and the order of members apart.
func sameJSON(a, b any) bool {
	var forms [2][]byte
	for i, v := range []any{a, b} {
		raw, err := json.Marshal(v)
		if err != nil {
			return false
		}
		var plain any
		if json.Unmarshal(raw, &plain) != nil {
			return false
		}
		if forms[i], err = json.Marshal(plain); err != nil {
			return false
		}
	}
	return string(forms[0]) == string(forms[1])
}

// newDescribed returns what answers with the document: to those who may have the list of routes, which is in it.
func (g *Gateway) newDescribed(listed guards) http.Handler {
	answer := func(w http.ResponseWriter, r *http.Request, _ *Access) { g.serveDocument(w, r) }
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.pass(w, r, &Access{Operation: OperationOrchestration}, listed, answer)
	})
	if g.config.Auth != nil {
		h = g.config.Auth(h)
	}
	return h
}

// serveDocument answers with the document of the routes that there are now.
func (g *Gateway) serveDocument(w http.ResponseWriter, r *http.Request) {
	body, err := json.MarshalIndent(g.document(), "", "  ")
	if err != nil { // all of it was checked when it was registered
		g.config.Logger.ErrorContext(r.Context(), "gateway: OpenAPI document", "error", err)
		refuse(w, http.StatusInternalServerError, "The document has no JSON form.")
		return
	}
	serveJSON(w, r, body)
}

// serveJSON answers with a document.
func serveJSON(w http.ResponseWriter, r *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("Etag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(body)
}
