package tracetest_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// client returns a span of a client, and how it names it in its request.
func client() (span trace.SpanContext, traceparent string) {
	a, b := uuid.New(), uuid.New()
	span = trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(a), SpanID: trace.SpanID(b[:8]), TraceFlags: trace.FlagsSampled})
	return span, fmt.Sprintf("00-%s-%s-01", span.TraceID(), span.SpanID())
}

// of returns the spans of a trace that have ended.
func of(id trace.TraceID) (all []tracetest.SpanStub) {
	for _, s := range spans.GetSpans() {
		if s.SpanContext.TraceID() == id {
			all = append(all, s)
		}
	}
	return all
}

// tree draws the spans below one, by name, each with what was noted on it.
func tree(all []tracetest.SpanStub, below trace.SpanID, indent string) string {
	var lines []string
	for _, s := range all {
		if s.Parent.SpanID() != below {
			continue
		}
		line := fmt.Sprintf("%s%s (%s)", indent, s.Name, s.SpanKind)
		for _, e := range s.Events {
			line += ", " + e.Name
			for _, a := range e.Attributes {
				if slices.Contains([]string{"saga.from", "saga.state", "exception.type"}, string(a.Key)) && a.Value.String() != "" {
					line += " " + a.Value.String()
				}
			}
		}
		if s.Status.Code == codes.Error {
			line += ", error"
		}
		lines = append(lines, line+"\n"+tree(all, s.SpanContext.SpanID(), indent+"  "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// sees waits until the spans below a client's look like this.
func (w *world) sees(span trace.SpanContext, want string) {
	w.t.Helper()
	want = strings.TrimPrefix(want, "\n")
	var got string
	if !within(func() bool {
		got = tree(of(span.TraceID()), span.SpanID(), "")
		return got == want
	}) {
		w.t.Errorf("the trace is\n%s\nwant\n%s", got, want)
	}
	if n := len(of(span.TraceID())); n != strings.Count(want, "\n") {
		w.t.Errorf("%d spans of the trace, want the %d below the client's", n, strings.Count(want, "\n"))
	}
}

// completed is the trace of a purchase that goes well. docs/economy.md has it too.
const completed = `
POST /purchase (server), transition Accepted
  process inventory GrantItems (consumer)
    process trading InventoryItemsGranted (consumer), transition Accepted ItemsGranted
      process identity DebitGil (consumer)
        process trading GilDebited (consumer), transition ItemsGranted GilDebited
          process inventory DeliverItems (consumer)
            process trading InventoryItemUpdated (consumer)
            process trading InventoryItemsDelivered (consumer), transition GilDebited Completed
              push ReceivePurchaseStatus (producer)
          push ReceivePurchaseProgress (producer)
        process trading UserUpdated (consumer)
      push ReceivePurchaseProgress (producer)
  push ReceivePurchaseProgress (producer)
`

// A purchase that goes well is one trace, which the client has begun.
func TestCompleted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, time.Minute)
		heard := w.listen()
		span, traceparent := client()
		id := uuid.New()
		if status := w.post(2, id, w.token(), traceparent); status != http.StatusAccepted {
			t.Fatalf("status %d", status)
		}
		w.hears(heard, id, "Completed")
		w.sees(span, completed)
	})
}

func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/economy.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "```"+completed+"```") {
		t.Errorf("docs/economy.md has not the trace%s", completed)
	}
}

// So is one that is refused, with what takes it back.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", time.Minute)
	heard := w.listen()
	span, traceparent := client()
	id := uuid.New()
	w.post(21, id, w.token(), traceparent)
	w.hears(heard, id, "Faulted")
	w.sees(span, `
POST /purchase (server), transition Accepted
  process inventory GrantItems (consumer)
    process trading InventoryItemsGranted (consumer), transition Accepted ItemsGranted
      process identity DebitGil (consumer), refused InsufficientFundsException
        process trading Fault.DebitGil (consumer), transition ItemsGranted Faulted
          process inventory SubtractItems (consumer)
            process trading InventoryItemsSubtracted (consumer)
          push ReceivePurchaseStatus (producer)
      push ReceivePurchaseProgress (producer)
  push ReceivePurchaseProgress (producer)
`)
}

