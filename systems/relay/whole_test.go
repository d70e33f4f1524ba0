package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// withDemo gives a relay the demo view models.
func withDemo(c *relay.Config) {
	models, functions := viewmodel.Demo()
	c.Tickets = &ticket.Config{ViewModels: viewmodel.Options{ViewModels: models, Functions: functions}}
}

// run makes a ticket over REST and waits until it has ended; it returns the ticket.
func (s *server) run(token, model, root string) map[string]any {
	s.t.Helper()
	status, m := s.call("POST", "/realtime/tickets", token, fmt.Sprintf(`{"viewModel":%q,"rootId":%q}`, model, root))
	if status != http.StatusCreated {
		s.t.Fatalf("ticket %s for %s: status %d %v", model, root, status, m)
	}
	id := fmt.Sprint(m["id"])
	eventually(s.t, "the end of the ticket "+model, func() bool {
		status, m = s.call("GET", "/realtime/tickets/"+id, token, "")
		return status == http.StatusOK && (m["state"] == "done" || m["state"] == "failed")
	})
	return m
}

// M1 and M6, played through with REST alone: an object subscribes to an event of this server, another one triggers it, and the
// ticket with the object's cookie runs.
func TestM6SelfSubscription(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		withAuth(&c)
		withDemo(&c)
		s := start(t, c)
		const token = "ann,tickets+objects+events:trigger"
		for id, attributes := range map[string]string{"12%7C7": `{"eventguid":"g1"}`, "Order%7c1": `{"eventguid":"g1","runs":0}`} {
			if status, m := s.call("PUT", "/Realtime/Objects/"+id, token, attributes); status != http.StatusNoContent {
				t.Fatalf("object %s: status %d %v", id, status, m)
			}
		}
		if m := s.run(token, "SubscribeVM", "Order|1"); m["state"] != "done" {
			t.Fatalf("subscribe: %v", m)
		}
		status, m := s.call("POST", "/realtime/events/trigger", token, `{"eventguid":"g1"}`)
		if status != http.StatusAccepted || m["listeners"] != 1.0 {
			t.Fatalf("trigger: status %d %v, want this server itself as listener", status, m)
		}
		if m := s.run(token, "TriggerVM", "12|7"); m["state"] != "done" {
			t.Fatalf("trigger: %v", m)
		}
		eventually(t, "two runs of SomeVM", func() bool {
			_, m := s.call("GET", "/realtime/objects/Order%7C1", token, "")
			return m["runs"] == 2.0
		})
		if st := s.Stats(); st.Heard != 2 || st.Events != 2 || st.Unheard != 0 {
			t.Fatalf("counted %+v", st)
		}
		for path, right := range map[string]string{"tickets": "objects", "objects/12%7C7": "tickets"} {
			if status, _ := s.call("GET", "/realtime/"+path, "", ""); status != http.StatusUnauthorized {
				t.Errorf("%s without a token: status %d, want 401", path, status)
			}
			if status, m := s.call("GET", "/realtime/"+path, "ann,"+right, ""); status != http.StatusForbidden || !strings.Contains(fmt.Sprint(m["detail"]), "is needed") {
				t.Errorf("%s without the right: status %d %v, want 403", path, status, m)
			}
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// M16 with tickets on PostgreSQL: two nodes, one of which has subscribed to an event of this server; triggered on either, it
// becomes one ticket, which one of them runs.
func TestM16Tickets(t *testing.T) {
	t.Parallel()
	plane := hubbub.NewLocal()
	t.Cleanup(func() { plane.Close() })
	url := storetest.Postgres(t)
	node := func() *server {
		return newServer(t, withDemo, func(c *relay.Config) { c.Hub.Backplane, c.Database.URL = plane, url })
	}
	one, two := node(), node()
	if status, m := one.call("PUT", "/realtime/objects/Order%7C1", "", `{"eventguid":"g1"}`); status != http.StatusNoContent {
		t.Fatalf("object: status %d %v", status, m)
	}
	if m := one.run("", "SubscribeVM", "Order|1"); m["state"] != "done" {
		t.Fatalf("subscribe: %v", m)
	}
	p := one.join("")
	p.subscribe("g1", "c")
	const each = 5
	for range each {
		for _, s := range []*server{one, two} {
			status, m := s.call("POST", "/realtime/events/trigger", "", `{"eventguid":"g1"}`)
			if status != http.StatusAccepted || m["listeners"] != 2.0 {
				t.Fatalf("trigger: status %d %v, want the connection and the server itself", status, m)
			}
		}
	}
	eventually(t, "all runs of SomeVM", func() bool {
		_, m := two.call("GET", "/realtime/objects/Order%7C1", "", "")
		return m["runs"] == 2.0*each
	})
	p.expect(one, slices.Repeat([]string{"g1=c"}, 2*each)...)
	if n := one.Stats().Heard + two.Stats().Heard; n != 2*each {
		t.Fatalf("%d tickets, want %d", n, 2*each)
	}
	status, m := one.call("GET", "/realtime/tickets?viewModel=SomeVM&state=done", "", "")
	if items, _ := m["items"].([]any); status != http.StatusOK || len(items) != 2*each {
		t.Fatalf("status %d, %d tickets done, want %d", status, len(items), 2*each)
	}
}
