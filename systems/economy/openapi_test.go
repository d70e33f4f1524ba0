package economy_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy"
)

// described is the document of a world, checked, and which of the statuses in it have been seen.
type described struct {
	*world
	doc    *openapi3.T
	router routers.Router
	seen   map[string]bool // "GET /catalog-svc/items 200"
}

func describe(t testing.TB, s *economy.System) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(s.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func (w *world) described() *described {
	w.t.Helper()
	d := &described{world: w, doc: describe(w.t, w.parts[economy.Identity].system), seen: make(map[string]bool)}
	for _, s := range d.doc.Components.Schemas { // every member of an answer is described
		if len(s.Value.Properties) > 0 {
			no := false
			s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
		}
	}
	var err error
	if d.router, err = gorillamux.NewRouter(d.doc); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// request is one of a test, and what is wrong with it.
type request struct {
	method, path, token, body string
	status                    int
	wrong                     string
}

// sends sends a request, and judges it and its answer by the document.
func (d *described) sends(x request) answer {
	d.t.Helper()
	kind := "application/json"
	if strings.HasPrefix(x.body, "email=") {
		kind = "application/x-www-form-urlencoded"
	}
	r := httptest.NewRequest(x.method, x.path, strings.NewReader(x.body))
	if x.body != "" {
		r.Header.Set("Content-Type", kind)
	}
	route, params, err := d.router.FindRoute(r)
	if err != nil {
		d.t.Fatalf("%s %s: not in the document: %v", x.method, x.path, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	wrong := openapi3filter.ValidateRequest(context.Background(), in)
	_, service, _ := strings.Cut(x.path, "/")
	service, path, _ := strings.Cut(service, "-svc")
	a := d.answers(service, path, kind, x)
	d.seen[x.method+" "+route.Path+" "+http.StatusText(a.status)] = true

	what := x.method + " " + x.path + " " + x.body[:min(len(x.body), 100)]
	if a.status != x.status {
		d.t.Errorf("%s: status %d, want %d: %s", what, a.status, x.status, a.body)
	}
	if x.wrong != "-" && ((wrong == nil) != (x.wrong == "") || wrong != nil && !strings.Contains(wrong.Error(), x.wrong)) {
		d.t.Errorf("%s: the request: complaint %v, want one with %q", what, wrong, x.wrong)
	}
	if err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in,
		Status: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Options: &openapi3filter.Options{IncludeResponseStatus: true}}); err != nil {
		d.t.Errorf("%s: the answer, %d %s: %v", what, a.status, a.body, err)
	}
	if response := route.Operation.Responses.Status(a.status); response != nil && len(response.Value.Content) == 0 && a.body != "" {
		d.t.Errorf("%s: the answer, %d, is %s, want no body", what, a.status, a.body)
	}
	return a
}

// answers sends a request. A status of 503 is wanted of one whose time has passed before the service has asked anybody.
func (d *described) answers(service, path, kind string, x request) answer {
	d.t.Helper()
	if x.status != http.StatusServiceUnavailable {
		return d.do(x.method, service, path, x.token, x.body, "Content-Type", kind)
	}
	ctx, cancel := context.WithDeadline(d.t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, x.method, x.path, strings.NewReader(x.body))
	r.Header.Set("Authorization", "Bearer "+x.token)
	w := httptest.NewRecorder()
	(*d.parts[service].handler.Load()).ServeHTTP(w, r)
	return readAll(d.t, w.Result())
}

// each sends to every operation what needs no knowledge of it: no token, too much, and, for those of administrators, the token of
// a player.
func (d *described) each(admin, player string) {
	for path, item := range d.doc.Paths.Map() {
		at := strings.ReplaceAll(path, "{id}", uuid.NewString())
		if path == "/inventory-svc/items" {
			at += "?userId=" + uuid.NewString()
		}
		for method, o := range item.Operations() {
			if o.Security != nil {
				d.sends(request{method, at, "", "", 401, "-"})
			}
			if r := o.Responses.Value("403"); r != nil && len(r.Value.Content) == 0 {
				d.sends(request{method, at, player, "", 403, "-"})
			}
			if o.RequestBody != nil {
				d.sends(request{method, at, admin, `{"email":"` + strings.Repeat("x", 70_000) + `"}`, 413, "-"})
			}
		}
	}
}

// complete fails unless all that the document says was seen.
func (d *described) complete() {
	for path, item := range d.doc.Paths.Map() {
		for method, o := range item.Operations() {
			for status := range o.Responses.Map() {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(d.seen)), func(s string) bool { return s == method+" "+path+" "+statusText(status) }) {
					d.t.Errorf("%s %s: status %s is described and was not seen", method, path, status)
				}
			}
		}
	}
}

