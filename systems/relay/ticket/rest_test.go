package ticket_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// members of a ticket in REST.
var members = []string{"attempts", "createTime", "deleteTime", "done", "error", "executeEarliest", "id", "keepReceiptMinutes", "priority",
	"rootId", "state", "viewModel"}

func TestTicketsREST(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		q := start(t, config(t, database))
		s := serve(q, nil)
		s.want(204, "PUT", "/realtime/objects/12%7C7", `{}`)
		status, made, header := s.call("POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"12|7"}`)
		id, _ := made["id"].(string)
		if status != 201 || id == "" || header.Get("Location") != "/realtime/tickets/"+id {
			t.Fatalf("POST: %d %v %v", status, made, header)
		}
		var names []string
		for name := range made {
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, members) {
			t.Fatalf("members %q, want %q", names, members)
		}
		for name, want := range map[string]any{"viewModel": "SomeVM", "rootId": "12|7", "priority": nil, "executeEarliest": nil,
			"keepReceiptMinutes": 10.0, "done": nil, "deleteTime": nil, "error": nil, "attempts": 0.0, "state": "ready"} {
			if made[name] != want {
				t.Errorf("made: %s is %v, want %v", name, made[name], want)
			}
		}
		q.until(id, ticket.Done)
		done := s.want(200, "GET", "/realtime/tickets/"+id, "")
		at, err1 := time.Parse(time.RFC3339, done["done"].(string))
		gone, err2 := time.Parse(time.RFC3339, done["deleteTime"].(string))
		if done["state"] != "done" || done["attempts"] != 1.0 || err1 != nil || err2 != nil || gone.Sub(at) != 10*time.Minute {
			t.Fatalf("done: %v", done)
		}
		if got := s.want(200, "GET", "/realtime/objects/12%7c7", ""); got["runs"] != 1.0 {
			t.Fatalf("object %v, want 1 run", got)
		}
		s.want(409, "POST", "/realtime/tickets/"+id+"/retry", "")

		full := s.want(201, "POST", "/realtime/tickets", `{"VIEWMODEL":"Nothing","rootid":"1|2","Priority":-3,"executeEarliest":"2020-01-02T03:04:05+02:00","keepReceiptMinutes":0}`)
		failed := full["id"].(string)
		if full["priority"] != -3.0 || full["executeEarliest"] != "2020-01-02T01:04:05.000Z" || full["keepReceiptMinutes"] != 0.0 {
			t.Fatalf("made %v", full)
		}
		q.until(failed, ticket.Failed)
		got := s.want(200, "GET", "/realtime/tickets/"+failed, "")
		if got["state"] != "failed" || got["error"] != `no such view model: "Nothing"` || got["done"] != nil || got["deleteTime"] != nil {
			t.Fatalf("failed: %v", got)
		}
		if got := s.want(202, "POST", "/realtime/tickets/"+failed+"/retry", ""); got["id"] != failed {
			t.Fatalf("retry: %v", got)
		}
		eventually(t, "the second run", func() bool { got := q.get(failed); return got.Attempts == 2 && got.State == ticket.Failed })
		later := s.want(201, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|2","executeEarliest":"2222-01-02T03:04:05"}`)
		if later["state"] != "waiting" || later["executeEarliest"] != "2222-01-02T03:04:05.000Z" {
			t.Fatalf("made %v", later)
		}
		s.want(409, "POST", fmt.Sprintf("/realtime/tickets/%s/retry", later["id"]), "")
	})
}

