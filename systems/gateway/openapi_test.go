package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

const (
	citySchema = `{"$id":"https://schemas.example/city","type":"object","required":["city","celsius"],
		"properties":{"city":{"type":"string","minLength":1},"celsius":{"$ref":"#/$defs/degrees"},"next":{"$ref":"#"},"default":{"$ref":"#/$defs/degrees"}},
		"$defs":{"degrees":{"type":"number","exclusiveMinimum":-273.15}}}`
	addSchema     = `{"type":"object","required":["city"],"additionalProperties":false,"properties":{"city":{"type":["string","null"]}}}`
	requestSchema = `{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"message":{"type":"string"}},"examples":[{"name":"John Doe","message":"Hello!"}]}`
)

// newDescribed starts a gateway of all kinds of routes in front of a hub and a service. The city Atlantis has no answer, Utopia one
// that is not what was said of it.
func newDescribed(t testing.TB, c gateway.Config) *server {
	t.Helper()
	downstream := newChat(t, "")
	weather := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch city := strings.TrimPrefix(r.URL.Path, "/weather/"); {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"id":7}`)
		case city == "Atlantis":
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "sunk")
		case city == "Utopia":
			fmt.Fprint(w, `{"city":"Utopia","celsius":"mild"}`)
		default:
			fmt.Fprintf(w, `{"city":%q,"celsius":21.5,"next":{"city":"there","celsius":20}}`, city)
		}
	})
	return newServer(t, c, func(g *gateway.Gateway) {
		g.AddAPI("weatherservice", gateway.API{BaseURLs: []string{weather}, Timeout: patience}).
			AddRoute("forecast", gateway.Route{Path: "weather/{city}", Summary: "The weather", Description: "Of *one* city.", Cache: time.Minute, ResponseSchema: []byte(citySchema)}).
			AddRoute("add", gateway.Route{Path: "weather", Verb: "POST", RequestSchema: []byte(addSchema)}).
			AddRoute("change it!", gateway.Route{Path: "weather/", Verb: "PATCH"}).
			AddRoute("drop", gateway.Route{Path: "weather/", Verb: "DELETE"}).
			AddRoute("put", gateway.Route{Path: "weather/", Verb: "PUT"})
		g.AddAPI("down", gateway.API{BaseURLs: []string{closedAddress(t)}}).AddRoute("r", gateway.Route{})
		chat := downstream.as(gateway.Core)
		chat.ReceiveKey = secret
		g.AddHub("chatservice", chat).
			AddRoute("room", gateway.HubRoute{InvokeMethod: "SendMessage", ReceiveMethod: "ReceiveMessage", ReceiveParameterTypes: []string{"string", "System.Int32", "Quote[]", "object"},
				ArgumentSchemas: []json.RawMessage{[]byte(requestSchema)}, Summary: "Say it"}).
			AddRoute("fail", gateway.HubRoute{InvokeMethod: "Fail"}).
			AddRoute("count", gateway.HubRoute{InvokeMethod: "Count", ResultSchema: []byte(`{"type":"array","items":{"type":"integer"}}`)}).
			AddRoute("ops", gateway.HubRoute{ReceiveMethod: "Alarm", BroadcastType: gateway.BroadcastGroup, ReceiveGroup: "Ops", Unwrap: true}).
			AddRoute("mine", gateway.HubRoute{ReceiveMethod: "Mine", BroadcastType: gateway.BroadcastIndividual})
		g.AddHub("away", gateway.Hub{URL: closedAddress(t) + "/hub"}).AddRoute("room", room)
	})
}

// described is the document of a gateway, checked, and where requests are found in it.
func (s *server) described(header ...string) (*openapi3.T, routers.Router) {
	s.t.Helper()
	status, got, body := s.do("GET", gateway.DocumentPath, "", header...)
	if status != 200 || got.Get("Content-Type") != "application/json; charset=utf-8" {
		s.t.Fatalf("the document: status %d, headers %v, body %s", status, got, body)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(body))
	if err != nil {
		s.t.Fatalf("load the document: %v\n%s", err, body)
	}
	if err := doc.Validate(context.Background()); err != nil {
		s.t.Fatalf("validate the document: %v\n%s", err, body)
	}
	for _, x := range doc.Servers { // relative to the document, as for every reader
		base, err := url.Parse(s.url + gateway.DocumentPath)
		if err != nil {
			s.t.Fatal(err)
		}
		to, err := base.Parse(x.URL)
		if err != nil {
			s.t.Fatal(err)
		}
		x.URL = strings.TrimSuffix(to.String(), "/")
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	return doc, router
}

// conforms sends a request and judges it and its answer by the document. It returns the status of the answer and the complaints.
func (s *server) conforms(router routers.Router, method, path, body string) (status int, ofRequest, ofResponse error) {
	s.t.Helper()
	r := httptest.NewRequest(method, s.url+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if method == "PATCH" {
			r.Header.Set("Content-Type", "application/json-patch+json")
		}
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		s.t.Fatalf("%s %s: not in the document: %v", method, path, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	ofRequest = openapi3filter.ValidateRequest(context.Background(), in)
	status, header, answer := s.do(method, path, body)
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Body: io.NopCloser(strings.NewReader(answer)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: answer == ""}}
	return status, ofRequest, openapi3filter.ValidateResponse(context.Background(), out)
}

// TestDocumentFitsRequestsAndAnswers: what the document says of requests and of answers, of each status, is so.
func TestDocumentFitsRequestsAndAnswers(t *testing.T) {
	t.Parallel()
	s := newDescribed(t, gateway.Config{MaxBodySize: 200})
	eventually(t, "the hub connected", func() bool { return s.Health()[0].Connected })
	_, router := s.described()
	for _, x := range []struct {
		method, path, body string
		status             int
		request, response  string // what is complained about
	}{
		{"GET", "/api/Gateway/weatherservice/forecast?parameters=city%3DBern", "", 200, "", ""},
		{"GET", "/api/Gateway/weatherservice/forecast?parameters=city%3DUtopia", "", 200, "", "celsius"},
		{"GET", "/api/Gateway/weatherservice/forecast?parameters=city%3DAtlantis", "", 404, "", ""},
		{"GET", "/api/Gateway/weatherservice/forecast?parameters=town%3DBern", "", 400, "", ""},
		{"GET", "/api/Gateway/weatherservice/forecast", "", 400, `parameter "parameters"`, ""},
		{"POST", "/api/Gateway/weatherservice/add", `{"city":"Bern"}`, 201, "", ""},
		{"POST", "/api/Gateway/weatherservice/add", `{"town":"Bern"}`, 201, "town", ""},
		{"POST", "/api/Gateway/weatherservice/add", `{"city":"` + strings.Repeat("x", 200) + `"}`, 413, "", ""},
		{"PATCH", "/api/Gateway/weatherservice/change%20it%21?parameters=Bern", `[{"op":"remove","path":"/a"}]`, 200, "", ""},
		{"DELETE", "/api/Gateway/weatherservice/drop?parameters=Bern", "", 200, "", ""},
		{"PUT", "/api/Gateway/weatherservice/put?parameters=Bern", `{}`, 200, "", ""},
		{"GET", "/api/Gateway/down/r", "", 502, "", ""},
		{"POST", "/api/Gateway/hub/chatservice/room", `[{"name":"John","message":"Hi"}]`, 200, "", ""},
		{"POST", "/api/Gateway/hub/chatservice/room?wait=result", `[{"name":"John"}]`, 200, "", ""},
		{"POST", "/api/Gateway/hub/chatservice/room?wait=forever", `[{"name":"John"}]`, 400, "wait", ""},
		{"POST", "/api/Gateway/hub/chatservice/room", `[{"message":"Hi"}]`, 200, "name", ""},
		{"POST", "/api/Gateway/hub/chatservice/room", `{"message":"Hi"}`, 400, "array", ""},
		{"POST", "/api/Gateway/hub/chatservice/count", `[1,2,3,4,5,6,7,8,9,10]`, 200, "", ""},
		{"POST", "/api/Gateway/hub/chatservice/count", `[1,2,3,4,5,6,7,8,9,10,11]`, 400, "maxItems", ""},
		{"POST", "/api/Gateway/hub/chatservice/count?wait=result", `[1,2]`, 200, "", ""},
		{"POST", "/api/Gateway/hub/chatservice/count?wait=result", `["one"]`, 200, "", "integer"},
		{"POST", "/api/Gateway/hub/chatservice/count", `["` + strings.Repeat("x", 200) + `"]`, 413, "", ""},
		{"POST", "/api/Gateway/hub/chatservice/fail", `[]`, 502, "", ""},
		{"POST", "/api/Gateway/hub/away/room", `[]`, 503, "", ""},
		{"GET", "/api/Gateway/orchestration", "", 200, "", ""},
		{"GET", "/api/Gateway/orchestration?apiKey=weather&routeKey=a", "", 200, "", ""},
	} {
		status, request, response := s.conforms(router, x.method, x.path, x.body)
		if status != x.status {
			t.Errorf("%s %s %s: status %d, want %d", x.method, x.path, x.body, status, x.status)
		}
		complain(t, x.method+" "+x.path+" "+x.body+": the request", request, x.request)
		complain(t, x.method+" "+x.path+" "+x.body+": the answer", response, x.response)
	}
}

// complain wants an error with a text, or none.
func complain(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || (err != nil && !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want))) {
		t.Errorf("%s: complaint %v, want one with %q", what, err, want)
	}
}

// TestDocumentListsEachRoute: it has all routes and nothing else of the gateway's, and none of its secrets.
func TestDocumentListsEachRoute(t *testing.T) {
	t.Parallel()
	s := newDescribed(t, gateway.Config{OpenAPI: gateway.OpenAPI{Title: "Ours", Version: "v7", Description: "All of it."}})
	doc, _ := s.described()
	if doc.Info.Title != "Ours" || doc.Info.Version != "v7" || doc.Info.Description != "All of it." || doc.OpenAPI != "3.1.1" {
		t.Errorf("info %+v, version %s", doc.Info, doc.OpenAPI)
	}
	var got []string
	ids := make(map[string]bool)
	for path, item := range doc.Paths.Map() {
		for verb, operation := range item.Operations() {
			got = append(got, verb+" "+path)
			if ids[operation.OperationID] {
				t.Errorf("the operation id %q is there twice", operation.OperationID)
			}
			ids[operation.OperationID] = true
		}
	}
	slices.Sort(got)
	want := []string{
		"DELETE /api/Gateway/weatherservice/drop", "GET /api/Gateway/down/r", "GET /api/Gateway/orchestration", "GET /api/Gateway/weatherservice/forecast",
		"PATCH /api/Gateway/weatherservice/change%20it%21", "POST /api/Gateway/hub/away/room", "POST /api/Gateway/hub/chatservice/count",
		"POST /api/Gateway/hub/chatservice/fail", "POST /api/Gateway/hub/chatservice/room", "POST /api/Gateway/weatherservice/add", "PUT /api/Gateway/weatherservice/put",
	}
	if !slices.Equal(got, want) {
		t.Errorf("operations\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, _, text := s.do("GET", gateway.DocumentPath, "")
	for _, secret := range []string{secret, "127.0.0.1", "localhost"} {
		if strings.Contains(text, secret) {
			t.Errorf("the document has %q in it", secret)
		}
	}
	if at := strings.Index(text, "weatherservice/forecast"); at < 0 || at > strings.Index(text, "weatherservice/add") {
		t.Error("the routes are not in the order in which they were registered")
	}
	forecast := doc.Paths.Value("/api/Gateway/weatherservice/forecast").Get
	if forecast.Summary != "The weather" || !strings.HasPrefix(forecast.Description, "Of *one* city.") || !strings.Contains(forecast.Description, "60 s old") ||
		!strings.Contains(forecast.Parameters[0].Value.Description, "`city=…`") || !forecast.Parameters[0].Value.Required {
		t.Errorf("the operation is %+v with %+v", forecast, forecast.Parameters[0].Value)
	}
	content := doc.Paths.Value("/api/Gateway/hub/chatservice/room").Post.RequestBody.Value.Content.Get("application/json")
	if example, err := json.Marshal(content.Example); err != nil || string(example) != `[{"message":"Hello!","name":"John Doe"}]` {
		t.Errorf("the example is %s, error %v", example, err)
	}
}

// TestDocumentTellsWhatClientsHear: as webhooks, for people, and as an extension, for programs.
func TestDocumentTellsWhatClientsHear(t *testing.T) {
	t.Parallel()
	s := newDescribed(t, gateway.Config{})
	_, _, text := s.do("GET", gateway.DocumentPath, "")
	var doc struct {
		Webhooks map[string]struct {
			Post struct {
				Signal json.RawMessage `json:"x-signalr"`
			} `json:"post"`
		} `json:"webhooks"`
		Hubs map[string]struct {
			Methods map[string]json.RawMessage `json:"methods"`
		} `json:"x-signalr-hubs"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"chatservice/room": `{"hub":"/gatewayhub","target":"ReceiveMessage","broadcast":"All","arguments":{"type":"array","description":"Two arguments: all that the hub has sent, and an empty object.",` +
			`"prefixItems":[{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"},{"type":"array","items":{"title":"Quote"}},{}]},{"type":"object"}],"minItems":2,"maxItems":2}}`,
		"chatservice/ops":  `{"hub":"/gatewayhub","target":"Alarm","broadcast":"Group","group":"Ops","arguments":{"type":"array"}}`,
		"chatservice/mine": `{"hub":"/gatewayhub","target":"Mine","broadcast":"Individual","arguments":{"type":"array","description":"Two arguments: all that the hub has sent, and an empty object.","prefixItems":[{"type":"array"},{"type":"object"}],"minItems":2,"maxItems":2}}`,
	} {
		if got := compact(t, doc.Webhooks[key].Post.Signal); got != want {
			t.Errorf("%s:\n%s, want\n%s", key, got, want)
		}
	}
	if len(doc.Webhooks) != 4 || len(doc.Hubs["/gatewayhub"].Methods) != 5 {
		t.Errorf("%d webhooks, want 4; %d methods, want 5", len(doc.Webhooks), len(doc.Hubs["/gatewayhub"].Methods))
	}

	off := newDescribed(t, gateway.Config{NoGatewayHub: true})
	if doc, _ := off.described(); len(doc.Webhooks) != 0 || doc.Extensions["x-signalr-hubs"] != nil {
		t.Errorf("without a GatewayHub: webhooks %v, extensions %v", doc.Webhooks, doc.Extensions)
	}
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	b, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAddOpenAPI: other systems stand in the same document, and keep their names.
func TestAddOpenAPI(t *testing.T) {
	t.Parallel()
	s := newDescribed(t, gateway.Config{})
	other := `{"openapi":"3.1.0","info":{"title":"relay","version":"1"},"tags":[{"name":"relay","description":"Events."},{"name":"orchestration"}],
		"paths":{"/api/relay/trigger":{"post":{"operationId":"weatherservice_forecast","tags":["relay"],"security":[{"bearer":[]}],
			"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Problem"}}}},"responses":{"204":{"description":"Done."}}}}},
		"components":{"schemas":{"Problem":{"type":"object","properties":{"code":{"type":"integer"}}}},"securitySchemes":{"bearer":{"type":"apiKey","in":"header","name":"X-Key"}},
			"parameters":{"page":{"name":"page","in":"query","schema":{"type":"integer"}}}}}`
	if err := s.AddOpenAPI([]byte(other)); err != nil {
		t.Fatal(err)
	}
	doc, router := s.described()
	post := doc.Paths.Value("/api/relay/trigger").Post
	if post == nil || post.RequestBody.Value.Content.Get("application/json").Schema.Value.Properties["code"] == nil {
		t.Errorf("the operation of the other document is %+v", post)
	}
	if doc.Components.Parameters["page"] == nil || doc.Components.SecuritySchemes["bearer"] == nil || len(doc.Tags) != 6 {
		t.Errorf("components %+v, tags %d", doc.Components, len(doc.Tags))
	}
	if status, _, err := s.conforms(router, "GET", "/api/Gateway/down/r", ""); status != 502 || err != nil {
		t.Errorf("a problem of the gateway: status %d, complaint %v", status, err)
	}
	for text, want := range map[string]string{
		`{`:                                    "JSON",
		`{"openapi":"3.0.3"}`:                  `"3.0.3"`,
		other:                                  "/api/relay/trigger",
		`{"openapi":"3.1.1","paths":{"x":{}}}`: "slash",
		`{"openapi":"3.1.1","paths":{"/api/gateway/x/y":{}}}`:                                          "none of the gateway's",
		`{"openapi":"3.1.1","paths":{"/x":{"get":{"operationId":"weatherservice_forecast"}}}}`:         "operation id",
		`{"openapi":"3.1.1","paths":{"/x":{}},"components":{"schemas":{"Problem":{"type":"string"}}}}`: "Problem",
	} {
		if err := s.AddOpenAPI([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
	if doc, _ := s.described(); doc.Paths.Value("/x") != nil {
		t.Error("a document that was refused has left something")
	}
	same := `{"openapi":"3.1.1","components":{"schemas":{"Problem":{"properties":{"code":{"type":"integer"}},"type":"object"}}}}`
	if err := s.AddOpenAPI([]byte(same)); err != nil {
		t.Errorf("the same component again: %v", err)
	}
}

// TestSchemasAreChecked: what is no schema, or refers to what it has not, is refused when it is registered.
func TestSchemasAreChecked(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{"type":"object"}`: "", `true`: "", `{"$ref":"#"}`: "", `{"$ref":"https://elsewhere.example/x"}`: "",
		`{"$ref":"#/$defs/a~1b%20c","$defs":{"a/b c":{}}}`: "", `{"$ref":"#/allOf/1","allOf":[{},{}]}`: "", `{"enum":[{"$ref":"#/nowhere"}]}`: "",
		`[]`: "want an object", `"x"`: "want an object", `{`: "no JSON", `{} {}`: "more than one",
		`{"properties":{"a":{"$ref":"#/$defs/b"}}}`: "#/$defs/b", `{"allOf":[{"$ref":"#/allOf/7"}]}`: "#/allOf/7", `{"properties":{"enum":{"$ref":"#/x"}}}`: "#/x",
	} {
		for kind, add := range map[string]func(g *gateway.Gateway){
			"response": func(g *gateway.Gateway) {
				g.AddAPI("a", gateway.API{BaseURLs: []string{"http://localhost:1"}}).AddRoute("r", gateway.Route{ResponseSchema: []byte(schema)})
			},
			"argument": func(g *gateway.Gateway) {
				g.AddHub("h", gateway.Hub{URL: "http://localhost:1"}).AddRoute("r", gateway.HubRoute{InvokeMethod: "x", ArgumentSchemas: []json.RawMessage{[]byte(schema)}})
			},
		} {
			func() {
				defer func() {
					text, _ := recover().(string)
					if (text == "") != (want == "") || !strings.Contains(text, want) {
						t.Errorf("%s %s: panic %q, want one with %q", kind, schema, text, want)
					}
				}()
				add(gateway.New(gateway.Config{}))
			}()
		}
	}
}

// TestDocumentIsAskedForAgain: it has an entity tag that changes with it.
func TestDocumentIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newDescribed(t, gateway.Config{OpenAPI: gateway.OpenAPI{Servers: []string{"https://api.example"}}})
	_, header, body := s.do("GET", "/SWAGGER/V1/Swagger.json", "")
	etag := header.Get("Etag")
	if etag == "" || !strings.Contains(body, `"https://api.example"`) {
		t.Fatalf("headers %v, body %s", header, body)
	}
	if status, _, body := s.do("GET", gateway.DocumentPath, "", "If-None-Match", etag); status != 304 || body != "" {
		t.Errorf("again: status %d, body %q, want 304", status, body)
	}
	if err := s.AddOpenAPI([]byte(`{"openapi":"3.1.1","paths":{"/x":{"get":{"responses":{"200":{"description":"x"}}}}}}`)); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := s.do("GET", gateway.DocumentPath, "", "If-None-Match", etag); status != 200 {
		t.Errorf("after a change: status %d, want 200", status)
	}
}

// bearer takes the token of a request for who it is: a name and, behind a colon, rights.
func bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			name, rights, _ := strings.Cut(token, ":")
			r = r.WithContext(hubbub.WithUser(r.Context(), &hubbub.User{ID: name, Claims: map[string]any{"scope": rights}}))
		}
		next.ServeHTTP(w, r)
	})
}

// newClosed starts a gateway whose routes demand something.
func newClosed(t testing.TB) *server {
	t.Helper()
	weather := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"city":"Bern","celsius":21}`)
	})
	no := func(_ context.Context, a *gateway.Access) error { return hubbub.Errorf("Not today.") }
	return newServer(t, gateway.Config{Auth: bearer, Orchestration: gateway.Guard{Requires: "list"}}, func(g *gateway.Gateway) {
		g.AddAPI("weatherservice", gateway.API{BaseURLs: []string{weather}, Guard: gateway.Guard{Requires: "*"}}).
			AddRoute("forecast", gateway.Route{Path: "{city}"}).
			AddRoute("write", gateway.Route{Verb: "POST", Guard: gateway.Guard{Requires: "weather:write"}})
		g.AddAPI("open", gateway.API{BaseURLs: []string{weather}}).AddRoute("r", gateway.Route{}).
			AddRoute("code", gateway.Route{Guard: gateway.Guard{Authorize: no}})
		g.AddHub("chat", gateway.Hub{URL: closedAddress(t) + "/hub", ReceiveKey: secret, Guard: gateway.Guard{Requires: "say"}}).AddRoute("room", room).
			AddRoute("mine", gateway.HubRoute{ReceiveMethod: "Mine", BroadcastType: gateway.BroadcastIndividual})
	})
}

// TestDocumentTellsWhatIsDemanded: tokens and rights, as security, and 401 and 403, which are as they are described. The document
// itself is for those who may have the list of routes.
func TestDocumentTellsWhatIsDemanded(t *testing.T) {
	t.Parallel()
	s := newClosed(t)
	for authorization, want := range map[string]int{"": 401, "Bearer ann": 403, "Bearer ann:list": 200} {
		if status, _, body := s.do("GET", gateway.DocumentPath, "", "Authorization", authorization); status != want {
			t.Errorf("the document for %q: status %d, body %s, want %d", authorization, status, body, want)
		}
	}
	same := `{"openapi":"3.1.1","components":{"securitySchemes":{"bearer":{"scheme":"bearer","type":"http"}}}}`
	if err := s.AddOpenAPI([]byte(same)); err != nil {
		t.Fatal(err)
	}
	doc, router := s.described("Authorization", "Bearer ann:list")
	if len(doc.Components.SecuritySchemes) != 1 {
		t.Errorf("security schemes %v, want one for both documents", doc.Components.SecuritySchemes)
	}
	if scheme := doc.Components.SecuritySchemes["bearer"]; scheme == nil || scheme.Value.Type != "http" || scheme.Value.Scheme != "bearer" {
		t.Errorf("security schemes %v", doc.Components.SecuritySchemes)
	}
	for key, want := range map[string]string{"chat/room": "null", "chat/mine": `["say"]`} {
		signal, _ := doc.Webhooks[key].Post.Extensions["x-signalr"].(map[string]any)
		if got, err := json.Marshal(signal["subscribersNeed"]); err != nil || string(got) != want {
			t.Errorf("subscribers of %s need %s, error %v, want %s", key, got, err, want)
		}
	}
	for path, want := range map[string]struct {
		security string // as JSON
		answers  bool   // 401 and 403 are described
	}{
		"GET weatherservice/forecast": {`[{"bearer":[]}]`, true}, "POST weatherservice/write": {`[{"bearer":["weather:write"]}]`, true},
		"GET open/r": {"null", false}, "GET open/code": {"null", true}, "POST hub/chat/room": {`[{"bearer":["say"]}]`, true}, "GET orchestration": {`[{"bearer":["list"]}]`, true},
	} {
		verb, key, _ := strings.Cut(path, " ")
		operation := doc.Paths.Value("/api/Gateway/" + key).GetOperation(verb)
		security, err := json.Marshal(operation.Security)
		if err != nil || string(security) != want.security {
			t.Errorf("%s: security %s, error %v, want %s", path, security, err, want.security)
		}
		if got := operation.Responses.Value("401") != nil && operation.Responses.Value("403") != nil; got != want.answers {
			t.Errorf("%s: 401 and 403 are described: %t, want %t", path, got, want.answers)
		}
	}
	for path, want := range map[string]int{"GET weatherservice/forecast?parameters=city%3DBern": 401, "GET open/code": 403, "POST hub/chat/room": 401, "GET open/r": 200} {
		verb, key, _ := strings.Cut(path, " ")
		body := ""
		if verb == "POST" {
			body = "[]"
		}
		status, request, response := s.conforms(router, verb, "/api/Gateway/"+key, body)
		if status != want || request != nil || response != nil {
			t.Errorf("%s: status %d, complaints %v and %v, want %d", path, status, request, response, want)
		}
	}
}

// TestDocumentFollowsReload: it is always that of the routes in force, whoever reads it meanwhile.
func TestDocumentFollowsReload(t *testing.T) {
	t.Parallel()
	g := offline(t, gateway.Config{}, func(*gateway.Gateway) {})
	h := g.Handler()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", gateway.DocumentPath, nil))
				if w.Code != 200 || !json.Valid(w.Body.Bytes()) {
					t.Errorf("status %d, body %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	for i := range 50 {
		var next gateway.Routes
		next.AddAPI("a", gateway.API{BaseURLs: someURL}).AddRoute(fmt.Sprint("r", i), gateway.Route{ResponseSchema: []byte(citySchema)})
		if err := g.Reload(&next); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", gateway.DocumentPath, nil))
		if body := w.Body.String(); !strings.Contains(body, fmt.Sprintf(`"/api/Gateway/a/r%d"`, i)) || strings.Contains(body, fmt.Sprintf(`"/api/Gateway/a/r%d"`, i-1)) {
			t.Fatalf("after reload %d: %s", i, body)
		}
	}
	close(stop)
	readers.Wait()
}
