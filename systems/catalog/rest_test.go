package catalog_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/catalog"
)

const (
	partEvents = "/centro/parts/1882708/events"
	pipeEvents = "/centro/pipelines/7/events"
	publisher  = "Bearer import:catalog:publish"
)

// TestPublish: what each request to the REST endpoints is answered with.
func TestPublish(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *catalog.Config) {
		c.MaxEventSize, c.MaxKeyLength = 1000, 20
		c.TokenTypes = append(c.TokenTypes, catalog.TokenType{Scheme: "Centro", Verify: people})
	})
	for _, x := range []struct {
		name, method, path, authorization, body string
		status                                  int
		detail                                  string
	}{
		{"part", "POST", partEvents, publisher, `{}`, 202, ""},
		{"pipeline", "POST", pipeEvents, publisher, `{"Status":1}`, 202, ""},
		{"another type", "POST", partEvents, "Centro import:catalog:publish", `{}`, 202, ""},
		{"type in another case", "POST", partEvents, "cenTRO import:catalog:publish", `{}`, 202, ""},
		{"path in another case", "POST", "/Centro/PARTS/1882708/Events", publisher, `{}`, 202, ""},
		{"several scopes", "POST", partEvents, "Bearer import:other+catalog:publish", `{}`, 202, ""},
		{"array", "POST", partEvents, publisher, `[1,{"PartKey":"other"}]`, 202, ""},
		{"number", "POST", partEvents, publisher, `1e400`, 202, ""},
		{"null", "POST", partEvents, publisher, `null`, 202, ""},
		{"text with blanks around", "POST", partEvents, publisher, " \n\"x\"\t\r\n", 202, ""},
		{"key in the event", "POST", partEvents, publisher, `{"partKey":"1882708"}`, 202, ""},
		{"key as a number", "POST", partEvents, publisher, `{"PARTKEY":1882708}`, 202, ""},
		{"key that is null", "POST", partEvents, publisher, `{"PartKey":null}`, 202, ""},
		{"key of the other kind", "POST", partEvents, publisher, `{"PipelineId":"x"}`, 202, ""},

		{"no token", "POST", partEvents, "", `{}`, 401, "A valid token is needed, in the header Authorization."},
		{"bad token", "POST", partEvents, "Bearer bad", `{}`, 401, "A valid token is needed, in the header Authorization."},
		{"unknown type", "POST", partEvents, "Basic x", `{}`, 401, "A valid token is needed, in the header Authorization."},
		{"token in the query", "POST", partEvents + "?access_token=import:catalog:publish", "", `{}`, 401, "A valid token is needed, in the header Authorization."},
		{"no scope", "POST", partEvents, "Bearer ann", `{}`, 403, "The scope catalog:publish is needed."},
		{"another scope", "POST", partEvents, "Bearer ann:catalog:publisher", `{}`, 403, "The scope catalog:publish is needed."},
		{"keys out of reach", "POST", partEvents, "Bearer unknown", `{}`, 503, "The token cannot be checked at the moment."},
		{"GET", "GET", partEvents, publisher, "", 405, "The method is GET, want POST."},
		{"PUT", "PUT", pipeEvents, publisher, `{}`, 405, "The method is PUT, want POST."},
		{"another kind", "POST", "/centro/parts/1/jobs", publisher, `{}`, 404, "There is no such endpoint."},
		{"too short", "POST", "/centro/parts/1", publisher, `{}`, 404, "There is no such endpoint."},
		{"too long", "POST", partEvents + "/1", publisher, `{}`, 404, "There is no such endpoint."},
		{"too large", "POST", partEvents, publisher, `"` + strings.Repeat("x", 1000) + `"`, 413, "The event has more than 1000 bytes."},
		{"nothing", "POST", partEvents, publisher, "", 400, "The event is not one JSON value in UTF-8."},
		{"no JSON", "POST", partEvents, publisher, `{`, 400, "The event is not one JSON value in UTF-8."},
		{"two values", "POST", partEvents, publisher, `{}{}`, 400, "The event is not one JSON value in UTF-8."},
		{"no UTF-8", "POST", partEvents, publisher, "\"\xff\"", 400, "The event is not one JSON value in UTF-8."},
		{"another key", "POST", partEvents, publisher, `{"PartKey":"1"}`, 400, `PartKey is "1" in the event and "1882708" in the address, want the same.`},
		{"another key beside it", "POST", partEvents, publisher, `{"partKey":"1882708","PartKey":2}`, 400, `PartKey is "2" in the event and "1882708" in the address, want the same.`},
		{"another pipeline", "POST", pipeEvents, publisher, `{"pipelineid":"8"}`, 400, `Pipelineid is "8" in the event and "7" in the address, want the same.`},
		{"long key", "POST", "/centro/parts/123456789012345678901/events", publisher, `{}`, 400, "PartKey has 21 bytes, want at most 20."},
		{"blank key", "POST", "/centro/parts/%20/events", publisher, `{}`, 400, "PartKey is empty, want a key."},
	} {
		status, header, body := s.post(x.method, x.path, x.authorization, x.body)
		if status != x.status {
			t.Errorf("%s: status %d, want %d: %s", x.name, status, x.status, body)
		}
		if x.status == 202 {
			if body != "" {
				t.Errorf("%s: body %q, want none", x.name, body)
			}
			continue
		}
		var p catalog.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != x.status || p.Title != http.StatusText(x.status) || p.Detail != x.detail {
			t.Errorf("%s: %s (%v), want a problem with the detail %q", x.name, body, err, x.detail)
		}
		if kind := header.Get("Content-Type"); kind != "application/problem+json; charset=utf-8" {
			t.Errorf("%s: content type %q", x.name, kind)
		}
		if got := header.Values("WWW-Authenticate"); (x.status == 401) != (fmt.Sprint(got) == "[Bearer Centro]") {
			t.Errorf("%s: challenges %q", x.name, got)
		}
		if got := header.Get("Allow"); (x.status == 405) != (got == "POST") {
			t.Errorf("%s: Allow %q", x.name, got)
		}
	}
	if got, want := s.Stats(), (catalog.Stats{Published: 14, Unheard: 14}); got != want { // C17
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// TestOpaque: an event arrives as it was published, byte for byte, on every transport and by REST and Go alike. Only ends of
// lines between values are blanks for classic clients.
func TestOpaque(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		c := s.connect(transport)
		for _, key := range []string{"1882708", "a/b", "ü ?#%"} {
			c.watchPart(key)
		}
		for _, event := range []string{
			`{"Id":12345678901234567890123,"Price":1.10,"Big":1e400,"PartKey":"1882708"}`,
			`[0.1000000000000000055511151231257827, -0, 1E+2, "\u00e9é\/\ud83d\ude00😀", null, true]`,
			`"<script>&amp;</script> \u2028 ` + "\u2028\u007f" + `"`,
			`{"a":1,"a":2,"":{"":[[[]]]}}`,
			`7`,
			"{\r\n\t\"lines\": [\n1,\n2\n]\n}",
		} {
			want := updateOf("ResourceEventHub", strings.NewReplacer("\r", " ", "\n", " ").Replace(event))
			if status, _, body := s.post("POST", partEvents, publisher, event); status != 202 {
				t.Fatalf("publish %s: status %d, %s", event, status, body)
			}
			if err := s.PublishPart(t.Context(), "1882708", json.RawMessage(event)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got := c.next()
				if transport == "foreverFrame" { // inside markup
					got = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(got)
				}
				if got != want {
					t.Errorf("update %s, want %s", got, want)
				}
			}
		}
		for i, path := range []string{"/centro/parts/a%2Fb/events", "/CENTRO/parts/%C3%BC%20%3F%23%25/events"} {
			if status, _, body := s.post("POST", path, publisher, fmt.Sprint(i)); status != 202 {
				t.Fatalf("publish to %s: status %d, %s", path, status, body)
			}
			if got, want := c.next(), updateOf("ResourceEventHub", fmt.Sprint(i)); got != want {
				t.Errorf("%s: update %s, want %s", path, got, want)
			}
		}
	})
}

