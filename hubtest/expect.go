package hubtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
)

// Any stands for any argument in [Expect].
var Any any = anything{}

type anything struct{}

// Expect waits for the next call of the hub on c and fails the test unless it is target with args. Arguments are equal when
// they are the same JSON value, or MessagePack value, after the hub has encoded them: a struct equals a map with its members,
// and 1 equals 1.0. [Any] equals everything.
//
// Calls are expected in the order in which the hub has sent them, which is a promise of the hub. Expect waits for 5 s at most;
// inside a bubble of [testing/synctest] they pass only if nothing else happens. It must be called in the goroutine of the test.
func Expect(t testing.TB, c *Conn, target string, args ...any) {
	t.Helper()
	m := c.await(t, func() string { return c.wanted(target, args) })
	if d := differs(m, target, args); d != "" {
		c.fail(t, c.wanted(target, args), "came: "+m.String(), "      "+d)
	}
	c.inbox.remember(m)
}

// Receive is [Expect] for a call whose arguments the test looks at itself: it waits for the next call of the hub on c, fails
// the test unless it is target, and returns the arguments.
func Receive(t testing.TB, c *Conn, target string) hubbub.Args {
	t.Helper()
	want := target + "(...)"
	m := c.await(t, func() string { return want })
	if m.target != target {
		c.fail(t, want, "came: "+m.String())
	}
	c.inbox.remember(m)
	return m.args
}

// ExpectNothing fails the test if the hub has called anything on c that was not expected before. It must be called inside a
// bubble of [testing/synctest], where that is a fact: it waits until everything in the bubble waits for time to pass or for
// something from outside, and then looks. What is sent later, or is delayed by a [Link], is none of its concern. Outside a bubble
// nobody can know, and it fails the test.
func ExpectNothing(t testing.TB, c *Conn) {
	t.Helper()
	if !settle() {
		t.Fatalf("hubtest: ExpectNothing on %s: outside of synctest.Test nobody can know that nothing comes, want the test inside it and one ExpectNothing at a time", c.name)
	}
	if m, _ := c.inbox.next(); m != nil {
		c.fail(t, "nothing", "came: "+m.String())
	}
}

// await returns the next call of the hub.
func (c *Conn) await(t testing.TB, want func() string) *message {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		m, changed := c.inbox.next()
		if m != nil {
			return m
		}
		if ended, err := c.inbox.over(); ended && c.State() == hubbub.Disconnected {
			reason := "in order"
			if err != nil {
				reason = err.Error()
			}
			c.fail(t, want(), "came: nothing, and the connection has ended: "+reason)
		}
		select {
		case <-changed:
		case <-timer.C:
			c.fail(t, want(), fmt.Sprintf("came: nothing in %v; the client is %s", patience, c.State()))
		}
	}
}

// fail ends the test with what was wanted, what came, and what is around it.
func (c *Conn) fail(t testing.TB, want string, came ...string) {
	t.Helper()
	settle() // so that what came after it is there
	var b strings.Builder
	fmt.Fprintf(&b, "hubtest: %s:\n    want: %s", c.name, want)
	for _, line := range came {
		b.WriteString("\n    " + line)
	}
	before, waiting := c.inbox.history()
	listed(&b, "before it", before)
	listed(&b, "after it", waiting)
	t.Fatal(b.String())
}

func listed(b *strings.Builder, title string, list []*message) {
	for i, m := range list {
		if i == 0 {
			fmt.Fprintf(b, "\n    %s came:", title)
		}
		if i == remembers {
			fmt.Fprintf(b, "\n        and %d more", len(list)-i)
			return
		}
		b.WriteString("\n        " + m.String())
	}
}

// wanted writes a call that is expected, with the arguments as the hub would send them.
func (c *Conn) wanted(target string, args []any) string {
	list := make([]string, len(args))
	for i, a := range args {
		v, err := sent(a, c.inbox.decoder())
		if err != nil {
			v = fmt.Sprintf("%+v", a)
		}
		list[i] = text(v)
	}
	return target + "(" + strings.Join(list, ", ") + ")"
}

var _ interface {
	hubbub.Invoker
	hubbub.Streamer
} = (*Conn)(nil)
