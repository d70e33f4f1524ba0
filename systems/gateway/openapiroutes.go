package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// addAPIRoute describes a route of a service: one path with one verb.
func (d *description) addAPIRoute(api string, r *apiRoute) {
	operation := object{
		{"tags", []string{api}},
		{"operationId", d.id(api, r.key)},
	}
	operation = operation.with("summary", r.Summary).with("description", r.about())
	operation.set("parameters", []object{r.parameters()})
	content, patch := anything, r.Verb == http.MethodPatch
	if r.RequestSchema != nil {
		content = jsonContent(d.schema(d.id(api, r.key, "request"), r.RequestSchema))
	}
	if patch {
		content = object{{"application/json-patch+json", content[0].value}}
	}
	if hasBody(r.Verb) {
		operation.set("requestBody", object{{"content", content}})
	}
	answer := anything
	if r.ResponseSchema != nil {
		answer = jsonContent(d.schema(d.id(api, r.key, "response"), r.ResponseSchema))
	}
	responses := object{
		{"200", object{{"description", "The answer of the service."}, {"content", answer}}},
		{"400", d.problem("BadParameters", "The parameters are not those of the route.", true)},
	}
	d.guard(&operation, &responses, r.guards, true)
	responses.set("404", object{{"description", "There is no such route any more, without a body. Or the answer of the service."}, {"content", anything}})
	if hasBody(r.Verb) {
		responses.set("413", d.problem("TooLarge", "The body is too large.", true))
	}
	responses.set("502", d.problem("BadGateway", "The service could not be reached, or its answer broke off.", true))
	responses.set("504", d.problem("TooSlow", "The service has not answered in time.", true))
	responses.set("default", object{{"description", "Any other answer of the service, passed on as it is."}, {"content", anything}})
	operation.set("responses", responses)
	d.paths.set(RESTPath+"/"+url.PathEscape(api)+"/"+url.PathEscape(r.key), object{{strings.ToLower(r.Verb), operation}})
}

// about is the description of a route, for people: what was said about it, then what the gateway does with it.
func (r *apiRoute) about() string {
	var b strings.Builder
	if r.Description != "" {
		b.WriteString(r.Description + "\n\n")
	}
	b.WriteString("Goes to the service as `" + r.Verb + " /" + strings.ReplaceAll(strings.TrimLeft(r.Path, "/"), "`", "'") + "`.")
	if r.Verb == http.MethodGet {
		b.WriteString(" HEAD is answered too.")
	}
	if rules := r.rules(); r.Verb == http.MethodGet && r.Cache > 0 && !rules.NoStore && rules.Location != CacheNowhere {
		b.WriteString(" Answers may be " + strconv.FormatFloat(r.Cache.Seconds(), 'f', -1, 64) + " s old.")
	}
	return b.String()
}

// parameters describes the one query value that a route takes.
func (r *apiRoute) parameters() object {
	p := object{{"name", "parameters"}, {"in", "query"}}
	names := r.template.distinct()
	if len(names) == 0 {
		return append(p, member{"description", "What is appended to the path of the route, such as `7` or `?page=2`."},
			member{"schema", object{{"type", "string"}}})
	}
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = name + "=…"
	}
	return append(p, member{"required", true},
		member{"description", "The values of the placeholders, as in a query: `" + strings.Join(pairs, "&") + "`."},
		member{"schema", object{{"type", "string"}}},
		member{"example", strings.ReplaceAll(strings.Join(pairs, "&"), "…", "")},
		member{"x-placeholders", names})
}

// distinct returns the names of the placeholders, each once whatever its case.
func (t template) distinct() []string {
	var names []string
	seen := make(map[string]bool)
	for _, name := range t.names {
		if folded := strings.ToLower(name); !seen[folded] {
			seen[folded] = true
			names = append(names, name)
		}
	}
	return names
}

