package relay_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/relay"
)

func TestREST(t *testing.T) {
	t.Parallel()
	s := newServer(t, withAuth, func(c *relay.Config) {
		c.Limits = relay.Limits{GuidBytes: 20, CookieBytes: 20, BodyBytes: 300, Webhooks: 1}
	})
	const trigger, subscribe, push = "/realtime/events/trigger", "/realtime/events/subscribe", "/realtime/push"
	const all = "ann,events:trigger+events:subscribe"
	hook := func(guid, cookie, address string) string {
		return fmt.Sprintf(`{"eventguid":%q,"eventcookie":%q,"webhook":%q}`, guid, cookie, address)
	}
	for i, test := range []struct {
		method, path, token, body string
		status                    int
	}{
		{"POST", trigger, all, `{"eventguid":"g1"}`, 202},
		{"POST", "/RealTime/Events/TRIGGER", all, `{"EventGuid":"g1"}`, 202},
		{"POST", trigger, all, `{"eventguid":"g1","more":1}`, 202},
		{"POST", trigger, "", `{"eventguid":"g1"}`, 401},
		{"POST", trigger, "", `nonsense`, 401},
		{"POST", trigger + "?access_token=" + all, "", `{"eventguid":"g1"}`, 401},
		{"POST", trigger, "bad", `{"eventguid":"g1"}`, 401},
		{"POST", trigger, "unknown", `{"eventguid":"g1"}`, 503},
		{"POST", trigger, "ann,events:subscribe", `{"eventguid":"g1"}`, 403},
		{"POST", trigger, "ann,events:subscribe", `nonsense`, 403},
		{"POST", trigger, "ann,events:trigger,g", `{"eventguid":"g1"}`, 202},
		{"POST", trigger, "ann,events:trigger,h", `{"eventguid":"g1"}`, 403},
		{"POST", trigger, all, ``, 400},
		{"POST", trigger, all, `nonsense`, 400},
		{"POST", trigger, all, `[]`, 400},
		{"POST", trigger, all, `null`, 400},
		{"POST", trigger, all, `{}`, 400},
		{"POST", trigger, all, `{"eventguid":""}`, 400},
		{"POST", trigger, all, `{"eventguid":null}`, 400},
		{"POST", trigger, all, `{"eventguid":7}`, 400},
		{"POST", trigger, all, `{"eventguid":"longer than twenty bytes"}`, 400},
		{"POST", trigger, all, `{"eventguid":"g1"} {}`, 400},
		{"POST", trigger, all, `{"eventguid":"g1","x":"` + strings.Repeat("x", 300) + `"}`, 413},
		{"GET", trigger, all, ``, 405},
		{"PUT", subscribe, all, ``, 405},
		{"POST", "/realtime/events/other", all, ``, 404},
		{"POST", subscribe, "", hook("g1", "c", "http://x/"), 401},
		{"POST", subscribe, "ann,events:trigger", hook("g1", "c", "http://x/"), 403},
		{"POST", subscribe, "ann,events:subscribe,h", hook("g1", "c", "http://x/"), 403},
		{"POST", subscribe, all, hook("", "c", "http://x/"), 400},
		{"POST", subscribe, all, hook("g1", "c", ""), 400},
		{"POST", subscribe, all, hook("g1", "c", "ftp://x/"), 400},
		{"POST", subscribe, all, hook("g1", "c", "http:///x"), 400},
		{"POST", subscribe, all, hook("g1", "c", "http://u:p@x/"), 400},
		{"POST", subscribe, all, hook("g1", "c", "http://x/%zz"), 400},
		{"POST", subscribe, all, hook("g1", "longer than twenty bytes", "http://x/"), 400},
		{"POST", subscribe, all, `{"eventguid":"g1","eventcookie":1,"webhook":"http://x/"}`, 400},
		{"POST", subscribe, all, `{"eventguid":"g1","eventcookie":"c","webhook":"http://x/","secret":1}`, 400},
		{"POST", subscribe, all, `{"eventguid":"g1","webhook":"http://x/"}`, 204},
		{"POST", subscribe, all, hook("g1", "", "http://x/"), 204},
		{"POST", subscribe, all, hook("g1", relay.EndSubscription, "http://x/"), 204},
		{"POST", subscribe, all, hook("g1", "c", "http://x/"), 201},
		{"POST", subscribe, all, hook("g1", "c2", "http://x/"), 201}, // the same one
		{"POST", subscribe, all, hook("g2", "c", "http://x/"), 400},  // one too many
		{"POST", subscribe, all, hook("g1", "", "http://x/"), 204},
		{"POST", subscribe, all, hook("g2", "c", "http://x/"), 201},
		{"POST", subscribe, all, hook("g2", "", "http://x/"), 204},
		{"POST", push, all, ``, 202},
		{"POST", push, all, `{"user":"ann"}`, 202},
		{"POST", push, all, `{"user":1}`, 400},
		{"POST", push, "ann,events:subscribe", ``, 403},
	} {
		status, m := s.call(test.method, test.path, test.token, test.body)
		if status != test.status {
			t.Errorf("%d: %s %s as %q with %.80s: status %d %v, want %d", i, test.method, test.path, test.token, test.body, status, m, test.status)
		}
		if status >= 400 && (m["status"] != float64(status) || m["title"] != http.StatusText(status)) {
			t.Errorf("%d: the body is %v, want a problem", i, m)
		}
	}
}

// The answer of a trigger: the eventguid, and how many listen.
func TestRESTTrigger(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.join("")
	p.subscribe("g1", "c")
	hook := newHook(t)
	hook.subscribe(s, "g1", "hook", "")
	status, m := s.call("POST", "/realtime/events/trigger", "", `{"eventguid":"g1"}`)
	if status != 202 || m["eventguid"] != "g1" || m["listeners"] != 2.0 || len(m) != 2 {
		t.Fatalf("status %d %v, want 202 and 2 listeners", status, m)
	}
	p.expect(s, "g1=c")
	status, m = s.call("POST", "/realtime/events/trigger", "", `{"eventguid":"nobody <&>"}`)
	if status != 202 || m["eventguid"] != "nobody <&>" || m["listeners"] != 0.0 {
		t.Fatalf("status %d %v, want 202 and 0 listeners", status, m)
	}
}

// FuzzREST: whatever a body is, the endpoints answer with a status that they are known for.
func FuzzREST(f *testing.F) {
	for _, seed := range []string{
		`{"eventguid":"g1"}`, `{"eventguid":"g1","eventcookie":"c","webhook":"http://127.0.0.1:1/"}`, `{"EVENTGUID":"g","eventGuid":1}`,
		`{"eventguid":"\u0000\ud800"}`, `{"eventguid":"g","eventcookie":"","webhook":"http://[::1"}`, "null", "[1", "{\"eventguid\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	s := newServer(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for path, good := range map[string][]int{"trigger": {202, 400}, "subscribe": {201, 204, 400}} {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/realtime/events/"+path, strings.NewReader(string(body))))
			ok := false
			for _, status := range good {
				ok = ok || w.Code == status
			}
			if !ok {
				t.Errorf("%s: status %d for %q, want one of %v: %s", path, w.Code, body, good, w.Body)
			}
		}
	})
}
