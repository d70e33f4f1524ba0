package catalog_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/catalog"
)

// TestPart (C1): a client that watches a part hears of it and of no other.
func TestPart(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		c := s.connect(transport)
		s.part("1882708", 1) // too early
		c.watchPart("1882708")
		s.part("1882709", 2)
		s.part("188270", 3)
		s.pipeline("1882708", 4)
		s.part("1882708", 5)
		c.wants(5)
		if got, want := s.Stats(), (catalog.Stats{Published: 5, Unheard: 4}); got != want {
			t.Errorf("stats %+v, want %+v", got, want)
		}
	})
}

// TestPipeline (C2): with both hubs on one connection each has its own updates, although both are called Update.
func TestPipeline(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		c := s.connect(transport, with(bothHubs))
		c.done("jobEventHub", "SubscribeToPipeline", "7")
		c.watchPart("7")
		s.pipeline("7", 1)
		s.part("7", 2)
		s.pipeline("8", 3)
		s.pipeline("7", 4)
		c.wantsJob(1)
		c.wants(2)
		c.wantsJob(4)

		only := s.connect(transport, with(jobs))
		only.done("JobEventHub", "SubscribeToPipeline", "7")
		s.part("7", 5)
		s.pipeline("7", 6)
		only.wantsJob(6)
	})
}

// TestUnsubscribe (C3).
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		c := s.connect(transport, with(bothHubs))
		c.watchPart("fence")
		c.watchPart("1")
		c.done("JobEventHub", "SubscribeToPipeline", "1")
		s.part("1", 1)
		c.wants(1)
		for range 2 {
			c.done("ResourceEventHub", "UnsubscribeFromPart", "1")
			c.done("ResourceEventHub", "UnsubscribeFromPart", "never")
		}
		s.part("1", 2)
		s.pipeline("1", 3)
		c.wantsJob(3)
		c.done("JobEventHub", "UnsubscribeFromPipeline", "1")
		s.pipeline("1", 4)
		s.part("fence", 5)
		c.wants(5)
		if n := s.Stats().Unheard; n != 2 {
			t.Errorf("%d events unheard, want 2", n)
		}
	})
}

// TestNoToken (C5).
func TestNoToken(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		token := newClient(t, s.url, transport).token
		for _, authorization := range []string{"", "Bearer bad", "Basic ann", "ann", "Bearer"} {
			c := &client{t: t, base: s.url + "/Centro/signalr", transport: transport, hubs: resources, authorization: authorization, web: http.DefaultClient}
			if status, body := c.ask(http.MethodGet, "negotiate", ""); status != http.StatusUnauthorized || body != "" {
				t.Errorf("negotiate with %q: status %d, body %q, want 401 and nothing", authorization, status, body)
			}
			c.token = token
			for _, command := range []string{"connect", "reconnect", "poll", "start", "send"} {
				c.transport = "longPolling" // a plain request for each of them
				if status, _ := c.ask(http.MethodGet, command, ""); status != http.StatusUnauthorized {
					t.Errorf("%s with %q: status %d, want 401", command, authorization, status)
				}
			}
			c.transport = transport
			if _, err := c.dial(t.Context(), "connect"); !isRefused(err, http.StatusUnauthorized, "") {
				t.Errorf("connect with %q: %v, want 401", authorization, err)
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
}

func isRefused(err error, status int, body string) bool {
	r, ok := err.(*refused)
	return ok && r.status == status && r.body == body
}

// may returns a rule for those who have the scope.
func may(scope string) hubbub.Rule {
	return func(_ context.Context, u *hubbub.User, _ *hubbub.Invocation) bool { return u.HasScope(scope) }
}

// TestHubRight (C6): whoever may reach none of its hubs is refused; one that may reach one of two goes on with that.
func TestHubRight(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t, func(c *catalog.Config) { c.ResourceRule, c.JobRule = may("resources"), may("jobs") })
		for hubs, scopes := range map[string]string{resources: "ann:jobs", jobs: "ann:resources", bothHubs: "ann"} {
			c := &client{t: t, base: s.url + "/Centro/signalr", transport: transport, hubs: hubs, authorization: "Bearer " + scopes, web: http.DefaultClient}
			if status, _ := c.ask(http.MethodGet, "negotiate", ""); status != http.StatusForbidden {
				t.Errorf("negotiate of %s for %s: status %d, want 403", scopes, hubs, status)
			}
		}
		http.DefaultClient.CloseIdleConnections()
		c := s.connect(transport, with(bothHubs), as("Bearer ann:jobs"))
		want := `{"I":"1","E":"There was an error invoking Hub method 'ResourceEventHub.SubscribeToPart'."}`
		if got := c.call("ResourceEventHub", "SubscribeToPart", `["1"]`); got != want {
			t.Errorf("call of the other hub: %s, want %s", got, want)
		}
		c.done("JobEventHub", "SubscribeToPipeline", "1")
		s.part("1", 1)
		s.pipeline("1", 2)
		c.wantsJob(2)
	})
}

