//go:build !race

package ws_test

import (
	"io"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// The race detector makes pools forget on purpose, so that allocations are counted without
// it.

// TestWriteAllocates counts a message from Wake to the client.
func TestWriteAllocates(t *testing.T) {
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	q := &counter{frame: ws.AppendFrame(nil, ws.Text, []byte(strings.Repeat("x", 100)))}
	c.Start(q)
	got := make([]byte, len(q.frame))
	allocs := testing.AllocsPerRun(1000, func() {
		q.pending.Add(1)
		c.Wake()
		if _, err := io.ReadFull(cl, got); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations a message, want none", allocs)
	}
}

// TestReadAllocates counts a message from the client to onData and the pong behind it.
func TestReadAllocates(t *testing.T) {
	s := serve(t, false)
	cl := s.dial(t, nil)
	c := s.accepted(t)
	c.Start(&queue{})
	r := make(chan struct{}, 1)
	go c.Read(func([]byte) error {
		r <- struct{}{}
		return nil
	})
	message := cat(masked(0x81, strings.Repeat("x", 100)), masked(0x89, "p"))
	pong := make([]byte, 3)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := cl.Write(message); err != nil {
			t.Fatal(err)
		}
		<-r
		if _, err := io.ReadFull(cl, pong); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations a message, want none", allocs)
	}
}
