package relay_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/hubbub-go/hubbub/systems/relay"
)

// described is the document of a relay, checked, and where requests are found in it.
func (s *server) described() (*openapi3.T, routers.Router) {
	s.t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(s.OpenAPI())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	return doc, router
}

// TestOpenAPIFitsRequestsAndAnswers: what the document says of requests and of answers, of each status, is so.
func TestOpenAPIFitsRequestsAndAnswers(t *testing.T) {
	t.Parallel()
	s := newServer(t, withAuth, withDemo, func(c *relay.Config) { c.Limits.BodyBytes = 300 })
	_, router := s.described()
	const all = "ann,events:trigger+events:subscribe+tickets+objects"
	long := `"` + strings.Repeat("x", 300) + `"`
	failed := s.run(all, "NoVM", "Order|1")["id"].(string)
	for _, x := range []struct {
		method, path, token, body string
		status                    int
		wrong                     string // what is wrong with the request
	}{
		{"POST", "/realtime/events/trigger", all, `{"eventguid":"g1"}`, 202, ""},
		{"POST", "/realtime/events/trigger", all, `{"eventguid":""}`, 400, "eventguid"},
		{"POST", "/realtime/events/trigger", all, `{}`, 400, "eventguid"},
		{"POST", "/realtime/events/trigger", all, `{"eventguid":` + long + `}`, 413, ""},
		{"POST", "/realtime/events/trigger", "", `{"eventguid":"g1"}`, 401, ""},
		{"POST", "/realtime/events/trigger", "ann,tickets", `{"eventguid":"g1"}`, 403, ""},
		{"POST", "/realtime/events/trigger", "unknown", `{"eventguid":"g1"}`, 503, ""},
		{"POST", "/realtime/events/subscribe", all, `{"eventguid":"g1","eventcookie":"c","webhook":"http://127.0.0.1:9/hook","secret":"s"}`, 201, ""},
		{"POST", "/realtime/events/subscribe", all, `{"eventguid":"g1","webhook":"http://127.0.0.1:9/hook"}`, 204, ""},
		{"POST", "/realtime/events/subscribe", all, `{"eventguid":"g1","eventcookie":"c"}`, 400, "webhook"},
		{"POST", "/realtime/push", all, ``, 202, ""},
		{"POST", "/realtime/push", all, `{"user":"ann"}`, 202, ""},
		{"POST", "/realtime/push", all, `{"user":7}`, 400, "user"},
		{"POST", "/realtime/tickets", all, `{"viewModel":"SomeVM","rootId":"Order|1","priority":-3,"executeEarliest":"2099-01-02T03:04:05","keepReceiptMinutes":0}`, 201, ""},
		{"POST", "/realtime/tickets", all, `{"viewModel":7}`, 400, "viewModel"},
		{"POST", "/realtime/tickets", "ann,objects", `{}`, 403, ""},
		{"GET", "/realtime/tickets", all, ``, 200, ""},
		{"GET", "/realtime/tickets?state=waiting,failed&viewModel=SomeVM&limit=1", all, ``, 200, ""},
		{"GET", "/realtime/tickets?limit=0", all, ``, 400, "limit"},
		{"GET", "/realtime/tickets/none", all, ``, 404, ""},
		{"GET", "/realtime/tickets/" + failed, all, ``, 200, ""},
		{"POST", "/realtime/tickets/" + failed + "/retry", all, ``, 202, ""},
		{"POST", "/realtime/tickets/none/retry", all, ``, 404, ""},
		{"PUT", "/realtime/objects/Order%7C1", all, `{"eventguid":"g1"}`, 204, ""},
		{"PUT", "/realtime/objects/Order%7C1", all, `[]`, 400, "array"},
		{"GET", "/realtime/objects/Order%7C1", all, ``, 200, ""},
		{"DELETE", "/realtime/objects/Order%7C1", all, ``, 204, ""},
		{"GET", "/realtime/objects/Order%7C1", all, ``, 404, ""},
		{"GET", "/realtime/objects/Order%7C1", "", ``, 401, ""},
	} {
		status, request, response := s.conforms(router, x.method, x.path, x.token, x.body)
		what := x.method + " " + x.path + " " + x.body
		if status != x.status {
			t.Errorf("%s: status %d, want %d", what, status, x.status)
		}
		if (request == nil) != (x.wrong == "") || (request != nil && !strings.Contains(request.Error(), x.wrong)) {
			t.Errorf("%s: the request: complaint %v, want one with %q", what, request, x.wrong)
		}
		if response != nil {
			t.Errorf("%s: the answer: %v", what, response)
		}
	}
	done := s.run(all, "SomeVM", "Order|1")
	if done["state"] == "failed" { // deleted above
		s.conforms(router, "PUT", "/realtime/objects/Order%7C1", all, `{}`)
		done = s.run(all, "SomeVM", "Order|1")
	}
	id := done["id"].(string)
	if status, _, response := s.conforms(router, "GET", "/realtime/tickets/"+id, all, ""); status != 200 || response != nil {
		t.Errorf("a ticket that is done: status %d, complaint %v", status, response)
	}
	if status, _, response := s.conforms(router, "POST", "/realtime/tickets/"+id+"/retry", all, ""); status != 409 || response != nil {
		t.Errorf("a ticket that has not failed: status %d, complaint %v", status, response)
	}
}

