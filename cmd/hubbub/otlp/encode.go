package otlp

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The messages of OTLP, as their JSON form is: ids in hexadecimal, numbers of 64 bits as texts, enumerations as numbers.
type (
	request struct {
		ResourceSpans []*resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   attributes    `json:"resource"`
		ScopeSpans []*scopeSpans `json:"scopeSpans"`
	}
	attributes struct {
		Attributes []keyValue `json:"attributes,omitempty"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	span struct {
		TraceID           string     `json:"traceId"`
		SpanID            string     `json:"spanId"`
		ParentSpanID      string     `json:"parentSpanId,omitempty"`
		TraceState        string     `json:"traceState,omitempty"`
		Flags             uint32     `json:"flags"`
		Name              string     `json:"name"`
		Kind              int        `json:"kind"`
		Start             string     `json:"startTimeUnixNano"`
		End               string     `json:"endTimeUnixNano"`
		Attributes        []keyValue `json:"attributes,omitempty"`
		DroppedAttributes int        `json:"droppedAttributesCount,omitempty"`
		Events            []event    `json:"events,omitempty"`
		DroppedEvents     int        `json:"droppedEventsCount,omitempty"`
		Links             []link     `json:"links,omitempty"`
		DroppedLinks      int        `json:"droppedLinksCount,omitempty"`
		Status            status     `json:"status"`
	}
	event struct {
		Time       string     `json:"timeUnixNano"`
		Name       string     `json:"name"`
		Attributes []keyValue `json:"attributes,omitempty"`
	}
	link struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		TraceState string     `json:"traceState,omitempty"`
		Attributes []keyValue `json:"attributes,omitempty"`
		Flags      uint32     `json:"flags"`
	}
	status struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
	keyValue struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

// encode returns spans as an ExportTraceServiceRequest.
func encode(spans []sdk.ReadOnlySpan) ([]byte, error) {
	var r request
	type place struct {
		of    attribute.Distinct
		scope string
	}
	byResource, byScope := make(map[attribute.Distinct]*resourceSpans), make(map[place]*scopeSpans)
	for _, s := range spans {
		of := s.Resource().Equivalent()
		inside, found := byResource[of]
		if !found {
			inside = &resourceSpans{Resource: attributes{keyValues(s.Resource().Attributes())}}
			byResource[of] = inside
			r.ResourceSpans = append(r.ResourceSpans, inside)
		}
		own := s.InstrumentationScope()
		among, found := byScope[place{of, own.Name + " " + own.Version}]
		if !found {
			among = &scopeSpans{Scope: scope{own.Name, own.Version}}
			byScope[place{of, own.Name + " " + own.Version}] = among
			inside.ScopeSpans = append(inside.ScopeSpans, among)
		}
		among.Spans = append(among.Spans, spanOf(s))
	}
	return json.Marshal(r)
}

func spanOf(s sdk.ReadOnlySpan) span {
	c, parent := s.SpanContext(), s.Parent()
	o := span{
		TraceID: c.TraceID().String(), SpanID: c.SpanID().String(), TraceState: c.TraceState().String(), Flags: flags(c, parent), Name: s.Name(),
		Kind: int(s.SpanKind()), Start: nanos(s.StartTime()), End: nanos(s.EndTime()), Attributes: keyValues(s.Attributes()),
		DroppedAttributes: s.DroppedAttributes(), DroppedEvents: s.DroppedEvents(), DroppedLinks: s.DroppedLinks(),
	}
	if parent.HasSpanID() {
		o.ParentSpanID = parent.SpanID().String()
	}
	for _, e := range s.Events() {
		o.Events = append(o.Events, event{nanos(e.Time), e.Name, keyValues(e.Attributes)})
	}
	for _, l := range s.Links() {
		of := l.SpanContext
		o.Links = append(o.Links, link{of.TraceID().String(), of.SpanID().String(), of.TraceState().String(), keyValues(l.Attributes), flags(of, of)})
	}
	switch s.Status().Code {
	case codes.Ok:
		o.Status.Code = 1
	case codes.Error:
		o.Status.Code, o.Status.Message = 2, s.Status().Description
	}
	return o
}

// flags are those of W3C, and whether the parent is of another process.
func flags(c, parent trace.SpanContext) uint32 {
	f := uint32(c.TraceFlags()) | 0x100
	if parent.IsRemote() {
		f |= 0x200
	}
	return f
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func keyValues(all []attribute.KeyValue) []keyValue {
	list := make([]keyValue, len(all))
	for i, a := range all {
		list[i] = keyValue{string(a.Key), value(a.Value.AsInterface())}
	}
	return list
}

// value returns an AnyValue.
func value(v any) map[string]any {
	switch v := v.(type) {
	case bool:
		return map[string]any{"boolValue": v}
	case int64:
		return map[string]any{"intValue": strconv.FormatInt(v, 10)}
	case float64:
		return map[string]any{"doubleValue": double(v)}
	case string:
		return map[string]any{"stringValue": v}
	case []bool:
		return array(v)
	case []int64:
		return array(v)
	case []float64:
		return array(v)
	case []string:
		return array(v)
	}
	return map[string]any{}
}

// double returns a number, or its name if JSON has no such number.
func double(v float64) any {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return v
}

func array[T any](all []T) map[string]any {
	values := make([]map[string]any, len(all))
	for i, v := range all {
		values[i] = value(v)
	}
	return map[string]any{"arrayValue": map[string]any{"values": values}}
}
