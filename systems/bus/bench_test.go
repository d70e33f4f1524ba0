package bus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
)

// BenchmarkPublish publishes messages of 200 bytes, so many at a time, and has them consumed.
func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{1, 64} {
		for _, interval := range []time.Duration{0, time.Minute} {
			b.Run(fmt.Sprintf("batch=%d/sync=%s", size, interval), func(b *testing.B) {
				one := open(b, bus.Config{Dir: b.TempDir(), Name: "test", SyncInterval: interval, Logger: quiet()}, stock)
				seen, _ := collect(b, one, "stock", ack)
				body := make([]byte, 200)
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					batch := make([]*bus.Message, size)
					for i := range batch {
						batch[i] = &bus.Message{ID: fmt.Sprint(n), Topic: "Grant", Body: body}
						n++
					}
					publish(b, one, batch...)
					for range batch {
						next(b, seen)
					}
				}
			})
		}
	}
}