func statusText(status string) string {
	var code int
	json.Unmarshal([]byte(status), &code)
	return http.StatusText(code)
}

// TestOpenAPIFitsRequestsAndAnswers: what the document says of requests and of answers, of each status, is so; and it says it of
// every endpoint.
func TestOpenAPIFitsRequestsAndAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	a, b := w.player(), w.player()
	potion, gone := w.potion(), w.item("Ether", "10", `,"stock":3`)
	e := a.listen(nil)
	bought := a.buys(potion, 2)
	completed := e.hears(bought, "Completed")
	faulted := e.hears(a.buys(potion, 100), "Faulted")
	d := w.described()
	d.each(w.admin, a.token)
	for _, x := range d.requests(w.admin, a, b, potion, gone, bought) {
		d.sends(x)
	}
	for _, x := range []request{
		{"POST", "/identity-svc/register", "", `{"email":"carl@play.com","password":"correct horse"}`, 503, ""},
		{"POST", "/identity-svc/register", "", `{"email":"carl@play.com","password":"correct horse","userName":"Carl"}`, 201, ""},
		{"POST", "/identity-svc/register", "", `email=dora%40play.com&password=correct+horse`, 201, ""},
		{"POST", "/identity-svc/register", "", `{"email":"carl@play.com","password":"correct horse"}`, 400, ""}, // taken
		{"POST", "/identity-svc/register", "", `{"email":"erin@play.com","password":"short"}`, 400, "password"},
		{"POST", "/identity-svc/register", "", `{"password":"correct horse"}`, 400, "email"},
	} {
		d.sends(x)
	}
	d.complete()
	d.hears("ReceivePurchaseStatus", completed)
	d.hears("ReceivePurchaseStatus", faulted)
	for len(e.progress) > 0 {
		d.hears("ReceivePurchaseProgress", <-e.progress)
	}
	d.everyEndpoint()
}

