package box_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// A process that dies between commit and publishing does not take the trace with it: the next one finds it in the row.
func TestTraceOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "test", SyncInterval: time.Minute, Logger: quiet()}, bank, customer)
		if err != nil {
			t.Fatal(err)
		}
		b.Close() // so that nothing gets out
		c := storetest.Config(t, database, "bank")
		var dies atomic.Bool
		first := openPlace(t, c, b, func(c *box.Config) {
			c.Border = func(name string) {
				if name == "committed" && dies.Swap(false) {
					panic("dies")
				}
			}
		})
		span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the process goes on after the commit")
				}
			}()
			dies.Store(true)
			ctx := trace.ContextWithSpanContext(t.Context(), span)
			first.Tx(ctx, func(tx *box.Tx) error { return tx.Send(ctx, Deposited{"first", 1}) })
		}()
		first.Close()
		first.store.Close()

		if b, err = bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "test", SyncInterval: time.Minute, Logger: quiet()}, bank, customer); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		m := next(t, openPlace(t, c, b, nil).said())
		if got := trace.SpanContextFromContext(bus.Extract(context.Background(), &m)); m.Key != "first" || !got.Equal(span) {
			t.Errorf("%s has trace %v, want %v", m.Key, got, span)
		}
	})
}
