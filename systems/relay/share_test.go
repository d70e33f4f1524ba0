package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// connected is how many connections a relay has to hubs that are healthy.
func connected(s *server) int {
	n := 0
	for _, h := range s.Listeners() {
		if h.Healthy {
			n++
		}
	}
	return n
}

// Two processes on one database are one listener: each event becomes one ticket, whichever process subscribed, and when the one that
// listens is gone the other one does.
func TestM16OneListens(t *testing.T) {
	t.Parallel()
	address, subscribed, hub := foreignHub(t)
	c := config(t, "postgres")
	withDemo(&c)
	quickly(&c)
	deaf(&c)
	nodes := []*server{start(t, c), start(t, c)}
	at := address + "/core"
	fire := func(guid, cookie string) {
		t.Helper()
		if err := hub.All().Send(t.Context(), "ReceiveEvent", guid, cookie); err != nil {
			t.Fatal(err)
		}
	}
	told := func(guid, cookie string) {
		t.Helper()
		for want := [2]string{guid, cookie}; <-subscribed != want; {
		}
	}
	one := func(what string) {
		t.Helper()
		eventually(t, what, func() bool { return connected(nodes[0])+connected(nodes[1]) == 1 && hub.All().Count() == 1 })
	}
	for i, s := range nodes { // Subscribe returns when the hub knows, wherever that is told
		guid := fmt.Sprint("g", i)
		s.subscribe(at, guid, "first")
		s.subscribe(at, guid, cookieFor("1|"+guid))
		told(guid, cookieFor("1|"+guid))
		one("one listener")
		fire(guid, cookieFor("1|"+guid))
	}
	eventually(t, "two tickets", func() bool { return len(nodes[1].tickets()) == 2 })
	nodes[1].subscribe(at, "g0", cookieFor("1|2")) // the last cookie counts, whoever handed it out
	told("g0", cookieFor("1|2"))
	fire("g0", cookieFor("1|g0"))
	fire("g0", cookieFor("1|2"))
	eventually(t, "the third ticket", func() bool { return len(nodes[0].tickets()) == 3 })
	for i, s := range nodes {
		if err := s.Subscribe(t.Context(), at, "forbidden", fmt.Sprint("c", i)); err == nil || !strings.Contains(err.Error(), "Not for you.") {
			t.Errorf("node %d subscribed to what the hub forbids: %v", i, err)
		} else if _, ok := errors.AsType[*hubbub.Error](err); !ok {
			t.Errorf("node %d: %T, want what the hub said", i, err)
		}
	}

	listens := 0
	if connected(nodes[1]) == 1 {
		listens = 1
	}
	nodes[listens].stop()
	other := nodes[1-listens]
	ready(t, other, at)
	nodes[listens] = other
	eventually(t, "the other listener", func() bool { return hub.All().Count() == 1 })
	fire("g1", cookieFor("1|g1"))
	eventually(t, "the fourth ticket", func() bool { return len(other.tickets()) == 4 })
	other.subscribe(at, "g1", "")
	told("g1", "")
	if h := other.Listeners(); len(h) != 1 || h[0].Subscriptions != 2 || h[0].Refused != 1 {
		t.Errorf("listeners %+v, want g0 and what is refused", h)
	}
	for _, line := range other.tickets() {
		if !strings.HasPrefix(line, "SomeVM 1|") {
			t.Errorf("ticket %q", line)
		}
	}
}