func TestTicketsRefused(t *testing.T) {
	t.Parallel()
	c := config(t, "sqlite")
	c.MaxBody = 1000
	q := start(t, c)
	s := serve(q, nil)
	for _, tt := range []struct {
		status             int
		method, path, body string
	}{
		{400, "POST", "/realtime/tickets", ``},
		{400, "POST", "/realtime/tickets", `null`},
		{400, "POST", "/realtime/tickets", `[]`},
		{400, "POST", "/realtime/tickets", `{"viewModel":7,"rootId":"1|2"}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|2"} {}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|2","priority":"high"}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|2","priority":1.5}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|2","priority":99999999999}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|2","executeEarliest":"tomorrow"}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|2","keepReceiptMinutes":-1}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"` + strings.Repeat("v", 251) + `","rootId":"1|2"}`},
		{400, "POST", "/realtime/tickets", `{"viewModel":"SomeVM","rootId":"1|\u0000"}`},
		{413, "POST", "/realtime/tickets", `{"viewModel":"` + strings.Repeat("v", 1000) + `","rootId":"1|2"}`},
		{400, "GET", "/realtime/tickets?state=finished", ""},
		{400, "GET", "/realtime/tickets?limit=0", ""},
		{400, "GET", "/realtime/tickets?limit=1001", ""},
		{400, "GET", "/realtime/tickets?limit=many", ""},
		{400, "GET", "/realtime/tickets?after=x", ""},
		{400, "GET", "/realtime/tickets?rootId=%00", ""},
		{404, "GET", "/realtime/tickets/1", ""},
		{404, "GET", "/realtime/tickets/x", ""},
		{404, "GET", "/realtime/tickets/99999999999999999999", ""},
		{404, "POST", "/realtime/tickets/1/retry", ""},
		{404, "GET", "/realtime/tickets/1/2/3", ""},
		{404, "GET", "/realtime/other", ""},
		{405, "DELETE", "/realtime/tickets/1", ""},
		{405, "PUT", "/realtime/tickets", ""},
		{405, "GET", "/realtime/tickets/1/retry", ""},
		{405, "POST", "/realtime/objects/1%7C2", ""},
		{404, "GET", "/realtime/objects/1%7C2", ""},
		{404, "DELETE", "/realtime/objects/1%7C2", ""},
		{404, "GET", "/realtime/objects/nonsense", ""},
		{404, "GET", "/realtime/objects/%ff%7C1", ""},
		{404, "DELETE", "/realtime/objects/nonsense", ""},
		{400, "PUT", "/realtime/objects/nonsense", "{}"},
		{400, "PUT", "/realtime/objects/1%7C%00", "{}"},
		{400, "PUT", "/realtime/objects/1%7C2", ""},
		{400, "PUT", "/realtime/objects/1%7C2", "null"},
		{400, "PUT", "/realtime/objects/1%7C2", "[1]"},
		{400, "PUT", "/realtime/objects/1%7C2", "{} {}"},
		{400, "PUT", "/realtime/objects/1%7C2", `{"a":1e999}`},
		{413, "PUT", "/realtime/objects/1%7C2", `{"a":"` + strings.Repeat("x", 1000) + `"}`},
	} {
		status, body, header := s.call(tt.method, tt.path, tt.body)
		if status != tt.status || body["status"] != float64(tt.status) || body["title"] != http.StatusText(tt.status) || body["detail"] == "" ||
			header.Get("Content-Type") != "application/problem+json" || strings.HasPrefix(fmt.Sprint(body["detail"]), "ticket:") {
			t.Errorf("%s %s %.80s: %d %v, want %d", tt.method, tt.path, tt.body, status, body, tt.status)
		}
		if status == 405 && header.Get("Allow") == "" {
			t.Errorf("%s %s: no header Allow", tt.method, tt.path)
		}
	}
	q.counts(nil)
}