// TestTokenInTheQuery: browsers can set no header on a socket or an event stream. The token may be of any type there.
func TestTokenInTheQuery(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t, func(c *catalog.Config) {
			c.TokenTypes = []catalog.TokenType{{Scheme: "Centro", Verify: people}}
		})
		c := s.connect(transport, as("centro ann"))
		c.watchPart("1")
		c.close()
		c.authorization = ""
		if err := c.open("connect"); err == nil {
			t.Error("connected without a token, want a refusal")
		}
		c.web.Transport = &queryToken{next: http.DefaultTransport, token: "ann"}
		c.again()
		s.part("1", 1)
		c.wants(1)
	})
}

// queryToken puts an access token into the query of every request.
type queryToken struct {
	next  http.RoundTripper
	token string
}

func (q *queryToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.RawQuery += "&access_token=" + q.token
	return q.next.RoundTrip(r)
}

// CloseIdleConnections is what http.Client calls.
func (q *queryToken) CloseIdleConnections() {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// TestSchema: with a schema an event must be what Centro publishes, and is completed.
func TestSchema(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *catalog.Config) { c.Schema = true })
	c := s.connect("webSockets", with(bothHubs))
	c.watchPart("1882708")
	c.done("JobEventHub", "SubscribeToPipeline", "7")
	const nulls = `"ResourceName":null,"ParentKey":null,"OldPath":null,"NewPath":null,"Version":null,"ChangedBy":null`
	for _, x := range []struct {
		path, body, want string // what is sent, or what is wrong
	}{
		{partEvents, `{"eventtype":"renamed","resourcekey":"r1","Timestamp":"2024-01-02T03:04:05.5+02:00","Properties":{"n":12345678901234567890.10,"t":"<&>"}}`,
			`{"EventType":4,"PartKey":"1882708","ResourceKey":"r1",` + nulls + `,"Timestamp":"2024-01-02T01:04:05.5Z","Properties":{"n":12345678901234567890.10,"t":"<&>"}}`},
		{partEvents, `{"EventType":0,"PartKey":"1882708","ResourceKey":"r1","ResourceName":"n","ParentKey":"p","OldPath":"o","NewPath":"w","Version":3,"ChangedBy":"b","Timestamp":"2024-01-02T03:04:05Z","Properties":null}`,
			`{"EventType":0,"PartKey":"1882708","ResourceKey":"r1","ResourceName":"n","ParentKey":"p","OldPath":"o","NewPath":"w","Version":3,"ChangedBy":"b","Timestamp":"2024-01-02T03:04:05Z","Properties":null}`},
		{pipeEvents, `{"Id":"j1","Status":"Running","Progress":50,"CreatedAt":"2024-01-02T03:04:05+02:00"}`,
			`{"Id":"j1","PipelineId":"7","Name":"","Status":1,"Progress":50,"Stage":null,"Priority":null,"Owner":null,"CreatedAt":"2024-01-02T01:04:05Z","StartedAt":null,"FinishedAt":null,"UpdatedAt":null,"Error":null}`},

		{partEvents, `7`, "The event is no object, want one with EventType and ResourceKey."},
		{partEvents, `null`, "The event is no object, want one with EventType and ResourceKey."},
		{partEvents, `{"ResourceKey":"r1"}`, "EventType is missing."},
		{partEvents, `{"EventType":1}`, "ResourceKey is missing."},
		{partEvents, `{"EventType":1,"ResourceKey":""}`, "ResourceKey is empty, want the key of a resource."},
		{partEvents, `{"EventType":8,"ResourceKey":"r1"}`, "The event: 8, want a number from 0 to 7 or a name."},
		{partEvents, `{"EventType":-1,"ResourceKey":"r1"}`, "The event: -1, want a number from 0 to 7 or a name."},
		{partEvents, `{"EventType":"Lost","ResourceKey":"r1"}`, `The event: "Lost", want one of Added, Updated, Deleted, Moved, Renamed, MetadataChanged, ContentChanged, LockChanged.`},
		{partEvents, `{"EventType":1,"ResourceKey":"r1","Version":"three"}`, "Version is a string, want int."},
		{partEvents, `{"EventType":1,"ResourceKey":"r1","Colour":"red"}`, `The event: unknown field "Colour".`},
		{partEvents, `{"EventType":1,"ResourceKey":"r1","PartKey":"2"}`, `PartKey is "2" in the event and "1882708" in the address, want the same.`},
		{pipeEvents, `{"Id":"","Status":0}`, "The job's Id is empty, want the id of a job."},
		{pipeEvents, `{"Id":"j1"}`, "Status is missing."},
		{pipeEvents, `{"Id":"j1","Status":"gone"}`, `The event: "gone", want one of Queued, Running, Paused, Succeeded, Failed, Cancelled.`},
		{pipeEvents, `{"Id":"j1","Status":0,"Progress":101}`, "The job's Progress is 101, want a number from 0 to 100."},
	} {
		status, _, body := s.post("POST", x.path, publisher, x.body)
		if strings.HasPrefix(x.want, "{") {
			hub := "ResourceEventHub"
			if x.path == pipeEvents {
				hub = "JobEventHub"
			}
			if got, want := c.next(), updateOf(hub, x.want); status != 202 || got != want {
				t.Errorf("%s: status %d, update\n%s, want\n%s", x.body, status, got, want)
			}
			continue
		}
		var p catalog.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || status != 400 || p.Detail != x.want {
			t.Errorf("%s: status %d, %s (%v), want 400 and %q", x.body, status, body, err, x.want)
		}
	}
}

