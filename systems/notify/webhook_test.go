package notify_test

import (
	"crypto/hmac"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/notify"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// receiver is the other end of a webhook.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []hookCall
	answer func(n int, w http.ResponseWriter) // of call n, with the lock held
}

type hookCall struct {
	body, signature, id, contentType string
	at                               time.Time
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter)) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, hookCall{string(body), req.Header.Get("X-PORTOS-WEBHOOK-SIGNATURE"),
			req.Header.Get("X-PORTOS-WEBHOOK-ID"), req.Header.Get("Content-Type"), time.Now()})
		if r.answer != nil {
			r.answer(len(r.calls), w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []hookCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]hookCall(nil), r.calls...)
}

func (r *receiver) wait(s *server, n int) []hookCall {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%d calls of the webhook", n), func() bool { return len(r.got()) >= n })
	return r.got()
}

func status(code int) func(int, http.ResponseWriter) {
	return func(_ int, w http.ResponseWriter) { w.WriteHeader(code) }
}

func fast(c *notify.Config) {
	c.Webhooks = notify.Webhooks{Tries: 3, FirstDelay: 20 * time.Millisecond, MaxDelay: 50 * time.Millisecond, Timeout: time.Second}
}

func (s *server) hook(url, more string) string {
	s.t.Helper()
	return s.want(201, "POST", "/api/v1/webhooks", s.token("admin", "x"), `{"url":"`+url+`","secret":"s3cret",`+more+`}`)["id"].(string)
}

const allOf = `"e":"portos.resources.changed"`

func TestO17Webhook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		conf := config(t, database)
		fast(&conf)
		s, _ := start(t, conf)
		admin, pub := s.token("admin", "x"), s.token("publisher", "x")
		r := newReceiver(t, nil)
		c := s.connect(s.token("waiter", "PDA"))
		c.subscribe(allChanges)
		s.hook(r.URL+"/hook", allOf+`,"r":[{"n":"tickets","a":["deleted"]},{"n":"devices"}]`)
		s.publish(pub, change("tickets", 1, "not wanted", 1))
		id := s.publish(pub, change("tickets", 3, "t", 1))
		s.publish(pub, change("devices", 1, "d", 1))
		calls := r.wait(s, 2)
		events := c.expect("tickets 1 not wanted", "tickets 3 t", "devices 1 d")
		if calls[0].body != string(events[1].raw) || calls[1].body != string(events[2].raw) {
			t.Errorf("webhook read %s, hub %s", calls[0].body, events[1].raw)
		}
		if calls[0].id != id || !strings.HasPrefix(calls[0].contentType, "application/json") {
			t.Errorf("got %+v", calls[0])
		}
		if want := notify.Signature("s3cret", []byte(calls[0].body)); !hmac.Equal([]byte(calls[0].signature), []byte(want)) || len(want) != 64 {
			t.Errorf("signature %s, want %s", calls[0].signature, want)
		}
		if calls[0].signature == notify.Signature("wrong", []byte(calls[0].body)) {
			t.Error("a wrong secret verifies")
		}
		_, raw, _ := s.raw("GET", "/api/v1/webhooks", admin, nil)
		if !strings.Contains(string(raw), `"hasSecret":true`) || strings.Contains(string(raw), "s3cret") ||
			!strings.Contains(string(raw), `"e":"portos.resources.changed","r":[{"n":"devices"},{"n":"tickets","a":["deleted"]}]`) {
			t.Errorf("list: %s", raw)
		}
	})
}

