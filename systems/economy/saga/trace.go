package saga

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
)

var tracer = otel.Tracer("github.com/hubbub-go/hubbub/systems/economy/saga")

// within runs f in a span of the trace that an instance began in: what a machine does by itself, because time has passed.
func (m *Machine[S]) within(ctx context.Context, tx *box.Tx, id, what string, f func(ctx context.Context) error) error {
	var text string
	if err := tx.QueryRow(ctx, "SELECT trace FROM saga WHERE machine = ? AND id = ?", m.name, id).Scan(&text); err != nil {
		return fmt.Errorf("saga: trace of %s %s: %w", m.name, id, err)
	}
	of, err := bus.WithTraceText(ctx, text)
	if err != nil {
		return fmt.Errorf("saga: %s %s: %w", m.name, id, err)
	}
	of, span := tracer.Start(of, m.name+" "+what)
	if err := f(of); err != nil {
		span.SetStatus(codes.Error, err.Error())
		span.End()
		return err
	}
	tx.AfterCommit(func() { span.End() }) // without one it did not happen
	return nil
}

// mark writes onto the span in which an instance changes what became of it, when it has.
func (c *Change[S]) mark(ctx context.Context, e *event[S], from State) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{
		attribute.String("saga.machine", c.machine.name), attribute.String("saga.instance", c.ID), attribute.String("saga.event", e.name),
		attribute.String("saga.from", string(from)), attribute.String("saga.state", string(c.State)),
	}
	if c.note != "" {
		attributes = append(attributes, attribute.String("saga.note", c.note))
	}
	c.Tx.AfterCommit(func() { span.AddEvent("transition", trace.WithAttributes(attributes...)) })
}