// TestTyped: events from Go, with and without a schema.
func TestTyped(t *testing.T) {
	t.Parallel()
	for _, schema := range []bool{false, true} {
		s := newServer(t, func(c *catalog.Config) { c.Schema = schema })
		c := s.connect("webSockets", with(bothHubs))
		c.watchPart("1")
		c.done("JobEventHub", "SubscribeToPipeline", "7")
		began := time.Now()
		if err := s.PublishResource(t.Context(), catalog.ResourceUpdate{EventType: catalog.Moved, PartKey: "1", ResourceKey: "r"}); err != nil {
			t.Fatal(err)
		}
		var update struct{ A []catalog.ResourceUpdate }
		if err := json.Unmarshal([]byte(c.next()), &update); err != nil {
			t.Fatal(err)
		}
		got := update.A[0]
		if got.EventType != catalog.Moved || got.PartKey != "1" || got.ResourceKey != "r" || got.Timestamp.Before(began.Truncate(time.Second)) || got.Timestamp.Location() != time.UTC {
			t.Errorf("update %+v, want what was published, at the present time", got)
		}
		if err := s.PublishJob(t.Context(), catalog.MiniJob{ID: "j", PipelineID: "7", Status: catalog.Failed}); err != nil {
			t.Fatal(err)
		}
		var job struct{ A []catalog.MiniJob }
		if err := json.Unmarshal([]byte(c.next()), &job); err != nil || job.A[0] != (catalog.MiniJob{ID: "j", PipelineID: "7", Status: catalog.Failed}) {
			t.Errorf("job %+v (%v), want what was published", job, err)
		}
		for what, err := range map[string]error{
			"resource without a key": s.PublishResource(t.Context(), catalog.ResourceUpdate{PartKey: "1"}),
			"resource of no part":    s.PublishResource(t.Context(), catalog.ResourceUpdate{ResourceKey: "1"}),
			"unknown type":           s.PublishResource(t.Context(), catalog.ResourceUpdate{PartKey: "1", ResourceKey: "1", EventType: 8}),
			"job without an id":      s.PublishJob(t.Context(), catalog.MiniJob{PipelineID: "7"}),
			"unknown status":         s.PublishJob(t.Context(), catalog.MiniJob{ID: "j", PipelineID: "7", Status: -1}),
			"no JSON":                s.PublishPipeline(t.Context(), "7", json.RawMessage("x")),
			"too large":              s.PublishPart(t.Context(), "1", json.RawMessage(`"`+strings.Repeat("x", 256<<10)+`"`)),
		} {
			if invalid, ok := err.(*catalog.Invalid); !ok || !strings.HasPrefix(invalid.Error(), "catalog: ") {
				t.Errorf("%s: %v, want it to be invalid", what, err)
			}
		}
	}
}

