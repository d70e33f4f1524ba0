package gateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// description is an OpenAPI document while it is written.
type description struct {
	config    *Config
	tags      []any
	paths     object
	webhooks  object
	schemas   object
	responses object
	relays    bool              // there is a GatewayHub
	bearer    string            // the name of the security scheme, if a route demands a token
	names     map[string]string // of components, by what they are called here
	taken     map[string]bool   // names of components and ids of operations
}

// document describes all routes that there are now and what others have added.
func (g *Gateway) document() object {
	t := g.table()
	p := &g.others
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &description{config: &g.config, relays: g.hub != nil, names: make(map[string]string), taken: make(map[string]bool)}
	maps.Copy(d.taken, p.operations)
	for _, members := range p.components {
		for _, m := range members {
			d.taken[m.name] = true
		}
	}
	if sameJSON(p.components["securitySchemes"].get("bearer"), bearerScheme) {
		d.names["bearer"] = "bearer" // one for both, so that a token is entered once
	}
	d.schemas.set(d.name("Problem"), problemSchema)
	for _, a := range t.apis {
		d.tag(a.key, "The service "+a.key+".")
		for _, r := range a.routes {
			d.addAPIRoute(a.key, r)
		}
	}
	for _, h := range t.hubs {
		d.tag(h.key, "The hub "+h.key+".")
		for _, r := range h.routes {
			d.addHubRoute(h.key, r)
		}
	}
	d.addOrchestration()
	for _, t := range p.tags {
		d.addTag(t)
	}
	o := &g.config.OpenAPI
	servers := make([]object, len(o.Servers))
	for i, s := range o.Servers {
		servers[i] = object{{"url", s}}
	}
	doc := object{
		{"openapi", "3.1.1"},
		{"info", object{{"title", o.Title}}.with("description", o.Description).with("version", o.Version)},
		{"servers", servers},
		{"tags", d.tags},
		{"paths", append(d.paths, p.paths...)},
	}
	if all := append(d.webhooks, p.webhooks...); len(all) > 0 {
		doc.set("webhooks", all)
	}
	doc.set("components", d.components(p.components))
	if d.relays {
		doc.set("x-signalr-hubs", object{{HubPath, d.gatewayHub()}})
	}
	return doc
}

// components returns those of the gateway, whose names differ from those of others, and of others.
func (d *description) components(others map[string]object) object {
	own := map[string]object{"schemas": d.schemas, "responses": d.responses}
	if d.bearer != "" && !others["securitySchemes"].has(d.bearer) {
		own["securitySchemes"] = object{{d.bearer, bearerScheme}}
	}
	kinds := maps.Clone(others)
	if kinds == nil {
		kinds = make(map[string]object)
	}
	maps.Copy(kinds, own)
	var all object
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		all.set(kind, slices.Concat(own[kind], others[kind]))
	}
	return all
}

// addTag adds the tag of another document, unless there is one of that name.
func (d *description) addTag(raw json.RawMessage) {
	var t object
	if json.Unmarshal(raw, &t) != nil {
		return
	}
	var name string
	if text, ok := t.get("name").(json.RawMessage); !ok || json.Unmarshal(text, &name) != nil || d.hasTag(name) {
		return
	}
	t.set("name", name)
	d.tags = append(d.tags, t)
}

func (d *description) hasTag(name string) bool {
	return slices.ContainsFunc(d.tags, func(t any) bool { return t.(object).get("name") == name })
}

// tag adds a tag, unless there is one of that name: a service and a hub may share a key.
func (d *description) tag(name, text string) {
	if !d.hasTag(name) {
		d.tags = append(d.tags, object{{"name", name}, {"description", text}})
	}
}

// name returns the name of a component of the gateway's own, which others do not have.
func (d *description) name(of string) string {
	if d.names[of] == "" {
		d.names[of] = d.id(of)
	}
	return d.names[of]
}

// id makes an operation id, or the name of a component, of keys. It is unique.
func (d *description) id(keys ...string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, strings.Join(keys, "_"))
	for i, base := 2, id; d.taken[id]; i++ {
		id = base + "_" + strconv.Itoa(i)
	}
	d.taken[id] = true
	return id
}

// schema adds a schema to the components and returns a reference to it. Its definitions become components of their own, since not
// every reader finds them within others.
func (d *description) schema(name string, raw json.RawMessage) object {
	const components = "#/components/schemas/"
	whole, err := parseSchema(raw)
	if err != nil { // checked when the route was registered
		return object{}
	}
	definitions := definitionsOf(whole)
	names := make(map[[2]string]string)
	for _, x := range definitions {
		names[[2]string{x.keyword, x.name}] = d.id(name, x.name)
	}
	to := func(ref string) string {
		if keyword, of, rest := splitRef(ref); names[[2]string{keyword, of}] != "" {
			return components + names[[2]string{keyword, of}] + rest
		}
		return components + name + ref[1:]
	}
	add := func(name string, part any) {
		copied, err := rebase(part, whole, to)
		if err != nil { // checked
			copied = true
		}
		d.schemas.set(name, copied)
	}
	if s, ok := whole.(map[string]any); ok {
		rest := maps.Clone(s)
		if len(definitions) > 0 {
			delete(rest, "$defs")
			delete(rest, "definitions")
		}
		add(name, rest)
	} else {
		add(name, whole)
	}
	for _, x := range definitions {
		add(names[[2]string{x.keyword, x.name}], x.schema)
	}
	return object{{"$ref", components + name}}
}