// TestO17Parked has a receiver that never takes anything: tries with growing pauses, then the parked list, from which a retry
// starts anew and keeps its place.
func TestO17Parked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		conf := config(t, database)
		fast(&conf)
		s, _ := start(t, conf)
		admin, pub := s.token("admin", "x"), s.token("publisher", "x")
		r := newReceiver(t, status(500))
		s.hook(r.URL, allOf)
		s.publish(pub, change("tickets", 1, "first", 1))
		s.publish(pub, change("tickets", 2, "second", 2))
		parked := func() []any {
			return s.want(200, "GET", "/api/v1/webhooks/parked", admin, nil)["items"].([]any)
		}
		s.eventually("two parked", func() bool { return len(parked()) == 2 })
		calls := r.got()
		if len(calls) != 6 {
			t.Fatalf("%d calls, want 3 for each of 2", len(calls))
		}
		for i, call := range calls {
			if want := []string{"first", "second"}[i/3]; !strings.Contains(call.body, want) {
				t.Errorf("call %d is %s, want %s: order", i, call.body, want)
			}
		}
		for i, least := range []time.Duration{15 * time.Millisecond, 30 * time.Millisecond} {
			if pause := calls[i+1].at.Sub(calls[i].at); pause < least {
				t.Errorf("pause %d was %v, want at least %v", i+1, pause, least)
			}
		}
		first := parked()[0].(map[string]any)
		if first["error"] != "status 500, want 2xx" || first["tries"] != 3.0 ||
			!strings.Contains(fmt.Sprint(first["notification"]), "first") || first["notificationId"] != calls[0].id {
			t.Errorf("parked: %v", first)
		}
		r.mu.Lock()
		r.answer = nil
		r.mu.Unlock()
		path := "/api/v1/webhooks/parked/" + first["id"].(string)
		s.want(403, "POST", path+"/retry", s.token("waiter", "x"), nil)
		s.want(202, "POST", path+"/retry", admin, nil)
		s.eventually("one parked", func() bool { return len(parked()) == 1 })
		if calls := r.wait(s, 7); !strings.Contains(calls[6].body, "first") {
			t.Errorf("retried %s", calls[6].body)
		}
		s.want(404, "POST", path+"/retry", admin, nil)
		s.want(404, "POST", "/api/v1/webhooks/parked/x/retry", admin, nil)
		s.want(204, "DELETE", "/api/v1/webhooks/parked/"+parked()[0].(map[string]any)["id"].(string), admin, nil)
		if n := len(parked()); n != 0 {
			t.Errorf("%d parked after the last was removed", n)
		}
	})
}

func TestWebhookSurvivesRestart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		conf := config(t, database)
		conf.Webhooks.FirstDelay = 100 * time.Millisecond
		conf.Webhooks.Tries = 100
		s, stop := start(t, conf)
		r := newReceiver(t, status(503))
		s.hook(r.URL, allOf)
		for v := range 3 {
			s.publish(s.token("publisher", "x"), change("tickets", 1, fmt.Sprint(v), v))
		}
		before := len(r.wait(s, 1))
		stop()
		r.mu.Lock()
		r.answer = nil
		r.calls = r.calls[:0]
		r.mu.Unlock()
		s, _ = start(t, conf)
		for i, call := range r.wait(s, 3) {
			if !strings.Contains(call.body, fmt.Sprintf(`"v":%d}`, i)) {
				t.Errorf("call %d after the restart: %s", i, call.body)
			}
		}
		t.Log(before, "calls before")
	})
}

// TestWebhookStopDuringCall stops the system while a receiver does not answer: it does not wait for it, and calls again.
func TestWebhookStopDuringCall(t *testing.T) {
	t.Parallel()
	conf := config(t, "sqlite")
	conf.Webhooks.Timeout = time.Hour
	s, stop := start(t, conf)
	release := make(chan struct{})
	entered := make(chan struct{}, 2)
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		entered <- struct{}{}
		select {
		case <-release:
		case <-req.Context().Done():
		}
	}))
	defer h.Close()
	s.hook(h.URL, allOf)
	s.publish(s.token("publisher", "x"), change("tickets", 1, "t", 1))
	<-entered
	stop()
	start(t, conf)
	<-entered // at once: the lease was given back
	close(release)
}

// TestWebhooksAreIndependent has one receiver that hangs: the others get theirs.
func TestWebhooksAreIndependent(t *testing.T) {
	t.Parallel()
	s := newServer(t, fast)
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer slow.Close()
	defer close(hang)
	good := newReceiver(t, nil)
	s.hook(slow.URL, allOf)
	s.hook(good.URL, allOf)
	for v := range 5 {
		s.publish(s.token("publisher", "x"), change("tickets", 1, "t", v))
	}
	good.wait(s, 5)
}

func TestWebhookRedirectsAndExpiry(t *testing.T) {
	t.Parallel()
	s := newServer(t, fast)
	admin, pub := s.token("admin", "x"), s.token("publisher", "x")
	target := newReceiver(t, nil)
	redirect := newReceiver(t, func(_ int, w http.ResponseWriter) {
		w.Header().Set("Location", target.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	id := s.hook(redirect.URL, allOf)
	s.publish(pub, change("tickets", 1, "t", 1))
	var parked []any
	s.eventually("the redirect to be parked", func() bool {
		parked = s.want(200, "GET", "/api/v1/webhooks/parked", admin, nil)["items"].([]any)
		return len(parked) == 1
	})
	if got := parked[0].(map[string]any)["error"]; got != "status 307, want 2xx" || len(target.got()) != 0 {
		t.Errorf("parked for %v, the target had %d calls", got, len(target.got()))
	}
	s.want(204, "DELETE", "/api/v1/webhooks/"+id, admin, nil)
	s.want(404, "DELETE", "/api/v1/webhooks/"+id, admin, nil)
	if m := s.want(200, "GET", "/api/v1/webhooks/parked", admin, nil); m["count"] != 0.0 {
		t.Errorf("parked of a removed webhook: %v", m)
	}
	// What expires while it waits is not sent any more.
	refusing := newReceiver(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			w.WriteHeader(500)
		}
	})
	s.hook(refusing.URL, allOf)
	n := change("tickets", 1, "short", 1)
	n["ea"] = time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339Nano)
	s.publish(pub, n)
	refusing.wait(s, 2) // in time
	n["ea"] = "2020-01-01T00:00:00Z"
	s.publish(pub, n)
	s.publish(pub, change("tickets", 1, "last", 1))
	if calls := refusing.wait(s, 3); !strings.Contains(calls[2].body, "last") {
		t.Errorf("got %s", calls[2].body)
	}
}

