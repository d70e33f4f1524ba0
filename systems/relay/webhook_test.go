package relay_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// hook is a webhook that answers with what answer says.
type hook struct {
	t   testing.TB
	url string

	mu     sync.Mutex
	calls  []hookCall
	answer func(n int) int // status for call n; 0 is no answer as long as somebody waits for one
}

type hookCall struct {
	body, signature, id string
}

func newHook(t testing.TB) *hook {
	h := &hook{t: t, answer: func(int) int { return 204 }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			t.Errorf("called with %s, content type %q, %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		h.mu.Lock()
		h.calls = append(h.calls, hookCall{string(raw), r.Header.Get(relay.HeaderSignature), r.Header.Get(relay.HeaderDelivery)})
		status := h.answer(len(h.calls))
		h.mu.Unlock()
		if status == 0 {
			<-r.Context().Done()
			return
		}
		if status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL + "/hook?secret=1"
	return h
}

func (h *hook) subscribe(s *server, guid, cookie, secret string) {
	h.t.Helper()
	if err := s.SubscribeWebhook(h.t.Context(), "", guid, cookie, h.url, secret); err != nil {
		h.t.Fatal(err)
	}
}

// got waits for so many calls and returns all.
func (h *hook) got(n int) []hookCall {
	h.t.Helper()
	var calls []hookCall
	eventually(h.t, fmt.Sprint(n, " calls of the webhook"), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		calls = slices.Clone(h.calls)
		return len(calls) >= n
	})
	return calls
}

func quick(c *relay.Config) {
	c.Webhooks = relay.Webhooks{FirstDelay: time.Millisecond, MaxDelay: 4 * time.Millisecond, Tries: 4, Timeout: 5 * time.Second}
}

// M2 and M4 for webhooks: each its own cookie, the last one, signed; kept over a restart; ended by an empty one.
func TestWebhook(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		quick(&c)
		s := start(t, c)
		a, b := newHook(t), newHook(t)
		a.subscribe(s, "g1", "first", "")
		a.subscribe(s, "g1", "a <&> \x00 ü", "secret")
		b.subscribe(s, "g1", "b", "")
		b.subscribe(s, "g2", "b2", "")
		s.trigger("g1", 2)
		got := a.got(1)[0]
		var body map[string]string
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || len(body) != 2 || body["eventguid"] != "g1" || body["eventcookie"] != "a <&> \x00 ü" {
			t.Fatalf("body %s, %v", got.body, err)
		}
		if got.signature != relay.Signature("secret", []byte(got.body)) || len(got.signature) != 64 {
			t.Fatalf("signature %q", got.signature)
		}
		if got := b.got(1)[0]; got.body != `{"eventguid":"g1","eventcookie":"b"}` || got.signature != "" || got.id == "" {
			t.Fatalf("called with %+v", got)
		}
		eventually(t, "both answers heard", func() bool { return s.Stats().Posted == 2 }) // a call that is cut is made again
		s.stop()
		s = start(t, c)
		s.trigger("g2", 1)
		if got := b.got(2)[1]; got.body != `{"eventguid":"g2","eventcookie":"b2"}` {
			t.Fatalf("called with %+v", got)
		}
		a.subscribe(s, "g1", "", "")
		b.subscribe(s, "g1", relay.EndSubscription, "")
		s.trigger("g1", 0)
		s.trigger("g2", 1)
		if got := b.got(3); len(got) != 3 || len(a.got(1)) != 1 {
			t.Fatalf("called with %+v", got)
		}
	})
}

// A webhook gets events in their order, each again until it takes it, and not for ever.
func TestWebhookRetries(t *testing.T) {
	t.Parallel()
	s := newServer(t, quick)
	h := newHook(t)
	h.answer = func(n int) int {
		switch {
		case n <= 2:
			return 500
		case n == 3, n > 8:
			return 200
		case n == 4:
			return 302
		}
		return 404 // 5, 6 and 7, when the second event is given up; 8 is the third
	}
	for i := range 5 {
		h.subscribe(s, fmt.Sprint("g", i), "c", "")
	}
	for i := range 5 {
		s.trigger(fmt.Sprint("g", i), 1)
	}
	var order []string
	for _, c := range h.got(11) {
		order = append(order, c.body[14:16]+" "+c.id)
	}
	want := []string{"g0 1", "g0 1", "g0 1", "g1 2", "g1 2", "g1 2", "g1 2", "g2 3", "g2 3", "g3 4", "g4 5"}
	if !slices.Equal(order, want) {
		t.Fatalf("called with %q, want %q", order, want)
	}
	eventually(t, "the calls to be counted", func() bool { st := s.Stats(); return st.Posted == 4 && st.Dropped == 1 })
}

// What a webhook has not got when the server stops it gets after the start; with two nodes, once.
func TestWebhookNodes(t *testing.T) {
	t.Parallel()
	c := config(t, "postgres")
	quick(&c)
	c.Webhooks.Tries = 1000
	one, two := start(t, c), start(t, c)
	h := newHook(t)
	h.answer = func(n int) int {
		if n <= 3 {
			return 503
		}
		return 0 // this one is cut, and no other is on its way
	}
	h.subscribe(one, "g", "c", "")
	for range 5 {
		one.trigger("g", 1)
		two.trigger("g", 1)
	}
	h.got(4)
	one.stop()
	two.stop()
	h.mu.Lock()
	h.answer, h.calls = func(int) int { return 200 }, nil
	h.mu.Unlock()
	start(t, c)
	start(t, c)
	calls := h.got(10)
	seen := make(map[string]bool)
	for _, c := range calls {
		if seen[c.id] {
			t.Errorf("delivery %s came twice", c.id)
		}
		seen[c.id] = true
	}
}
