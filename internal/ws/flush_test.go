package ws_test

import (
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// TestConcurrentFlushes pushes from many goroutines of which every other one writes by itself: nothing may be lost or change
// places.
func TestConcurrentFlushes(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		const pushers, each = 16, 1500
		cl := s.dial(t, nil)
		c := s.accepted(t)
		q := &queue{}
		c.Flush() // before Start, which must not count
		c.Start(q)
		var count int
		var mu sync.Mutex
		for i := range pushers {
			tell := c.Flush
			if i%2 == 0 {
				tell = c.Wake
			}
			go func() {
				for range each {
					mu.Lock()
					q.push(text(strconv.Itoa(count)))
					count++
					mu.Unlock()
					tell()
				}
			}()
		}
		for i := range pushers * each {
			cl.wantFrame(t, ws.Text, strconv.Itoa(i))
		}
	})
}

// TestFlushWritesItself: the frame is on its way when Flush returns.
func TestFlushWritesItself(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	q := &queue{}
	q.push(text("started"))
	c.Start(q)
	cl.wantFrame(t, ws.Text, "started")
	// The turn of Start may still be on its way back; what it leaves to Flush is what counts.
	eventually(t, "a Flush that writes by itself", func() bool {
		q.push(text("here"))
		c.Flush()
		q.mu.Lock()
		left := len(q.frames)
		q.mu.Unlock()
		cl.wantFrame(t, ws.Text, "here")
		return left == 0
	})
}

// TestFlushDoesNotWait: a peer that does not read holds nobody up, and gets everything in order when it reads again.
func TestFlushDoesNotWait(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	q := &queue{}
	c.Start(q)
	n := 0
	for deadline := time.Now().Add(patience); c.WriteStalled() < 50*time.Millisecond; {
		if time.Now().After(deadline) {
			t.Fatal("a peer that does not read has not stalled")
		}
		q.mu.Lock()
		pending := len(q.frames)
		q.mu.Unlock()
		if pending > 16 {
			runtime.Gosched()
			continue
		}
		n++
		q.push(text(strconv.Itoa(n) + body))
		begin := time.Now()
		c.Flush()
		if took := time.Since(begin); took > 5*time.Second {
			t.Fatalf("Flush took %v", took)
		}
	}
	for i := range n {
		cl.wantFrame(t, ws.Text, strconv.Itoa(i+1)+body)
	}
}

// TestFlushAtTheEnd: a close frame goes out behind what a Flush has found, and a Flush afterwards does nothing.
func TestFlushAtTheEnd(t *testing.T) {
	both(t, func(t *testing.T, s *server) {
		cl := s.dial(t, nil)
		c := s.accepted(t)
		q := &queue{}
		c.Start(q)
		q.push(text("last"))
		c.Flush()
		c.Close(1000, "", 0)
		c.Flush()
		cl.wantFrame(t, ws.Text, "last")
		cl.wantFrame(t, ws.Close, closePayload(1000, ""))
		wait(t, "Done", c.Done())
		q.push(text("never"))
		c.Flush()
	})
}