func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.Limits.Webhooks = 1 })
	admin := s.token("admin", "x")
	for body, member := range map[string]string{
		`{` + allOf + `}`:                                             "url",
		`{"url":5,` + allOf + `}`:                                     "url",
		`{"url":"ftp://x/y",` + allOf + `}`:                           "url",
		`{"url":"file:///etc",` + allOf + `}`:                         "url",
		`{"url":"http://",` + allOf + `}`:                             "url",
		`{"url":"http://u:p@x",` + allOf + `}`:                        "url",
		`{"url":"::",` + allOf + `}`:                                  "url",
		`{"url":"http://x","secret":1,` + allOf + `}`:                 "secret",
		`{"url":"http://x"}`:                                          "e",
		`{"url":"http://x",` + allOf + `,"r":[{"n":"x","a":["no"]}]}`: "r[0].a[0]",
		`[]`: "",
	} {
		m := s.want(400, "POST", "/api/v1/webhooks", admin, body)
		if got := m["errors"].([]any)[0].(map[string]any)["memberName"]; got != member {
			t.Errorf("%s: member %v, want %q", body, got, member)
		}
	}
	for _, method := range []string{"GET", "POST"} {
		if m := s.want(403, method, "/api/v1/webhooks", s.token("waiter", "x"), "{}"); m["errorCode"] != 2.0 {
			t.Errorf("without the right: %v", m)
		}
	}
	s.hook("http://127.0.0.1:1/", allOf)
	s.want(400, "POST", "/api/v1/webhooks", admin, `{"url":"http://127.0.0.1:1/",`+allOf+`}`)
}

// TestWebhookRights: a webhook reads no more than who registered it.
func TestWebhookRights(t *testing.T) {
	t.Parallel()
	s := newServer(t, fast, func(c *notify.Config) { c.Rights = map[string]string{"users": "userGet"} })
	r := newReceiver(t, nil)
	limited := s.sign(map[string]any{"sub": "int", "role": "webhookManage"})
	s.want(201, "POST", "/api/v1/webhooks", limited, `{"url":"`+r.URL+`",`+allOf+`}`)
	pub := s.token("publisher", "x")
	s.publish(pub, change("users", 1, "u", 1))
	s.publish(pub, change("tickets", 1, "t", 1))
	if calls := r.wait(s, 1); !strings.Contains(calls[0].body, "tickets") || calls[0].signature != "" {
		t.Errorf("got %+v", calls)
	}
}

// TestWebhookOfNodes: two nodes on one database call a webhook once for each notification, in order.
func TestWebhookOfNodes(t *testing.T) {
	t.Parallel()
	a, b := cluster(t, fast)
	r := newReceiver(t, nil)
	a.hook(r.URL, allOf)
	probe := newReceiver(t, nil)
	b.hook(probe.URL, `"e":"portos.resources.changed","r":[{"n":"none"}]`)
	b.eventually("both nodes to know both", func() bool {
		b.publish(b.token("publisher", "x"), change("none", 1, "p", 1))
		a.publish(a.token("publisher", "x"), change("none", 1, "p", 1))
		return len(probe.got()) >= 2 && len(r.got()) >= 2
	})
	pub := a.token("publisher", "x")
	for v := range 10 {
		node := []*server{a, b}[v%2]
		node.publish(pub, change("tickets", 2, "t", 1000+v))
	}
	a.eventually("ten calls", func() bool {
		n := 0
		for _, call := range r.got() {
			if strings.Contains(call.body, "tickets") {
				if !strings.Contains(call.body, fmt.Sprintf(`"v":%d}`, 1000+n)) {
					t.Fatalf("call %d is %s", n, call.body)
				}
				n++
			}
		}
		return n == 10
	})
}