// What the machine does because time has passed belongs to the trace of the purchase: the command is sent again, at the deadline the
// purchase is called off, and the buyer is told when there is one. Nothing in memory knows the trace by then.
func TestDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", 4*time.Second)
	w.identity.Close()
	span, traceparent := client()
	id := uuid.New()
	w.post(1, id, w.token(), traceparent)
	has := func(all []tracetest.SpanStub, name string) bool {
		return slices.ContainsFunc(all, func(s tracetest.SpanStub) bool { return s.Name == name })
	}
	w.eventually("the purchase is called off", func() bool { return has(of(span.TraceID()), "purchase timer deadline") })
	w.openIdentity() // closed by the cleanup of the world
	w.hears(w.listen(), id, "Faulted")
	names := []string{
		"POST /purchase", "purchase resend DebitGil", "purchase timer deadline", "process identity DebitGil", "process identity RefundGil",
		"process inventory SubtractItems", "process trading GilRefunded", "process trading InventoryItemsSubtracted", "push ReceivePurchaseStatus",
	}
	var all []tracetest.SpanStub
	w.eventually("all spans have ended", func() bool {
		all = of(span.TraceID())
		return !slices.ContainsFunc(names, func(name string) bool { return !has(all, name) })
	})
	parents := map[string]string{ // where there is but one
		"POST /purchase": "", "purchase resend DebitGil": "POST /purchase", "purchase timer deadline": "POST /purchase",
		"process inventory SubtractItems": "purchase timer deadline", "push ReceivePurchaseStatus": "purchase timer deadline",
	}
	byID := make(map[trace.SpanID]string)
	for _, s := range all {
		byID[s.SpanContext.SpanID()] = s.Name
	}
	for _, s := range all {
		if want, told := parents[s.Name]; told && byID[s.Parent.SpanID()] != want {
			t.Errorf("parent of %s is %q, want %q", s.Name, byID[s.Parent.SpanID()], want)
		}
		if s.Name == "purchase timer deadline" && len(s.Events) != 1 {
			t.Errorf("events of %s: %v, want the transition", s.Name, s.Events)
		}
	}
}

// A client without a trace begins one; what is refused at the door is a span with its status and nothing else.
func TestRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", time.Minute)
	span, traceparent := client()
	if status := w.post(1, uuid.New(), "", traceparent); status != http.StatusUnauthorized {
		t.Errorf("status %d without a token", status)
	}
	w.sees(span, `
POST /purchase (server)
`)
	want := map[string]string{
		"http.request.method": "POST", "http.route": "/purchase", "url.path": "/purchase", "url.scheme": "http", "http.response.status_code": "401",
	}
	for _, a := range of(span.TraceID())[0].Attributes {
		if want[string(a.Key)] != a.Value.String() {
			t.Errorf("attribute %s is %s, want %q", a.Key, a.Value.String(), want[string(a.Key)])
		}
		delete(want, string(a.Key))
	}
	if len(want) > 0 {
		t.Errorf("no attributes %v", want)
	}

	id := uuid.New()
	if status := w.post(1, id, w.token(), ""); status != http.StatusAccepted {
		t.Fatalf("status %d", status)
	}
	w.eventually("a trace that begins here has the grant", func() bool {
		for _, s := range spans.GetSpans() {
			for _, a := range s.Attributes {
				if s.Name != "process inventory GrantItems" || a.Key != "messaging.message.conversation_id" || a.Value.AsString() != id.String() {
					continue
				}
				return strings.HasPrefix(tree(of(s.SpanContext.TraceID()), trace.SpanID{}, ""), "POST /purchase (server), transition Accepted\n  process inventory GrantItems")
			}
		}
		return false
	})
}
