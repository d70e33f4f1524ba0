package box

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hubbub-go/hubbub/systems/bus"
)

var tracer = otel.Tracer("github.com/hubbub-go/hubbub/systems/bus/box")

// job is a delivery with the span of its handling: from the moment it came until it is settled, whatever number of transactions
// that takes. What is sent meanwhile continues it.
type job struct {
	*bus.Delivery
	ctx  context.Context
	span trace.Span
}

// asConsumer is shared, so that a span that nobody looks at costs next to nothing.
var asConsumer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}

// begin starts the span of a delivery, as part of the trace that the message came with. Names are those of OpenTelemetry's
// conventions for messaging.
func (c *consumer) begin(ctx context.Context, d *bus.Delivery) job {
	ctx, span := tracer.Start(bus.Extract(ctx, &d.Message), c.spanName(d.Topic), asConsumer...)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.operation.name", "process"), attribute.String("messaging.destination.name", d.Topic),
			attribute.String("messaging.consumer.group.name", c.queue), attribute.String("messaging.message.id", d.ID),
			attribute.String("messaging.message.conversation_id", d.Key), attribute.Int("messaging.message.body.size", len(d.Body)))
		if d.Attempt > 1 {
			span.SetAttributes(attribute.Int("hubbub.message.attempt", d.Attempt))
		}
	}
	return job{d, ctx, span}
}

func (c *consumer) spanName(topic string) string {
	if name, handled := c.names[topic]; handled {
		return name
	}
	return "process " + c.queue + " " + topic
}

// became notes on the span what became of a delivery, when it is not the usual.
func (j job) became(o outcome) {
	switch {
	case o.bury != "":
		j.span.SetStatus(codes.Error, o.bury)
	case !j.span.IsRecording():
	case o.early:
		j.span.AddEvent("too early")
	case o.ignored:
		j.span.AddEvent("ignored")
	}
}

// mark notes something on the span of ctx when the transaction is committed.
func (t *Tx) mark(ctx context.Context, event string, attributes ...attribute.KeyValue) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		t.AfterCommit(func() { span.AddEvent(event, trace.WithAttributes(attributes...)) })
	}
}