// TestUnlistedHub: a client may call a hub that it has not listed, but cannot hear it, and is told so.
func TestUnlistedHub(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect("webSockets", with(jobs))
	want := `{"I":"1","H":true,"E":"The connection has not listed ResourceEventHub: create the proxy before the start."}`
	if got := c.call("ResourceEventHub", "SubscribeToPart", `["1"]`); got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
	if s.part("1", 1); s.Stats().Unheard != 1 {
		t.Errorf("stats %+v, want the event unheard", s.Stats())
	}
}

// TestIdentitySwitch (C7).
func TestIdentitySwitch(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		c := s.connect(transport)
		c.watchPart("1")
		c.close()
		c.authorization = "Bearer bob"
		err := c.open("reconnect")
		if transport == "longPolling" { // its first poll is in the background
			if err != nil {
				t.Fatal(err)
			}
			<-c.over
			err = c.failure
		}
		if !isRefused(err, http.StatusForbidden, "Unrecognized user identity.  The user identity cannot change during an active SignalR connection.") {
			t.Errorf("reconnect as another: %v, want 403 and the sentence", err)
		}
		c.authorization = "Bearer ann:more" // the same user with a new token
		if err := c.open("reconnect"); err != nil {
			t.Fatal(err)
		}
		s.part("1", 1)
		c.wants(1)
	})
}

// TestWrongCalls (C8, C9, C14): each is answered with an error, and the connection lives on. Nobody can call Update.
func TestWrongCalls(t *testing.T) {
	t.Parallel()
	const general = `"E":"There was an error invoking Hub method '%s'."`
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t)
		c, other := s.connect(transport, with(bothHubs)), s.connect(transport)
		other.watchPart("1")
		for _, x := range []struct{ hub, method, args, want string }{
			{"NoHub", "SubscribeToPart", `["1"]`, ""},
			{"ResourceEventHub", "NoSuchMethod", `["1"]`, ""},
			{"ResourceEventHub", "SubscribeToPipeline", `["1"]`, ""}, // that of the other hub
			{"ResourceEventHub", "Update", `[{"PartKey":"1"}]`, ""},
			{"JobEventHub", "update", `[{"PipelineId":"1"}]`, ""},
			{"ResourceEventHub", "SubscribeToPart", `[]`, ""},
			{"ResourceEventHub", "SubscribeToPart", `["1","2"]`, ""},
			{"ResourceEventHub", "SubscribeToPart", `[{"a":1}]`, ""},
			{"ResourceEventHub", "SubscribeToPart", `[[]]`, ""},
			{"ResourceEventHub", "SubscribeToPart", `[""]`, `"H":true,"E":"partKey is empty, want a key"`},
			{"ResourceEventHub", "SubscribeToPart", `[null]`, `"H":true,"E":"partKey is empty, want a key"`},
			{"ResourceEventHub", "SubscribeToPart", `["  "]`, `"H":true,"E":"partKey is empty, want a key"`},
			{"JobEventHub", "UnsubscribeFromPipeline", `[""]`, `"H":true,"E":"pipeId is empty, want a key"`},
			{"ResourceEventHub", "SubscribeToPart", `["` + strings.Repeat("x", 10<<10) + `"]`, `"H":true,"E":"partKey has 10240 bytes, want at most 256"`},
		} {
			if x.want == "" {
				x.want = fmt.Sprintf(general, x.hub+"."+x.method)
			}
			if got, want := c.call(x.hub, x.method, x.args), `{"I":"1",`+x.want+`}`; got != want {
				t.Errorf("%s.%s%.40s: %s, want %s", x.hub, x.method, x.args, got, want)
			}
		}
		if got := c.call("resourceEVENThub", "subscribetopart", `["Case"]`); got != `{"I":"1"}` {
			t.Errorf("in another case: %s, want no error", got)
		}
		if got := c.call("ResourceEventHub", "SubscribeToPart", `[1882708]`); got != `{"I":"1"}` { // Json.NET makes it a text
			t.Errorf("a number for a key: %s, want no error", got)
		}
		s.part("case", 1) // keys have their case
		s.part("Case", 2)
		s.part("1882708", 3)
		c.wants(2, 3)
		s.part("1", 4)
		other.wants(4) // and nothing of what was spoofed
	})
}

