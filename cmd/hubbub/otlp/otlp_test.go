package otlp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/cmd/hubbub/otlp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector keeps what is posted, and answers what it is told to, 200 at the end.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	got     []*http.Request
	bodies  []string
}

type answer struct {
	status int
	body   string
	after  string
}

func newCollector(t *testing.T, answers ...answer) *collector {
	c := &collector{answers: answers}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got, c.bodies = append(c.got, r), append(c.bodies, string(body))
		a := answer{status: http.StatusOK, body: "{}"}
		if len(c.answers) > 0 {
			a, c.answers = c.answers[0], c.answers[1:]
		}
		if a.after != "" {
			w.Header().Set("Retry-After", a.after)
		}
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
	}))
	t.Cleanup(c.Close)
	return c
}

// provider returns one that sends to c, and a function that ends it.
func (c *collector) provider(t *testing.T, change func(*otlp.Config)) (*sdk.TracerProvider, func() error) {
	t.Helper()
	config := otlp.Config{Endpoint: c.URL, Timeout: 20 * time.Second}
	if change != nil {
		change(&config)
	}
	p, err := otlp.Provider(config)
	if err != nil {
		t.Fatal(err)
	}
	return p, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return p.Shutdown(ctx)
	}
}

// The JSON is that of OTLP: this is what a collector reads.
func TestForm(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	p, end := c.provider(t, func(o *otlp.Config) {
		o.Service, o.Version, o.Header = "shop", "1.2", map[string]string{"Authorization": "Bearer x"}
	})
	state, err := trace.ParseTraceState("vendor=1")
	if err != nil {
		t.Fatal(err)
	}
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true})
	begun := time.Unix(1, 5)
	ctx, span := p.Tracer("first", trace.WithInstrumentationVersion("0.1")).Start(trace.ContextWithRemoteSpanContext(t.Context(), remote), "POST /purchase",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(begun), trace.WithLinks(trace.Link{SpanContext: remote, Attributes: []attribute.KeyValue{attribute.Bool("linked", true)}}),
		trace.WithAttributes(attribute.String("text", "a\"b"), attribute.Int64("long", math.MaxInt64), attribute.Float64("half", 0.5), attribute.Float64("not", math.NaN()),
			attribute.Float64("most", math.Inf(1)), attribute.Bool("yes", true), attribute.StringSlice("texts", []string{"a", "b"}), attribute.Int64Slice("numbers", []int64{1}),
			attribute.BoolSlice("bits", []bool{false}), attribute.Float64Slice("parts", []float64{1.5, math.Inf(-1)})))
	span.AddEvent("transition", trace.WithTimestamp(begun), trace.WithAttributes(attribute.String("to", "Accepted")))
	_, child := p.Tracer("second").Start(ctx, "process", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(begun))
	child.SetStatus(codes.Error, "went wrong")
	child.End(trace.WithTimestamp(begun.Add(time.Second)))
	span.SetStatus(codes.Ok, "")
	span.End(trace.WithTimestamp(begun.Add(2 * time.Second)))
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if len(c.got) != 1 {
		t.Fatalf("%d requests, want one", len(c.got))
	}
	if r := c.got[0]; r.Method != "POST" || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "Bearer x" {
		t.Errorf("%s %s, header %v", r.Method, r.URL, r.Header)
	}
	id, own, inner := span.SpanContext().TraceID(), span.SpanContext().SpanID(), child.SpanContext().SpanID()
	same(t, c.bodies[0], fmt.Sprintf(`{"resourceSpans": [{
		"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "service.version", "value": {"stringValue": "1.2"}}]},
		"scopeSpans": [
			{"scope": {"name": "second"}, "spans": [{
				"traceId": "%[1]s", "spanId": "%[3]s", "parentSpanId": "%[2]s", "traceState": "vendor=1", "flags": 257, "name": "process", "kind": 5,
				"startTimeUnixNano": "1000000005", "endTimeUnixNano": "2000000005", "status": {"code": 2, "message": "went wrong"}}]},
			{"scope": {"name": "first", "version": "0.1"}, "spans": [{
				"traceId": "%[1]s", "spanId": "%[2]s", "parentSpanId": "0200000000000000", "traceState": "vendor=1", "flags": 769, "name": "POST /purchase", "kind": 2,
				"startTimeUnixNano": "1000000005", "endTimeUnixNano": "3000000005", "status": {"code": 1},
				"attributes": [
					{"key": "text", "value": {"stringValue": "a\"b"}}, {"key": "long", "value": {"intValue": "9223372036854775807"}},
					{"key": "half", "value": {"doubleValue": 0.5}}, {"key": "not", "value": {"doubleValue": "NaN"}},
					{"key": "most", "value": {"doubleValue": "Infinity"}}, {"key": "yes", "value": {"boolValue": true}},
					{"key": "texts", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}},
					{"key": "numbers", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}},
					{"key": "bits", "value": {"arrayValue": {"values": [{"boolValue": false}]}}},
					{"key": "parts", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}, {"doubleValue": "-Infinity"}]}}}],
				"events": [{"timeUnixNano": "1000000005", "name": "transition", "attributes": [{"key": "to", "value": {"stringValue": "Accepted"}}]}],
				"links": [{"traceId": "%[1]s", "spanId": "0200000000000000", "traceState": "vendor=1", "flags": 769, "attributes": [{"key": "linked", "value": {"boolValue": true}}]}]}]}]}]}`,
		id, own, inner))
}

