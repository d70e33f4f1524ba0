package classic_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// TestManyFields: a body, or an address, of very many short fields costs no more time than its size.
func TestManyFields(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("longPolling")
	tests := []struct{ name, query, body string }{
		{"a body with one name", "", strings.Repeat("a&", 1<<20)},
		{"a body with one name in capitals", "", strings.Repeat("A;", 1<<20)},
		{"an address with one name", "&" + strings.Repeat("a&", 400<<10), ""},
	}
	for _, test := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address("send", nil)+test.query, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if status, _ := whole(t, res); status != http.StatusInternalServerError { // it has no data
			t.Errorf("%s: status %d, want 500", test.name, status)
		}
		cancel()
	}
}

// TestSameIDTwice: a token that is good at two endpoints of one hub cannot put one connection id into the hub twice; the first
// connection goes on, and leaves nothing behind.
func TestSameIDTwice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mux := http.NewServeMux()
	classic.MapHubs(mux, "/signalr", &classic.Options{Keys: ringOf(t, "k"), Auth: bearer}, s.hub)
	beside := httptest.NewServer(mux)
	t.Cleanup(beside.Close)
	second := &server{t: t, url: beside.URL, hub: s.hub}
	c, ch := s.connect("webSockets")
	twin := *c
	twin.s, twin.transport = second, "longPolling"
	if status, _ := twin.get("connect", nil); status != http.StatusServiceUnavailable {
		t.Errorf("connect of an id that is connected elsewhere in the hub: status %d, want 503", status)
	}
	ch.call(`{"H":"refhub","M":"Join","A":["g"],"I":1}`)
	if n := s.hub.All().Count(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if n := s.hub.Group("g").Count(); n != 1 {
		t.Errorf("%d in the group, want 1", n)
	}
	c.abort()
	s.heard("disconnected:RefHub " + c.id)
	if !soon(func() bool { return s.hub.All().Count() == 0 && s.hub.Group("g").Count() == 0 }) {
		t.Errorf("%d connections after the last has gone, %d in the group", s.hub.All().Count(), s.hub.Group("g").Count())
	}
}

// TestClosedToReturn: whom the server closes and asks to come back comes back, with the same token and groups.
func TestClosedToReturn(t *testing.T) {
	t.Parallel()
	for _, transport := range streams {
		s := newServer(t)
		c, ch := s.connect(transport)
		ch.call(`{"H":"refhub","M":"Join","A":["g"],"I":1}`)
		for c.groups == "" {
			ch.read()
		}
		if n := s.hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "", true); n != 1 {
			t.Fatalf("closed %d, want 1", n)
		}
		ch.ended()
		s.heard("disconnected:RefHub " + c.id)
		if !soon(func() bool { return s.hub.All().Count() == 0 }) {
			t.Fatal("the old connection has not gone")
		}
		ch = c.open("reconnect")
		s.heard("reconnected:RefHub " + c.id)
		ch.call(`{"H":"refhub","M":"ToGroup","A":["g","still"],"I":2}`)
		if got := ch.messages(1)[0]; !strings.Contains(got, "still") {
			t.Errorf("message to the group: %s", got)
		}
		if s.hub.CloseWhere(func(*hubbub.Caller) bool { return true }, "", false); true {
			ch.ended()
		}
		c.transport = "serverSentEvents"
		if status, _ := c.get("reconnect", c.resume()); status != http.StatusBadRequest {
			t.Errorf("%s: reconnect of one that was not asked to: status %d, want 400", transport, status)
		}
	}
}

// soon reports whether what must come true in a moment does.
func soon(is func() bool) bool {
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// TestRefusedLater: a hub that refuses the user of a later request, who may still reach another, is silent from then on.
func TestRefusedLater(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"reconnect", "poll", "send"} {
		s := newServer(t, func(c *config) {
			c.classic.Auth = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					u := &hubbub.User{ID: "ann", Claims: map[string]any{"role": strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}}
					next.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), u)))
				})
			}
		})
		both := func(c *client) { c.hubs, c.user = `[{"name":"refhub"},{"name":"authhub"}]`, "member" }
		c := s.negotiated("longPolling", both)
		_, body := c.get("connect", nil)
		c.parse(body)
		c.start()
		s.heard("connected:AuthHub " + c.id)
		c.user = "nobody"
		s.send("first")
		if command == "send" {
			c.send(`{"H":"refhub","M":"Nothing","I":0}`)
		} else {
			_, body = c.get(command, c.resume())
			c.parse(body)
		}
		s.heard("disconnected:AuthHub " + c.id)
		if err := s.only.All().Send(t.Context(), "Msg", "secret"); err != nil {
			t.Fatal(err)
		}
		if _, body := c.send(`{"H":"authhub","M":"Secret","I":1}`); strings.Contains(body, "42") {
			t.Errorf("%s: answer %s", command, body)
		}
		s.send("last")
		all := ""
		for !strings.Contains(all, "last") {
			_, body = c.get("poll", c.resume())
			all += c.parse(body).raw
		}
		if strings.Contains(all, "secret") {
			t.Errorf("%s: heard %s", command, all)
		}
		if got := strings.Join(s.eventsOf(c.id), " "); strings.Contains(got, "disconnected:RefHub") {
			t.Errorf("%s: events %s", command, got)
		}
	}
}
