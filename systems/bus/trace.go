package bus

import (
	"context"
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var traceContext propagation.TraceContext

// Inject writes the trace that ctx is part of, if any, into the header of m, in the form of W3C Trace Context.
func Inject(ctx context.Context, m *Message) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	if m.Header == nil {
		m.Header = make(map[string]string)
	}
	traceContext.Inject(ctx, propagation.MapCarrier(m.Header))
}

// Extract returns ctx as part of the trace in the header of m; without one, ctx itself.
func Extract(ctx context.Context, m *Message) context.Context {
	if len(m.Header) == 0 {
		return ctx
	}
	return traceContext.Extract(ctx, propagation.MapCarrier(m.Header))
}

// TraceText returns the trace that ctx is part of as a text for a column of a table, so that what is done later belongs to it; "" if
// there is none.
func TraceText(ctx context.Context) string {
	var m Message
	Inject(ctx, &m)
	if len(m.Header) == 0 {
		return ""
	}
	text, err := json.Marshal(m.Header)
	if err != nil {
		panic(err) // a map of texts
	}
	return string(text)
}

// WithTraceText returns ctx as part of a trace that [TraceText] has written; with "", ctx itself.
func WithTraceText(ctx context.Context, text string) (context.Context, error) {
	if text == "" {
		return ctx, nil
	}
	var m Message
	if err := json.Unmarshal([]byte(text), &m.Header); err != nil {
		return nil, fmt.Errorf("bus: trace %.100q: %w", text, err)
	}
	return Extract(ctx, &m), nil
}
