//go:build !race

package box

import (
	"testing"

	"github.com/hubbub-go/hubbub/systems/bus"
)

// TestSpansAlloc is inside the package because nobody else can tell the cost of a span from that of a transaction. Without a tracer
// provider a delivery pays for the context that carries a trace on, and for reading and writing the trace that it came with.
func TestSpansAlloc(t *testing.T) {
	c := &consumer{queue: "inventory", names: map[string]string{"GrantItems": "process inventory GrantItems"}}
	d := &bus.Delivery{Message: bus.Message{ID: "1", Key: "1", Topic: "GrantItems"}}
	traced := &bus.Delivery{Message: d.Message}
	traced.Header = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	for name, test := range map[string]struct {
		of   *bus.Delivery
		most float64
	}{"no trace": {d, 3}, "part of a trace": {traced, 9}} {
		if n := testing.AllocsPerRun(1000, func() {
			j := c.begin(t.Context(), test.of)
			j.became(outcome{})
			var m bus.Message
			bus.Inject(j.ctx, &m)
			j.span.End()
		}); n > test.most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, test.most)
		} else {
			t.Logf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSpans(b *testing.B) {
	c := &consumer{queue: "inventory", names: map[string]string{"GrantItems": "process inventory GrantItems"}}
	d := &bus.Delivery{Message: bus.Message{ID: "1", Key: "1", Topic: "GrantItems"}}
	b.ReportAllocs()
	for b.Loop() {
		j := c.begin(b.Context(), d)
		j.became(outcome{})
		var m bus.Message
		bus.Inject(j.ctx, &m)
		j.span.End()
	}
}