// requests are those that do not depend on the issuer.
func (d *described) requests(admin string, a, b *player, potion, gone, bought string) []request {
	none := uuid.NewString()
	item, order := `{"name":"Potion","description":"Restores HP","price":5,"stock":null}`, order(potion, 1, uuid.NewString())
	gift := `{"userId":"` + a.id + `","catalogItemId":"` + potion + `","quantity":-1}`
	user := `{"email":"player-` + b.id + `@play.com","gil":250.5}`
	all := []request{
		{"GET", "/catalog-svc/items", admin, ``, 200, ""},
		{"POST", "/catalog-svc/items", admin, item, 201, ""},
		{"POST", "/catalog-svc/items", admin, `{"name":"Elixir","stock":7}`, 201, ""},
		{"POST", "/catalog-svc/items", admin, `{"name":"","price":5}`, 400, "name"},
		{"POST", "/catalog-svc/items", admin, `{"name":"x","price":1000.01}`, 400, "price"},
		{"POST", "/catalog-svc/items", admin, `{"name":"x","stock":-1}`, 400, "stock"},
		{"GET", "/catalog-svc/items/" + gone, admin, ``, 200, ""},
		{"GET", "/catalog-svc/items/" + none, admin, ``, 404, ""},
		{"GET", "/catalog-svc/items/potion", admin, ``, 404, "id"},
		{"PUT", "/catalog-svc/items/" + potion, admin, item, 204, ""},
		{"PUT", "/catalog-svc/items/" + potion, admin, `{"price":5}`, 400, "name"},
		{"PUT", "/catalog-svc/items/" + none, admin, item, 404, ""},
		{"DELETE", "/catalog-svc/items/" + gone, admin, ``, 204, ""},
		{"DELETE", "/catalog-svc/items/" + gone, admin, ``, 404, ""},

		{"GET", "/inventory-svc/items?userId=" + a.id, a.token, ``, 200, ""},
		{"GET", "/inventory-svc/items?userId=" + strings.ToUpper(a.id), admin, ``, 200, ""},
		{"GET", "/inventory-svc/items", a.token, ``, 400, "userId"},
		{"GET", "/inventory-svc/items?userId=" + b.id, a.token, ``, 403, ""},
		{"POST", "/inventory-svc/items", admin, gift, 200, ""},
		{"POST", "/inventory-svc/items", admin, `{"userId":"` + a.id + `"}`, 400, "catalogItemId"},

		{"GET", "/identity-svc/users", admin, ``, 200, ""},
		{"GET", "/identity-svc/users/" + a.id, admin, ``, 200, ""},
		{"GET", "/identity-svc/users/" + none, admin, ``, 404, ""},
		{"PUT", "/identity-svc/users/" + b.id, admin, user, 204, ""},
		{"PUT", "/identity-svc/users/" + b.id, admin, `{"email":"b@play.com","gil":1000000.5}`, 400, "gil"},
		{"PUT", "/identity-svc/users/" + none, admin, user, 404, ""},

		{"GET", "/trading-svc/store", a.token, ``, 200, ""},
		{"POST", "/trading-svc/purchase", a.token, order, 202, ""},
		{"POST", "/trading-svc/purchase", b.token, order, 409, ""},
		{"POST", "/trading-svc/purchase", a.token, strings.Replace(order, `"quantity":1`, `"quantity":101`, 1), 400, "quantity"},
		{"POST", "/trading-svc/purchase", a.token, `{"quantity":1}`, 400, "itemId"},
		{"POST", "/trading-svc/purchase", a.token, strings.Replace(order, potion, "potion", 1), 400, "itemId"},
		{"GET", "/trading-svc/purchase/status/" + bought, a.token, ``, 200, ""},
		{"GET", "/trading-svc/purchase/status/" + bought, b.token, ``, 404, ""},
		{"GET", "/trading-svc/purchase/" + bought + "/history", a.token, ``, 200, ""},
		{"GET", "/trading-svc/purchase/" + none + "/history", a.token, ``, 404, ""},

		{"DELETE", "/identity-svc/users/" + b.id, admin, ``, 204, ""},
		{"DELETE", "/identity-svc/users/" + b.id, admin, ``, 404, ""},
	}
	for _, service := range economy.Names() {
		at := "/" + service + "-svc/health/"
		all = append(all, request{"GET", at + "live", "", "", 200, ""}, request{"GET", at + "ready", "", "", 200, ""}, request{"GET", at + "ready", "", "", 503, ""})
	}
	for _, x := range slices.Clone(all) { // first, while everything is as it was
		if x.status < 300 && !strings.Contains(x.path, "/health/") {
			x.status = 503
			all = slices.Insert(all, 0, x)
		}
	}
	return all
}

// hears judges what the hub has told a client by the document.
func (d *described) hears(target string, state map[string]any) {
	d.t.Helper()
	operation := d.doc.Webhooks["trading/"+target].Post
	signal, _ := operation.Extensions["x-signalr"].(map[string]any)
	states, _ := signal["states"].([]any)
	if hub := d.parts[economy.Trading].system.HubPath(); signal["hub"] != hub || signal["target"] != target || !slices.Contains(states, state["currentState"]) {
		d.t.Errorf("%s: told %v, described as %v of %s", target, state, signal, hub)
	}
	plain, err := json.Marshal(state)
	if err != nil {
		d.t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(plain, &value); err != nil {
		d.t.Fatal(err)
	}
	if err := d.doc.Components.Schemas["EconomyPurchaseState"].Value.VisitJSON(value); err != nil {
		d.t.Errorf("%s: told %s: %v", target, plain, err)
	}
}

// everyEndpoint compares the document with the endpoints in the code of the services.
func (d *described) everyEndpoint() {
	d.t.Helper()
	var want []string
	for _, service := range economy.Names() {
		at := "/" + service + "-svc"
		want = append(want, "GET "+at+"/health/live", "GET "+at+"/health/ready")
		code, err := os.ReadFile(service + "/rest.go")
		if err != nil {
			d.t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`rest\.Handle\("(\w+) ([^"]+)"`).FindAllStringSubmatch(string(code), -1) {
			if m[2] == "/purchase/{first}/{second}" {
				want = append(want, m[1]+" "+at+"/purchase/status/{id}", m[1]+" "+at+"/purchase/{id}/history")
				continue
			}
			want = append(want, m[1]+" "+at+m[2])
		}
	}
	want = append(want, "POST /identity-svc/register") // among the pages, which are no endpoints
	var got []string
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		d.t.Errorf("described are\n%q, want\n%q", got, want)
	}
}
