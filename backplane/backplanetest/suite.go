// Package backplanetest is the contract of [hubbub.Backplane] as tests, to be run against every implementation.
package backplanetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
)

// Open returns the backplanes of n nodes that share one engine, in which nothing of an earlier call is heard. What it opens
// it closes with t.Cleanup; the suite may close them too.
type Open func(t *testing.T, n int) []hubbub.Backplane

// patience is how long a message may take.
const patience = 20 * time.Second

// Run runs the suite. Its tests do not run in parallel with each other.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"EveryNodeHears", everyNodeHears},
		{"Order", order},
		{"OrderAcrossChannels", orderAcrossChannels},
		{"OneCallAtATime", oneCallAtATime},
		{"NamesAndSizes", namesAndSizes},
		{"NobodyThere", nobodyThere},
		{"DataIsNotKept", dataIsNotKept},
		{"FromThenOn", fromThenOn},
		{"Cancel", cancel},
		{"ReceiveMayPublish", receiveMayPublish},
		{"Concurrent", concurrent},
		{"Close", closed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

func publish(t *testing.T, b hubbub.Backplane, channel string, data []byte) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := b.Publish(ctx, channel, data); err != nil {
		t.Fatalf("publish on %q: %v", channel, err)
	}
}

func subscribe(t *testing.T, b hubbub.Backplane, channel string, receive func([]byte)) (cancel func()) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop() // the subscription outlives the context that it was made with
	cancel, err := b.Subscribe(ctx, channel, receive)
	if err != nil {
		t.Fatalf("subscribe %q: %v", channel, err)
	}
	t.Cleanup(cancel)
	return cancel
}

// inbox is what a subscription has heard.
type inbox struct {
	t *testing.T
	c chan string
}

func listen(t *testing.T, b hubbub.Backplane, channel string) (inbox, func()) {
	t.Helper()
	in := inbox{t, make(chan string, 10_000)}
	return in, subscribe(t, b, channel, func(data []byte) { in.c <- string(data) })
}

func (in inbox) expect(want ...string) {
	in.t.Helper()
	for _, w := range want {
		select {
		case got := <-in.c:
			if got != w {
				in.t.Fatalf("heard %.100q, want %.100q", got, w)
			}
		case <-time.After(patience):
			in.t.Fatalf("waited %v for %.100q", patience, w)
		}
	}
}

// everyNodeHears publishes from each node to two subscriptions on each.
func everyNodeHears(t *testing.T, open Open) {
	nodes := open(t, 3)
	var all []inbox
	for _, b := range nodes {
		for range 2 {
			in, _ := listen(t, b, "all")
			all = append(all, in)
		}
		other, _ := listen(t, b, "other")
		defer other.expect("end of other")
	}
	for i, b := range nodes {
		publish(t, b, "all", fmt.Append(nil, "from ", i))
		for _, in := range all {
			in.expect(fmt.Sprint("from ", i))
		}
	}
	publish(t, nodes[0], "other", []byte("end of other"))
}

// order is that of the publisher, on every node.
func order(t *testing.T, open Open) {
	nodes := open(t, 2)
	var inboxes []inbox
	for _, b := range nodes {
		in, _ := listen(t, b, "c")
		inboxes = append(inboxes, in)
	}
	const n = 2000
	for i := range n {
		publish(t, nodes[0], "c", fmt.Append(nil, i))
	}
	for _, in := range inboxes {
		for i := range n {
			in.expect(fmt.Sprint(i))
		}
	}
}

// orderAcrossChannels publishes on one channel after the other.
func orderAcrossChannels(t *testing.T, open Open) {
	nodes := open(t, 2)
	const n, channels = 2000, 7
	heard := inbox{t, make(chan string, n)}
	for i := range channels {
		subscribe(t, nodes[1], fmt.Sprint("c", i), func(data []byte) { heard.c <- string(data) })
	}
	for i := range n {
		publish(t, nodes[0], fmt.Sprint("c", i%channels), fmt.Append(nil, i))
	}
	for i := range n {
		heard.expect(fmt.Sprint(i))
	}
}

// oneCallAtATime on a node, whatever the channel.
func oneCallAtATime(t *testing.T, open Open) {
	b := open(t, 1)[0]
	const n = 200
	var running, heard atomic.Int32
	done := make(chan struct{})
	for i := range 4 {
		subscribe(t, b, fmt.Sprint("c", i), func([]byte) {
			if running.Add(1) != 1 {
				t.Error("two calls of receive run at a time")
			}
			time.Sleep(50 * time.Microsecond) // long enough for another to come
			running.Add(-1)
			if heard.Add(1) == n {
				close(done)
			}
		})
	}
	for i := range n {
		publish(t, b, fmt.Sprint("c", i%4), nil)
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("heard %d messages, want %d", heard.Load(), n)
	}
}

