package notify_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/notify"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.Limits.NotificationBytes = 10_000 })
	pub := s.token("publisher", "x")
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(allChanges)
	const at = `"e":"portos.resources.changed","p":`
	ok := `{"n":"x","a":1,"i":{"i":"1"}}`
	for _, test := range []struct{ name, body, member, code string }{
		{"empty", `{}`, "e", "1"},
		{"event unknown", `{"e":"x","p":` + ok + `}`, "e", ""},
		{"event no text", `{"e":1,"p":` + ok + `}`, "e", ""},
		{"no payload", `{"e":"portos.resources.changed"}`, "p", "1"},
		{"payload a text", `{` + at + `"x"}`, "p", ""},
		{"no licence", `{"e":"portos.licence.activated"}`, "p", "1"},
		{"no name", `{` + at + `{"a":1,"i":{"i":"1"}}}`, "p.n", "1"},
		{"name no text", `{` + at + `{"n":1,"a":1,"i":{"i":"1"}}}`, "p.n", ""},
		{"no action", `{` + at + `{"n":"x","i":{"i":"1"}}}`, "p.a", "1"},
		{"action 0", `{` + at + `{"n":"x","a":0,"i":{"i":"1"}}}`, "p.a", ""},
		{"action 1.5", `{` + at + `{"n":"x","a":1.5,"i":{"i":"1"}}}`, "p.a", ""},
		{"action word", `{` + at + `{"n":"x","a":"Created ","i":{"i":"1"}}}`, "p.a", ""},
		{"action list", `{` + at + `{"n":"x","a":[1],"i":{"i":"1"}}}`, "p.a", ""},
		{"no id", `{` + at + `{"n":"x","a":1}}`, "p.i.i", "1"},
		{"id a number", `{` + at + `{"n":"x","a":1,"i":{"i":1}}}`, "p.i.i", ""},
		{"other name", `{` + at + `{"n":"x","a":1,"i":{"i":"1","n":"y"}}}`, "p.i.n", ""},
		{"version", `{` + at + `{"n":"x","a":1,"i":{"i":"1","v":"7"}}}`, "p.i.v", ""},
		{"resources", `{` + at + `{"n":"x","a":1,"i":{"i":"1"},"r":{}}}`, "p.r", ""},
		{"actor", `{` + at + `{"n":"x","a":1,"i":{"i":"1"},"u":"me"}}`, "p.u", ""},
		{"ea", `{"ea":"tomorrow",` + at + ok + `}`, "ea", ""},
		{"ea a number", `{"ea":5,` + at + ok + `}`, "ea", ""},
		{"reference", `{"r":5,` + at + ok + `}`, "r", ""},
		{"long reference", `{"r":"` + strings.Repeat("x", 257) + `",` + at + ok + `}`, "r", ""},
		{"long connection", `{"s":{"c":"` + strings.Repeat("x", 129) + `"},` + at + ok + `}`, "s.c", ""},
		{"deep", `{` + at + `{"n":"x","a":1,"i":{"i":"1"},"r":` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}}`, "p", ""},
		{"no JSON", `{"e":`, "", ""},
		{"a list", `[]`, "", ""},
	} {
		status, raw, header := s.raw("POST", "/api/v1/notifications", pub, test.body)
		var p notify.ProblemDetails
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatalf("%s: %d %s", test.name, status, raw)
		}
		if status != 400 || p.Status != 400 || p.ErrorCode != 3 || p.Title != "Bad Request" || p.Instance != "/api/v1/notifications" ||
			!strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") || len(p.Errors) == 0 {
			t.Errorf("%s: %d %s", test.name, status, raw)
			continue
		}
		code := ""
		if p.Errors[0].Code != nil {
			code = fmt.Sprint(*p.Errors[0].Code)
		}
		if p.Errors[0].MemberName != test.member || p.Errors[0].Message == "" || code != test.code {
			t.Errorf("%s: %+v, want member %q, code %q", test.name, p.Errors[0], test.member, test.code)
		}
	}
	if m := s.want(400, "POST", "/api/v1/notifications", pub, `{"e":"portos.resources.changed","ea":1,"p":{"a":9}}`); len(m["errors"].([]any)) != 4 {
		t.Errorf("all that is wrong at once: %v", m)
	}
	s.want(413, "POST", "/api/v1/notifications", pub, change("x", 1, strings.Repeat("x", 10_000), 1))
	if m := s.want(403, "POST", "/api/v1/notifications", s.token("waiter", "x"), change("x", 1, "1", 1)); m["errorCode"] != 2.0 {
		t.Errorf("without the scope: %v", m)
	}
	_, _, header := s.raw("POST", "/api/v1/notifications", "", change("x", 1, "1", 1))
	if got := header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate %q", got)
	}
	status, _, header := s.raw("PUT", "/api/v1/notifications", pub, nil)
	if status != 405 || header.Get("Allow") != "POST" {
		t.Errorf("PUT: %d, Allow %q", status, header.Get("Allow"))
	}
	s.want(404, "GET", "/api/v1/webhooks/parked/x/y/z", pub, nil)
	c.expect()
	s.want(202, "POST", "/api/v1/notifications", s.sign(map[string]any{"sub": "ci", "scope": "other " + notify.ScopePublish}), `{`+at+ok+`}`)
	c.expect("x 1 1")
}

func TestO15Duplicate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		var mu sync.Mutex
		at := time.Now()
		conf := config(t, database)
		conf.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return at }
		conf.DedupeWindow = time.Minute
		s, _ := start(t, conf)
		c := s.connect(s.sign(map[string]any{"sub": "any"}))
		c.subscribe(allChanges)
		pub := s.sign(map[string]any{"sub": "erp", "scope": notify.ScopePublish})
		n := func(id string) map[string]any {
			m := change("orders", 1, id, 1)
			m["r"] = "order-1"
			return m
		}
		first := s.publish(pub, n("a"))
		if again := s.publish(pub, n("a")); again != first {
			t.Errorf("second id %s, want that of the first, %s", again, first)
		}
		if e := c.expect("orders 1 a")[0]; e.R == nil || *e.R != "order-1" {
			t.Errorf("got %s", e.raw)
		}
		// Another publisher has its own references.
		s.publish(s.sign(map[string]any{"sub": "shop", "scope": notify.ScopePublish}), n("b"))
		c.expect("orders 1 b")
		var wg sync.WaitGroup
		ids := make([]string, 6)
		for i := range ids {
			wg.Go(func() {
				m := change("orders", 2, "c", 1)
				m["r"] = "together"
				ids[i] = s.publish(pub, m)
			})
		}
		wg.Wait()
		c.expect("orders 2 c")
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("ids %v, want one", ids)
			}
		}
		mu.Lock()
		at = at.Add(time.Minute)
		mu.Unlock()
		if later := s.publish(pub, n("d")); later == first {
			t.Error("after the window the reference is still known")
		}
		c.expect("orders 1 d")
	})
}

// TestOrder publishes versions of several resources from several goroutines, one a resource: each connection reads each
// resource's versions in their order.
func TestOrder(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	clients := []*client{s.connect(s.token("waiter", "a")), s.connect(s.token("waiter", "b"))}
	clients[0].subscribe(allChanges)
	clients[1].subscribe(resources(`[{"n":"tickets"}]`))
	const versions = 200
	var wg sync.WaitGroup
	for r := range 4 {
		wg.Go(func() {
			for v := range versions {
				if _, err := s.PublishResource(t.Context(), "tickets", notify.Updated, fmt.Sprint(r), int64(v+1)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, c := range clients {
		last := map[string]int64{}
		for _, e := range c.received() {
			if *e.P.I.V != last[e.P.I.I]+1 {
				t.Fatalf("resource %s: version %d after %d", e.P.I.I, *e.P.I.V, last[e.P.I.I])
			}
			last[e.P.I.I]++
		}
		if want := (map[string]int64{"0": versions, "1": versions, "2": versions, "3": versions}); !maps.Equal(last, want) {
			t.Fatalf("received up to %v, want %v", last, want)
		}
	}
}

// TestSubscribeWhilePublishing widens and narrows a subscription while notifications come that match it at every moment: none
// is lost, none comes twice.
func TestSubscribeWhilePublishing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "a"))
	narrow := resources(`[{"n":"tickets","a":["updated"]}]`)
	c.subscribe(narrow)
	const n = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for v := range n {
			if _, err := s.PublishResource(t.Context(), "tickets", notify.Updated, "t", int64(v+1)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for running := true; running; {
		c.subscribe(allChanges)
		c.unsubscribe(narrow)
		c.subscribe(narrow)
		c.unsubscribe(allChanges)
		select {
		case <-done:
			running = false
		default:
		}
	}
	events := c.received()
	if len(events) != n {
		t.Fatalf("received %d, want %d", len(events), n)
	}
	for i, e := range events {
		if *e.P.I.V != int64(i+1) {
			t.Fatalf("received version %d as number %d", *e.P.I.V, i+1)
		}
	}
}

// cluster starts two nodes that share a backplane, keys and a database.
func cluster(t *testing.T, change ...func(*notify.Config)) (a, b *server) {
	t.Helper()
	plane := hubbub.NewLocal()
	t.Cleanup(func() { plane.Close() })
	c := config(t, "postgres")
	c.Hub.Backplane = plane
	for _, f := range change {
		f(&c)
	}
	a, _ = start(t, c)
	b, _ = start(t, c)
	return a, b
}

// arrive waits for events that another node sends.
func (c *client) arrive(want ...string) {
	c.t.Helper()
	c.until(fmt.Sprint(want), func() bool { return len(c.events) >= len(want) })
	c.expect(want...)
}

func TestTwoNodes(t *testing.T) {
	t.Parallel()
	a, b := cluster(t, func(c *notify.Config) { c.Rights = map[string]string{"users": "userGet"} })
	pub := a.token("publisher", "x")
	login := a.login("waiter", "PDA")
	here, there := a.connect(login["tokenId"].(string)), b.connect(login["tokenId"].(string))
	for _, c := range []*client{here, there} {
		c.subscribe(allChanges)
		c.subscribe(resources(`[{"n":"tickets"},{"n":"users"}]`))
		c.subscribe(licences)
	}
	a.publish(pub, change("users", 1, "u", 1))
	for v := range 20 {
		a.publish(pub, change("tickets", 2, fmt.Sprint(v), v))
	}
	var want []string
	for v := range 20 {
		want = append(want, fmt.Sprintf("tickets 2 %d", v))
	}
	here.expect(want...)
	there.arrive(want...)
	// References count for all nodes.
	n := change("tickets", 1, "r", 1)
	n["r"] = "once"
	if first, second := a.publish(pub, n), b.publish(pub, n); first != second {
		t.Errorf("ids %s and %s, want one", first, second)
	}
	b.publish(pub, change("tickets", 1, "end", 1))
	here.arrive("tickets 1 r", "tickets 1 end")
	there.arrive("tickets 1 r", "tickets 1 end")
	// So do the licence and the end of a session.
	code, err := notify.IssueLicence(a.config.Keys, b.RequestCode(5), notify.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	a.want(200, "POST", "/api/v1/license/activate", "", map[string]any{"activationCode": code})
	there.until("the licence", func() bool { return len(there.events) == 1 && there.events[0].P.ShopID == 5 })
	b.eventually("the licence on the other node", func() bool { return b.License() != nil })
	a.want(204, "DELETE", "/api/auth", login["tokenId"].(string), nil)
	here.expectClose("session has been ended")
	there.expectClose("session has been ended")
	b.refused(login["tokenId"].(string))
}