// addHubRoute describes a route of a hub: the POST that calls it, and what clients of the GatewayHub hear.
func (d *description) addHubRoute(hub string, r *hubRoute) {
	heard := r.ReceiveMethod != "" && d.relays
	var delivery object
	if heard {
		delivery = d.delivery(r)
		d.webhooks.set(hub+"/"+r.key, object{{"post", object{
			{"tags", []string{hub}},
			{"operationId", d.id(hub, r.key, "receive")},
			{"summary", r.ReceiveMethod + " on " + HubPath},
			{"description", r.audienceText() + " It is a SignalR invocation, not a request over HTTP: the array has the arguments of the client's method."},
			{"requestBody", object{{"required", true}, {"content", jsonContent(delivery.get("arguments"))}}},
			{"responses", object{{"default", object{{"description", "None. The gateway waits for no answer."}}}}},
			{"x-signalr", delivery},
		}}})
	}
	if r.InvokeMethod == "" {
		return
	}
	operation := object{
		{"tags", []string{hub}},
		{"operationId", d.id("hub", hub, r.key)},
	}
	about := "Calls `" + r.InvokeMethod + "` of the hub and waits for its end."
	if r.Description != "" {
		about = r.Description + "\n\n" + about
	}
	if heard {
		about += " What the hub sends comes as `" + r.ReceiveMethod + "` over `" + HubPath + "`. " + r.audienceText()
	}
	operation = operation.with("summary", r.Summary).with("description", about)
	operation.set("parameters", []object{{{"name", "wait"}, {"in", "query"}, {"description", "`result` to get the result of the call. Without it the body of the answer is empty."},
		{"schema", object{{"type", "string"}, {"enum", []string{"result"}}}}}})
	operation.set("requestBody", object{{"description", "The arguments of the call, in their order."}, {"required", true}, {"content", d.arguments(hub, r)}})
	result := object{}
	if r.ResultSchema != nil {
		result = d.schema(d.id("hub", hub, r.key, "result"), r.ResultSchema)
	}
	responses := object{
		{"200", object{{"description", "The call has ended. The body is empty, or with `wait=result` the result, null if there is none."}, {"content", jsonContent(result)}}},
		{"400", d.problem("NoArguments", "The body is no JSON array, or has too many elements.", false)},
	}
	d.guard(&operation, &responses, r.guards, false)
	responses.set("404", object{{"description", "There is no such route any more. No body."}})
	responses.set("413", d.problem("TooLarge", "The body is too large.", false))
	responses.set("415", d.problem("NotJSON", "The body is said to be something else than JSON.", false))
	responses.set("502", d.problem("HubFailed", "The hub has answered with an error, which is the detail, or was lost meanwhile.", false))
	responses.set("503", d.problem("Unavailable", "The hub is not connected, or too many calls wait for it.", false))
	responses.set("504", d.problem("HubTooSlow", "The hub has not answered in time.", false))
	operation.set("responses", responses)
	if heard {
		operation.set("x-signalr", delivery)
	}
	d.paths.set(RESTPath+"/hub/"+url.PathEscape(hub)+"/"+url.PathEscape(r.key), object{{"post", operation}})
}

// arguments is the content of the body of a call, with an example to begin with.
func (d *description) arguments(hub string, r *hubRoute) object {
	s := object{{"type", "array"}, {"maxItems", d.config.MaxArguments}}
	each, examples := []object{}, []any{}
	for _, schema := range r.ArgumentSchemas {
		each = append(each, d.schema(d.id("hub", hub, r.key, "argument"), schema))
		examples = append(examples, exampleOf(schema))
	}
	if len(each) > 0 {
		s = append(s, member{"prefixItems", each})
	}
	return object{{"application/json", object{{"schema", append(s, member{"items", object{}})}, {"example", examples}}}}
}

// audienceText says who hears of a route.
func (r *hubRoute) audienceText() string {
	switch r.BroadcastType {
	case BroadcastGroup:
		return "Those hear it that have called `SubscribeToGroup` for the group `" + r.ReceiveGroup + "`."
	case BroadcastIndividual:
		return "Those hear it that have called `SubscribeToRoute`."
	}
	return "All clients hear it."
}

// delivery describes the invocation that clients of the GatewayHub receive.
func (d *description) delivery(r *hubRoute) object {
	sent := object{{"type", "array"}}
	if len(r.ReceiveParameterTypes) > 0 {
		each := make([]object, len(r.ReceiveParameterTypes))
		for i, name := range r.ReceiveParameterTypes {
			each[i] = typeSchema(name)
		}
		sent = append(sent, member{"prefixItems", each})
	}
	arguments := sent
	if !r.Unwrap {
		arguments = object{{"type", "array"}, {"description", "Two arguments: all that the hub has sent, and an empty object."},
			{"prefixItems", []object{sent, {{"type", "object"}}}}, {"minItems", 2}, {"maxItems", 2}}
	}
	o := object{{"hub", HubPath}, {"target", r.ReceiveMethod}, {"broadcast", r.BroadcastType.String()}}.with("group", r.ReceiveGroup)
	if required := r.guards.requires(); r.BroadcastType != BroadcastAll && len(required) > 0 {
		o.set("subscribersNeed", required)
	}
	return append(o, member{"arguments", arguments})
}

// gatewayHub describes the methods of the GatewayHub.
func (d *description) gatewayHub() object {
	text := func(names ...string) object {
		all := object{}
		for _, name := range names {
			all = append(all, member{name, object{{"type", "string"}}})
		}
		return all
	}
	method := func(name, about string, properties object) member {
		return member{name, object{{"description", about}, {"arguments", []object{{{"type", "object"}, {"properties", properties}}}}}}
	}
	group, route := text("api", "key", "receiveKey", "receiveGroup"), text("api", "key", "receiveKey", "userId")
	call := append(text("api", "key", "receiveKey"), member{"data", object{{"description", "The one argument."}}},
		member{"dataArray", object{{"type", "array"}, {"maxItems", d.config.MaxArguments}, {"description", "The arguments, if there is no data."}}})
	return object{{"methods", object{
		method("SubscribeToGroup", "Hear of the routes that send to the group.", group),
		method("UnsubscribeFromGroup", "Hear of them no longer.", group),
		method("SubscribeToRoute", "Hear of a route for its subscribers.", route),
		method("UnsubscribeFromRoute", "Hear of it no longer.", route),
		method("InvokeDownstreamHub", "Call the method of a route and wait for its end.", call),
	}}}
}