// TestTwice (C18): who subscribes twice hears once, and has unsubscribed after one call.
func TestTwice(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t, func(c *catalog.Config) { c.MaxSubscriptions = 2 })
		c := s.connect(transport)
		c.watchPart("1")
		for range 5 {
			c.done("ResourceEventHub", "SubscribeToPart", "1")
		}
		c.watchPart("fence")
		s.part("1", 1)
		s.part("fence", 2)
		c.wants(1, 2)
		c.done("ResourceEventHub", "UnsubscribeFromPart", "1")
		s.part("1", 3)
		s.part("fence", 4)
		c.wants(4)
	})
}

// TestLimits: a connection has so many subscriptions at a time, and what it gives back it can use again.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *catalog.Config) { c.MaxSubscriptions, c.MaxKeyLength = 2, 4 })
	c, other := s.connect("webSockets"), s.connect("webSockets")
	c.watchPart("1")
	c.watchPart("2")
	want := `{"I":"1","H":true,"E":"The connection watches 2 parts and pipelines, the limit."}`
	if got := c.call("ResourceEventHub", "SubscribeToPart", `["3"]`); got != want {
		t.Errorf("one more: %s, want %s", got, want)
	}
	other.watchPart("3")
	c.done("ResourceEventHub", "UnsubscribeFromPart", "1")
	c.watchPart("3")
	if got := c.call("ResourceEventHub", "SubscribeToPart", `["12345"]`); !strings.Contains(got, "partKey has 5 bytes, want at most 4") {
		t.Errorf("a long key: %s, want its length", got)
	}
	if got := s.Stats().Refused; got != 1 {
		t.Errorf("%d refused, want 1", got)
	}
}

// TestRights: who may watch which part and which pipeline.
func TestRights(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, transport string) {
		s := newServer(t, func(c *catalog.Config) {
			c.PartRight = func(_ context.Context, u *hubbub.User, key string) (bool, error) {
				if key == "broken" {
					return true, fmt.Errorf("no database, for the test")
				}
				return key == "open" || u.ID == "ann", nil
			}
			c.PipelineRight = func(_ context.Context, u *hubbub.User, _ string) (bool, error) { return u.ID == "bob", nil }
		})
		for _, x := range []struct {
			user, hub, method, key string
			allowed                bool
		}{
			{"ann", "ResourceEventHub", "SubscribeToPart", "secret", true},
			{"bob", "ResourceEventHub", "SubscribeToPart", "secret", false},
			{"bob", "ResourceEventHub", "SubscribeToPart", "open", true},
			{"ann", "ResourceEventHub", "SubscribeToPart", "broken", false},
			{"ann", "JobEventHub", "SubscribeToPipeline", "secret", false},
			{"bob", "JobEventHub", "SubscribeToPipeline", "secret", true},
		} {
			c := s.connect(transport, with(bothHubs), as("Bearer "+x.user))
			got, want := c.call(x.hub, x.method, `["`+x.key+`"]`), `{"I":"1"}`
			if !x.allowed {
				what := strings.ToLower(strings.TrimPrefix(x.method, "SubscribeTo"))
				want = fmt.Sprintf(`{"I":"1","H":true,"E":"You may not watch the %s \"%s\"."}`, what, x.key)
			}
			if got != want {
				t.Errorf("%s, %s %s: %s, want %s", x.user, x.method, x.key, got, want)
			}
		}
		if got := s.Stats().Refused; got != 3 {
			t.Errorf("%d refused, want 3", got)
		}
	})
}