func TestTicketList(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		q, shut := open(t, config(t, database))
		defer shut()
		q.put("1|2", nil)
		far := time.Now().Add(time.Hour)
		ids := map[string]string{}
		for name, in := range map[string]ticket.Ticket{
			"waiting": {ViewModel: "SomeVM", RootID: "1|2", ExecuteEarliest: far},
			"ready":   {ViewModel: "SomeVM", RootID: "1|3", ExecuteEarliest: far.Add(-2 * time.Hour)},
			"other":   {ViewModel: "OtherVM", RootID: "1|2"},
		} {
			ids[q.create(in).ID] = name
		}
		s := serve(q, nil)
		list := func(query string) string {
			t.Helper()
			var got []string
			for _, item := range s.want(200, "GET", "/realtime/tickets"+query, "")["items"].([]any) {
				got = append(got, ids[item.(map[string]any)["id"].(string)])
			}
			slices.Sort(got)
			return strings.Join(got, " ")
		}
		for query, want := range map[string]string{
			"":                                   "other ready waiting",
			"?state=&viewModel=&rootId=":         "other ready waiting",
			"?state=waiting":                     "waiting",
			"?state=READY":                       "other ready",
			"?State=ready,waiting":               "other ready waiting",
			"?state=waiting&state=done":          "waiting",
			"?state=done":                        "",
			"?state=failed":                      "",
			"?state=running":                     "",
			"?viewModel=SomeVM":                  "ready waiting",
			"?viewModel=somevm":                  "",
			"?rootId=1%7C2":                      "other waiting",
			"?rootid=1|2&viewmodel=OtherVM":      "other",
			"?rootId=1%7C2&state=ready&limit=10": "other",
		} {
			if got := list(query); got != want {
				t.Errorf("list %s: %q, want %q", query, got, want)
			}
		}
		var pages []string
		after := ""
		for {
			page := s.want(200, "GET", "/realtime/tickets?limit=2&after="+after, "")
			pages = append(pages, fmt.Sprint(len(page["items"].([]any))))
			next, more := page["next"].(string)
			if !more {
				break
			}
			after = next
		}
		if got := strings.Join(pages, " "); got != "2 1" {
			t.Errorf("pages of %s tickets, want 2 1", got)
		}
	})
}

func TestObjectsREST(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		q, _ := open(t, config(t, database))
		s := serve(q, nil)
		// both spellings of the bar, any case of the escape, and what else an id may hold
		for put, get := range map[string]string{"12%7C7": "12%7c7", "a%2Fb%7Cc%20d": "a%2fb%7cc%20d", "Ä%7Cü": "%C3%84%7C%C3%BC",
			"0b9ad2a1-6c17-4b06-a5c6-8d8b7ad0d5a9": "0b9ad2a1-6c17-4b06-a5c6-8d8b7ad0d5a9"} {
			s.want(404, "GET", "/realtime/objects/"+get, "")
			s.want(204, "PUT", "/realtime/objects/"+put, `{"name":"<Bolt> & \u0000","n":9007199254740993,"price":12.5,"list":[1,{"a":null}]}`)
			attributes := q.objectOf(t, put)
			want := "map[list:[1 map[a:<nil>]] n:9007199254740993 name:<Bolt> & \x00 price:12.5]"
			if got := fmt.Sprint(attributes); got != want {
				t.Fatalf("stored %q, want %q", got, want)
			}
			s.want(204, "PUT", "/realtime/objects/"+get, `{"other":true}`)
			if got := s.want(200, "GET", "/realtime/objects/"+put, ""); fmt.Sprint(got) != "map[other:true]" {
				t.Fatalf("after the second PUT %v, want it alone", got)
			}
			s.want(204, "DELETE", "/realtime/objects/"+put, "")
			s.want(404, "DELETE", "/realtime/objects/"+put, "")
			s.want(404, "GET", "/realtime/objects/"+put, "")
		}
	})
}

// TestGuard asks for the right scope at each endpoint.
func TestGuard(t *testing.T) {
	t.Parallel()
	q, _ := open(t, config(t, "sqlite"))
	s := serve(q, func(scope string, h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("scope") != scope {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	for _, path := range []string{"/realtime/tickets", "/realtime/tickets/1", "/realtime/tickets/1/retry", "/realtime/objects/1%7C2"} {
		scope := ticket.ScopeTickets
		if strings.Contains(path, "objects") {
			scope = ticket.ScopeObjects
		}
		if status, _, _ := s.call("GET", path, ""); status != 403 {
			t.Errorf("%s without its scope: %d, want 403", path, status)
		}
		if status, _, _ := s.call("GET", path+"?scope="+scope, ""); status == 403 {
			t.Errorf("%s with the scope %s: 403", path, scope)
		}
	}
}