// conforms sends a request and judges it and its answer by the document. It returns the status of the answer and the complaints.
func (s *server) conforms(router routers.Router, method, path, token, body string) (status int, ofRequest, ofResponse error) {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		s.t.Fatalf("%s %s: not in the document: %v", method, path, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	ofRequest = openapi3filter.ValidateRequest(context.Background(), in)
	out, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		out.Header.Set("Authorization", "Bearer "+token)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Do(out)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, ofRequest, openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in,
		Status: res.StatusCode, Header: res.Header, Body: io.NopCloser(strings.NewReader(string(answer))),
		Options: &openapi3filter.Options{IncludeResponseStatus: true}})
}

// TestOpenAPIIsOfWhatThereIs: no tickets where there are none, no tokens where nobody looks at them, and the right to use each path.
func TestOpenAPIIsOfWhatThereIs(t *testing.T) {
	t.Parallel()
	events := []string{"/realtime/events/subscribe", "/realtime/events/trigger", "/realtime/push"}
	tickets := []string{"/realtime/objects/{id}", "/realtime/tickets", "/realtime/tickets/{id}", "/realtime/tickets/{id}/retry"}
	rights := map[string]string{"subscribe": "events:subscribe", "trigger": "events:trigger", "push": "events:trigger", "objects": "objects", "tickets": "tickets"}
	for name, x := range map[string]struct {
		change []func(*relay.Config)
		paths  []string
		tokens bool
	}{
		"all":     {[]func(*relay.Config){withAuth, withDemo}, slices.Concat(events, tickets), true},
		"events":  {[]func(*relay.Config){withAuth}, events, true},
		"open":    {[]func(*relay.Config){withDemo}, slices.Concat(events, tickets), false},
		"neither": {nil, events, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, _ := newServer(t, x.change...).described()
			var paths []string
			for path, item := range doc.Paths.Map() {
				paths = append(paths, path)
				for verb, operation := range item.Operations() {
					want := "null"
					for part, right := range rights {
						if x.tokens && strings.Contains(path, part) {
							want = `[{"bearer":["` + right + `"]}]`
						}
					}
					security, err := json.Marshal(operation.Security)
					if err != nil || string(security) != want || (operation.Responses.Value("401") != nil) != x.tokens {
						t.Errorf("%s %s: security %s, error %v, want %s", verb, path, security, err, want)
					}
				}
			}
			slices.Sort(paths)
			if want := slices.Sorted(slices.Values(x.paths)); !slices.Equal(paths, want) {
				t.Errorf("paths %q, want %q", paths, want)
			}
		})
	}
}