func same(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// one ends a span with a provider, and then the provider.
func one(t *testing.T, c *collector, change func(*otlp.Config)) error {
	t.Helper()
	p, end := c.provider(t, change)
	_, span := p.Tracer("test").Start(t.Context(), "one")
	span.End()
	return end()
}

func TestTriesAgain(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][]answer{
		"away":            {{503, "", ""}, {502, "", ""}},
		"when it says so": {{429, "", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t, answers...)
			begun := time.Now()
			if err := one(t, c, nil); err != nil {
				t.Fatal(err)
			}
			if len(c.bodies) != len(answers)+1 || c.bodies[0] != c.bodies[len(answers)] {
				t.Errorf("%d requests, want %d of the same", len(c.bodies), len(answers)+1)
			}
			if answers[0].after != "" && time.Since(begun) < time.Second {
				t.Errorf("tried again after %v, want what the collector said", time.Since(begun))
			}
		})
	}
}

func TestGivesUp(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	lost := func(c *collector, want string) {
		t.Helper()
		log.Reset()
		if err := one(t, c, func(o *otlp.Config) {
			o.Timeout, o.Logger = 300*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil))
		}); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "spans are lost") || !strings.Contains(log.String(), "spans=1") || !strings.Contains(log.String(), want) {
			t.Errorf("logged %q, want what is lost, and %q", log.String(), want)
		}
	}
	c := newCollector(t, answer{400, "no spans here", ""}, answer{307, "", ""})
	lost(c, "no spans here")
	lost(c, "status 307")
	if len(c.got) != 2 {
		t.Errorf("%d requests, want one for each", len(c.got))
	}
	c.Close()
	lost(c, "refused")
}

func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}}`: "spans=3 because=\"too old\"",
		`{"partialSuccess": {"rejectedSpans": 2}}`:                              "spans=2",
		`{"partialSuccess": {}}`:                                                "",
		`ok`:                                                                    "",
	} {
		c := newCollector(t, answer{200, body, ""})
		var log bytes.Buffer
		if err := one(t, c, func(o *otlp.Config) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) }); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), want) || want == "" && log.Len() > 0 {
			t.Errorf("%s: logged %q, want %q", body, log.String(), want)
		}
	}
}

// The log does not have the password of a collector.
func TestSecretStays(t *testing.T) {
	t.Parallel()
	for _, a := range []answer{{400, "no", ""}, {503, "later", ""}} {
		c := newCollector(t, a, a, a, a, a)
		var log bytes.Buffer
		if err := one(t, c, func(o *otlp.Config) {
			o.Endpoint = strings.Replace(o.Endpoint, "http://", "http://me:secret@", 1)
			o.Timeout, o.Logger = 300*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil))
		}); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "spans are lost") || strings.Contains(log.String(), "secret") {
			t.Errorf("logged %q, want what is lost without the password", log.String())
		}
		if name, password, _ := c.got[0].BasicAuth(); name != "me" || password != "secret" {
			t.Errorf("the collector was told %q, %q, want who asks", name, password)
		}
	}
	if _, err := otlp.Start(otlp.Config{Endpoint: "http://me:secret@localhost?x"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad endpoint: %v, want an error without the password", err)
	}
}

// A ratio is for traces that begin here; others are as their beginner says.
func TestRatio(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	p, end := c.provider(t, func(o *otlp.Config) { o.Ratio = 1e-12 })
	_, own := p.Tracer("test").Start(t.Context(), "own")
	own.End()
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	_, other := p.Tracer("test").Start(trace.ContextWithRemoteSpanContext(t.Context(), remote), "other")
	other.End()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if len(c.bodies) != 1 || strings.Contains(c.bodies[0], `"own"`) || !strings.Contains(c.bodies[0], `"other"`) {
		t.Errorf("got %s, want the other one alone", c.bodies)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]otlp.Config{
		"nothing": {}, "scheme": {Endpoint: "grpc://localhost:4317"}, "no host": {Endpoint: "http:///v1"}, "query": {Endpoint: "http://localhost?x"},
		"ratio": {Endpoint: "http://localhost", Ratio: 1.5}, "negative": {Endpoint: "http://localhost", Ratio: -1},
	} {
		if _, err := otlp.Start(c); err == nil || !strings.HasPrefix(err.Error(), "otlp: ") {
			t.Errorf("%s: %v, want an error", name, err)
		}
	}
}
