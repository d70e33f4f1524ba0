package classic_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// farm is a number of nodes behind one backplane, each with RefHub for the clients of all dialects.
func farm(t *testing.T, n int) []*server {
	t.Helper()
	bus, nodes := hubbub.NewLocal(), make([]*server, n)
	for i := range nodes {
		s := &server{t: t, came: make(chan struct{}, 1)}
		o := &hubbub.Options{Backplane: bus, Logger: slog.New(slog.DiscardHandler)}
		s.hub, s.only = hubbub.NewHub("RefHub", o), hubbub.NewHub("AuthHub", o)
		s.methods()
		mux := http.NewServeMux()
		classic.MapHubs(mux, "/signalr", &classic.Options{Keys: ringOf(t, "k"), Auth: bearer}, s.hub, s.only)
		classic.MapConnection(mux, "/raw", nil, s.hub)
		signalr.MapHub(mux, "/core", s.hub, nil)
		s.http = httptest.NewServer(mux)
		s.url, nodes[i] = s.http.URL, s
		t.Cleanup(s.stop)
	}
	return nodes
}

// TestFarm: what one node says to clients of the others arrives in every dialect that can say it; a dialect that cannot takes
// nothing from the others.
func TestFarm(t *testing.T) {
	t.Parallel()
	nodes := farm(t, 2)
	here, there := nodes[0], nodes[1]
	core := signalr.NewClient(there.url+"/core", nil)
	msg := make(chan string, 10)
	core.On("Msg", hubbub.Action2(func(_ context.Context, a, b string) error { msg <- a + b; return nil }))
	core.On("Question", hubbub.Func0(func(context.Context) (int, error) { return 42, nil }))
	if err := core.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	old, ch := there.connect("webSockets")

	if err := here.hub.All().Send(t.Context(), "Msg", "a", "b"); err != nil { // two values: a persistent connection cannot say them
		t.Fatalf("send of two values to both nodes: %v", err)
	}
	if got := <-msg; got != "ab" {
		t.Errorf("the Core client heard %q, want ab", got)
	}
	if got, want := ch.messages(1)[0], `{"H":"RefHub","M":"Msg","A":["a","b"]}`; got != want {
		t.Errorf("the classic client heard %s, want %s", got, want)
	}
	answer, err := hubbub.Invoke[int](t.Context(), here.hub.Client(core.ID()), "Question")
	if err != nil || answer != 42 {
		t.Errorf("the Core client of the other node answered %d, error %v, want 42", answer, err)
	}
	if _, err := hubbub.Invoke[int](t.Context(), here.hub.Client(old.id), "Question"); err == nil {
		t.Error("a classic client of the other node answered")
	}

	if err := here.hub.Join(t.Context(), old.id, "g"); err != nil {
		t.Fatal(err)
	}
	for old.groups == "" {
		ch.read()
	}
	ch.close()
	old.s = here // the client comes back to the other node, which puts it into its groups
	ch = old.open("reconnect")
	here.heard("reconnected:RefHub " + old.id)
	if err := there.hub.Group("g").Send(t.Context(), "Msg", "still", "in"); err != nil {
		t.Fatal(err)
	}
	if got := ch.messages(1)[0]; !strings.Contains(got, `"still","in"`) {
		t.Errorf("the client that has come back heard %s", got)
	}
}

// TestCallBeforeReturn: a client whose node has died may call another node before its stream is there. It is in its groups all
// the same when the stream comes, although that node was up before the client negotiated.
func TestCallBeforeReturn(t *testing.T) {
	t.Parallel()
	next := newServer(t)
	s := newServer(t)
	c, ch := s.connect("serverSentEvents")
	ch.call(`{"H":"refhub","M":"Join","A":["g"],"I":1}`)
	for c.groups == "" {
		ch.read()
	}
	ch.close()
	c.s = next
	if status, body := c.send(`{"H":"refhub","M":"Echo","A":["x"],"I":2}`); status != http.StatusOK || body != `{"R":"x","I":"2"}` {
		t.Fatalf("send: status %d, body %q", status, body)
	}
	ch = c.open("reconnect")
	next.heard("reconnected:RefHub " + c.id)
	ch.call(`{"H":"refhub","M":"ToGroup","A":["g","still"],"I":3}`)
	next.send("end")
	if got := ch.messages(1)[0]; !strings.Contains(got, "still") {
		t.Errorf("first message %s, want that of the group", got)
	}
}