// TestNames: names and transitions of states.
func TestNames(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]fmt.Stringer{
		"Added": catalog.Added, "LockChanged": catalog.LockChanged, "ResourceEventType(8)": catalog.ResourceEventType(8),
		"Queued": catalog.Queued, "Cancelled": catalog.Cancelled, "JobStatus(-1)": catalog.JobStatus(-1),
	} {
		if got.String() != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	all := []catalog.JobStatus{catalog.Queued, catalog.Running, catalog.Paused, catalog.Succeeded, catalog.Failed, catalog.Cancelled}
	next := map[catalog.JobStatus]string{
		catalog.Queued: "Running Cancelled", catalog.Running: "Paused Succeeded Failed Cancelled",
		catalog.Paused: "Running Succeeded Failed Cancelled", catalog.Failed: "Queued",
	}
	for _, from := range all {
		for _, to := range all {
			if want := strings.Contains(" "+next[from]+" ", " "+to.String()+" "); from.CanBecome(to) != want {
				t.Errorf("%v can become %v: %v, want %v", from, to, !want, want)
			}
		}
	}
}

// TestHasRight: where a right may be written.
func TestHasRight(t *testing.T) {
	t.Parallel()
	const right = "catalog:publish"
	for name, x := range map[string]struct {
		user *hubbub.User
		want bool
	}{
		"nobody":          {nil, false},
		"no claims":       {&hubbub.User{ID: "x"}, false},
		"scope":           {&hubbub.User{Claims: map[string]any{"scope": "a catalog:publish b"}}, true},
		"role":            {&hubbub.User{Claims: map[string]any{"role": right}}, true},
		"role admin":      {&hubbub.User{Claims: map[string]any{"role": []any{"x", "admin"}}}, true},
		"right":           {&hubbub.User{Claims: map[string]any{"rights": []any{"x", right}}}, true},
		"right admin":     {&hubbub.User{Claims: map[string]any{"rights": []any{"admin"}}}, true},
		"another right":   {&hubbub.User{Claims: map[string]any{"rights": []any{"catalog", 7, nil}}}, false},
		"scope admin":     {&hubbub.User{Claims: map[string]any{"scope": "admin"}}, false},
		"rights, no list": {&hubbub.User{Claims: map[string]any{"rights": right}}, false},
	} {
		if got := catalog.HasRight(x.user, right); got != x.want {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
}

// TestNew: a system without token types is none.
func TestNew(t *testing.T) {
	t.Parallel()
	for _, types := range [][]catalog.TokenType{nil, {{Scheme: "", Verify: people}}, {{Scheme: "Bearer"}}} {
		if _, err := catalog.New(catalog.Config{TokenTypes: types}); err == nil {
			t.Errorf("token types %v: no error", types)
		}
	}
}

// TestCutBody: a body that ends early is no event, although it is JSON so far.
func TestCutBody(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 100\r\n\r\n{}", partEvents, publisher)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if text := string(answer); err != nil || !strings.HasPrefix(text, "HTTP/1.1 400 ") || !strings.Contains(text, `"detail":"The event was cut."`) {
		t.Errorf("answer %q (%v), want 400 and that it was cut", text, err)
	}
	if got := s.Stats().Published; got != 0 {
		t.Errorf("%d events published, want none", got)
	}
}
