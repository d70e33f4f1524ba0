package notify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/notify"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestO12WithoutRetention documents what is not promised: what happens while a client is away is lost to it.
func TestO12WithoutRetention(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	token, pub := s.token("waiter", "PDA"), s.token("publisher", "x")
	c := s.connect(token)
	c.subscribe(allChanges)
	s.cut(c)
	s.publish(pub, change("tickets", 1, "missed", 1))
	c = s.connect(token)
	s.publish(pub, change("tickets", 1, "not yet subscribed", 1))
	c.subscribe(allChanges)
	s.publish(pub, change("tickets", 1, "live", 1))
	c.expect("tickets 1 live")
}

func TestO12Reconnect(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		conf := config(t, database)
		conf.Retention.Window = time.Hour
		conf.Rights = map[string]string{"users": "userGet"}
		s, stop := start(t, conf)
		token, pub := s.token("waiter", "PDA"), s.token("publisher", "x")
		elsewhere := s.connect(s.token("waiter", "Other"))
		elsewhere.subscribe(allChanges)
		c := s.connect(token)
		s.publish(pub, change("tickets", 1, "before", 1))
		c.subscribe(resources(`[{"n":"tickets"},{"n":"devices","a":["created"]},{"n":"users"}]`))
		c.expect() // nobody was away yet
		s.publish(pub, change("tickets", 1, "live", 1))
		c.expect("tickets 1 live")
		s.cut(c)

		for v := range 3 {
			s.publish(pub, change("tickets", v+1, "t", v))
		}
		s.publish(pub, change("devices", 2, "not wanted", 1))
		s.publish(pub, change("users", 1, "not allowed", 1))
		s.publish(pub, change("devices", 1, "d", 1))
		expired := change("tickets", 1, "expired", 1)
		expired["ea"] = time.Now().Add(50 * time.Millisecond).UTC().Format(time.RFC3339Nano)
		s.publish(pub, expired)
		time.Sleep(60 * time.Millisecond) // the time of ea has to pass

		c = s.connect(token)
		c.subscribe(resources(`[{"n":"tickets","a":["updated","deleted"]}]`))
		c.expect("tickets 2 t", "tickets 3 t")
		s.publish(pub, change("tickets", 2, "new", 1))
		c.subscribe(allChanges) // the rest of what it wanted, and nothing twice
		s.publish(pub, change("tickets", 2, "newer", 1))
		c.expect("tickets 2 new", "tickets 1 t", "devices 1 d", "tickets 2 newer")
		c.unsubscribe(allChanges)
		c.subscribe(allChanges)
		c.expect()
		s.cut(c)

		// Others had everything live, and a restart forgets nothing.
		elsewhere.received()
		s.publish(pub, change("tickets", 3, "over the restart", 1))
		stop()
		s, _ = start(t, conf)
		c = s.connect(token)
		c.subscribe(allChanges)
		c.expect("tickets 3 over the restart")
		second := s.connect(token) // its device is here: nothing was missed
		second.subscribe(allChanges)
		second.expect()
	})
}

func TestRetentionIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.Retention = notify.Retention{Window: time.Hour, Most: 5} })
	token, pub := s.token("waiter", "PDA"), s.token("publisher", "x")
	c := s.connect(token)
	c.subscribe(allChanges)
	s.cut(c)
	for i := range 12 {
		s.publish(pub, change("tickets", 1, fmt.Sprint(i), 1))
	}
	c = s.connect(token)
	c.subscribe(allChanges)
	c.expect("tickets 1 7", "tickets 1 8", "tickets 1 9", "tickets 1 10", "tickets 1 11")
}

// TestRetentionOfNodes lets a client come back to another node.
func TestRetentionOfNodes(t *testing.T) {
	t.Parallel()
	a, b := cluster(t, func(c *notify.Config) { c.Retention.Window = time.Hour })
	token, pub := a.token("waiter", "PDA"), a.token("publisher", "x")
	c := a.connect(token)
	c.subscribe(allChanges)
	a.cut(c)
	witness := b.connect(b.token("waiter", "Other"))
	witness.subscribe(allChanges)
	var want []string
	for v := range 3 {
		a.publish(pub, change("tickets", 2, fmt.Sprint(v), v))
		want = append(want, fmt.Sprintf("tickets 2 %d", v))
	}
	witness.arrive(want...)
	c = b.connect(token)
	c.subscribe(allChanges)
	c.expect(want...)
	a.publish(pub, change("tickets", 2, "live", 1))
	c.arrive("tickets 2 live")
}
