//go:build !race

package hubbub_test

import (
	"context"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// TestAllocations bounds what the hot paths allocate.
func TestAllocations(t *testing.T) {
	h := addingHub()
	plain, wrapped := attachLight(t, h, nil, true), attachLight(t, h, framing{}, true)
	many := newHub(nil)
	for range 1000 {
		attachLight(t, many, nil, false)
	}
	o := hubbub.NewOutbox(1<<20, func() {})
	message := make([]byte, 100)
	ctx := context.Background()
	for _, test := range []struct {
		name string
		most float64
		run  func()
	}{
		// The invocation, the call with its completion, its parameters, two strings, the bytes of the answer.
		{"dispatch", 6, plain.dispatch},
		{"dispatch with a framing", 6, wrapped.dispatch},
		{"queue", 0, func() {
			_ = o.Push(message, hubbub.TypePing)
			o.Take(func([]byte, hubbub.MessageType) bool { return true })
		}},
		// The message, its arguments, its bytes and the frame around them: whatever the number of connections.
		{"fan-out to 1,000", 8, func() { _ = many.All().Send(ctx, "m", "hello") }},
	} {
		if got := testing.AllocsPerRun(500, test.run); got > test.most {
			t.Errorf("%s: %v allocations, want at most %v", test.name, got, test.most)
		} else {
			t.Logf("%s: %v allocations", test.name, got)
		}
	}
}