// anything is the content of a body whose form only the service knows.
var anything = object{{"*/*", object{}}}

func jsonContent(schema any) object {
	return object{{"application/json", object{{"schema", schema}}}}
}

var bearerScheme = object{{"type", "http"}, {"scheme", "bearer"}}

var problemSchema = object{
	{"type", "object"},
	{"description", "Why the gateway has refused a request (RFC 9457)."},
	{"properties", object{
		{"type", object{{"type", "string"}}},
		{"title", object{{"type", "string"}}},
		{"status", object{{"type", "integer"}}},
		{"detail", object{{"type", "string"}}},
	}},
	{"required", []string{"type", "title", "status"}},
}

// problem returns a reference to an answer of the gateway itself, which it adds to the components. If the service may answer with
// that status too, its body can be anything.
func (d *description) problem(name, text string, service bool) object {
	content := object{{"application/problem+json", object{{"schema", object{{"$ref", "#/components/schemas/" + d.name("Problem")}}}}}}
	if service {
		name += "OrService"
		content = append(content, anything...)
		text += " Or the answer of the service."
	}
	name = d.name(name)
	d.responses.set(name, object{{"description", text}, {"content", content}})
	return object{{"$ref", "#/components/responses/" + name}}
}

// guard adds what a route demands to an operation, and what it answers to those who have not got it. If only code says who may use
// it, nobody knows here whether a token is needed.
func (d *description) guard(operation, responses *object, all guards, service bool) {
	required := all.requires()
	if len(required) == 0 && !slices.ContainsFunc(all, func(g *Guard) bool { return g.Authorize != nil }) {
		return
	}
	if len(required) > 0 {
		d.bearer = d.name("bearer")
		roles := slices.DeleteFunc(required, func(right string) bool { return right == "*" })
		operation.set("security", []object{{{d.bearer, append([]string{}, roles...)}}})
	}
	responses.set("401", d.problem("NoToken", "There is no token, or none that counts.", service))
	responses.set("403", d.problem("NotAllowed", "The token does not allow it.", service))
}

// addOrchestration describes the list of routes.
func (d *description) addOrchestration() {
	text := object{{"type", "string"}}
	routes := func(members ...member) object {
		return object{{"type", "array"}, {"items", object{{"type", "object"}, {"properties", object(members)}}}}
	}
	anySchema := object{{"type", []string{"object", "boolean", "null"}}, {"description", "A JSON schema, or null."}}
	entry := d.name("Orchestration")
	d.schemas.set(entry, object{
		{"type", "object"},
		{"required", []string{"api", "orchestrationType"}},
		{"properties", object{
			{"api", text},
			{"orchestrationType", object{{"type", "integer"}, {"enum", []int{orchestrationAPI, orchestrationHub}}, {"description", "0 is a service, 1 a hub."}}},
			{"apiRoutes", routes(member{"key", text}, member{"verb", text}, member{"downstreamPath", text},
				member{"requestJsonSchema", anySchema}, member{"responseJsonSchema", anySchema})},
			{"hubRoutes", routes(member{"key", text}, member{"invokeMethod", text}, member{"receiveMethod", text}, member{"receiveGroup", text},
				member{"broadcastType", object{{"type", "string"}, {"enum", []string{"All", "Group", "Individual"}}}},
				member{"receiveParameterTypes", object{{"type", "array"}, {"items", text}}})},
		}},
	})
	d.tag("orchestration", "What the gateway has.")
	part := func(name, of string) object {
		return object{{"name", name}, {"in", "query"}, {"description", "Only " + of + " whose key has this in it, in any case."}, {"schema", text}}
	}
	operation := object{
		{"tags", []string{"orchestration"}},
		{"operationId", d.id("orchestration")},
		{"summary", "All services, hubs and routes"},
		{"parameters", []object{part("apiKey", "services and hubs"), part("routeKey", "routes")}},
	}
	responses := object{{"200", object{{"description", "The list."},
		{"content", jsonContent(object{{"type", "array"}, {"items", object{{"$ref", "#/components/schemas/" + entry}}}})}}}}
	d.guard(&operation, &responses, guards{&d.config.Guard, &d.config.Orchestration}, false)
	operation.set("responses", responses)
	d.paths.set(RESTPath+"/orchestration", object{{"get", operation}})
}

// hasBody reports whether a request of the verb has a body.
func hasBody(verb string) bool {
	return slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, verb)
}