// namesAndSizes takes any name and any bytes, and keeps names apart that look alike.
func namesAndSizes(t *testing.T, open Open) {
	nodes := open(t, 2)
	names := []string{"a", "A", "a/", "a/b", "a b", "a*", "a.b", "a.>", "a?", "[a]", "ä", "a\u0308", "日本", "a\x00b", "a\nb", string(bytes.Repeat([]byte("long"), 60))}
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	inboxes := make([]inbox, len(names))
	for i, name := range names {
		inboxes[i], _ = listen(t, nodes[1], name)
	}
	for _, data := range [][]byte{{}, {0}, every, bytes.Repeat(every, 1<<10)} {
		for i, name := range names {
			own := append(binary.AppendUvarint(nil, uint64(i)), data...)
			publish(t, nodes[0], name, own)
			inboxes[i].expect(string(own))
		}
	}
	publish(t, nodes[0], "a", nil)
	inboxes[0].expect("")
}

// nobodyThere is no error.
func nobodyThere(t *testing.T, open Open) {
	b := open(t, 1)[0]
	publish(t, b, "nobody", []byte("x"))
	_, cancel := listen(t, b, "somebody")
	cancel()
	publish(t, b, "somebody", []byte("x"))
}

// dataIsNotKept: the bytes are the publisher's again when Publish returns.
func dataIsNotKept(t *testing.T, open Open) {
	nodes := open(t, 2)
	in, _ := listen(t, nodes[1], "c")
	data := make([]byte, 4)
	for i := range 500 {
		binary.BigEndian.PutUint32(data, uint32(i))
		publish(t, nodes[0], "c", data)
		clear(data)
	}
	for i := range 500 {
		in.expect(string(binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
}

// fromThenOn: a subscription hears what is published after Subscribe has returned, nothing from before.
func fromThenOn(t *testing.T, open Open) {
	nodes := open(t, 2)
	first, _ := listen(t, nodes[1], "c")
	for i := range 50 {
		publish(t, nodes[0], "c", fmt.Append(nil, "before ", i))
		first.expect(fmt.Sprint("before ", i))
		late, cancel := listen(t, nodes[1], "c")
		publish(t, nodes[0], "c", fmt.Append(nil, "after ", i))
		late.expect(fmt.Sprint("after ", i))
		first.expect(fmt.Sprint("after ", i))
		cancel()
	}
}

// cancel ends one subscription and leaves the others of the channel.
func cancel(t *testing.T, open Open) {
	nodes := open(t, 2)
	stays, _ := listen(t, nodes[1], "c")
	for i := range 50 {
		goes, cancel := listen(t, nodes[1], "c")
		publish(t, nodes[0], "c", []byte("x"))
		goes.expect("x")
		cancel()
		cancel()
		publish(t, nodes[0], "c", fmt.Append(nil, i))
		stays.expect("x", fmt.Sprint(i))
		select {
		case got := <-goes.c:
			t.Fatalf("heard %q after cancel", got)
		default:
		}
	}
	again, _ := listen(t, nodes[0], "c")
	publish(t, nodes[1], "c", []byte("back"))
	again.expect("back")
}

// receiveMayPublish lets two nodes answer each other from within receive.
func receiveMayPublish(t *testing.T, open Open) {
	nodes := open(t, 2)
	done := make(chan struct{})
	for i, b := range nodes {
		subscribe(t, b, fmt.Sprint("node", i), func(data []byte) {
			n := binary.BigEndian.Uint32(data)
			if n == 200 {
				close(done)
				return
			}
			publish(t, b, fmt.Sprint("node", 1-i), binary.BigEndian.AppendUint32(nil, n+1))
		})
	}
	publish(t, nodes[0], "node1", make([]byte, 4))
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the nodes stopped to answer each other")
	}
}

// concurrent publishes, subscribes and cancels from many goroutines.
func concurrent(t *testing.T, open Open) {
	nodes := open(t, 2)
	in, _ := listen(t, nodes[1], "c")
	const writers, each = 8, 200
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			b := nodes[w%2]
			for i := range each {
				if err := b.Publish(context.Background(), "c", []byte{byte(w), byte(i)}); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
		all.Go(func() {
			for i := range 20 {
				cancel, err := nodes[w%2].Subscribe(context.Background(), fmt.Sprint("c", i%2), func([]byte) {})
				if err != nil {
					t.Errorf("subscribe: %v", err)
					return
				}
				cancel()
			}
		})
	}
	all.Wait()
	next := make([]byte, writers)
	for range writers * each {
		select {
		case m := <-in.c:
			if w := m[0]; m[1] != next[w] {
				t.Fatalf("message %d of writer %d came where %d was due", m[1], w, next[w])
			}
			next[m[0]]++
		case <-time.After(patience):
			t.Fatalf("messages are missing: %v of %d each", next, each)
		}
	}
}

// closed ends what was open and refuses the rest.
func closed(t *testing.T, open Open) {
	b := open(t, 1)[0]
	in, cancel := listen(t, b, "c")
	publish(t, b, "c", []byte("x"))
	in.expect("x")
	if err := b.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := b.Publish(context.Background(), "c", []byte("y")); err == nil {
		t.Error("published after Close")
	}
	if _, err := b.Subscribe(context.Background(), "c", func([]byte) {}); err == nil {
		t.Error("subscribed after Close")
	}
	cancel()
	select {
	case got := <-in.c:
		t.Errorf("heard %q after Close", got)
	default:
	}
}
