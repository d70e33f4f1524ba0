package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// watcher is a client of the catalog of either generation.
type watcher struct {
	t       *testing.T
	on      hubbub.Invoker
	updates chan string
}

func (w *watcher) heard() hubbub.Method {
	w.updates = make(chan string, 100)
	return hubbub.Action1(func(_ context.Context, event json.RawMessage) error { w.updates <- string(event); return nil })
}

func (w *watcher) subscribe(key string) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	return w.on.Invoke(ctx, nil, "SubscribeToPart", key)
}

func (w *watcher) wants(event string) {
	w.t.Helper()
	select {
	case got := <-w.updates:
		if got != event {
			w.t.Errorf("update %s, want %s", got, event)
		}
	case <-time.After(10 * time.Second):
		w.t.Fatalf("no update, want %s", event)
	}
}

// watchClassic connects the Go client of classic SignalR, with a token of a type.
func watchClassic(t *testing.T, s *running, path, authorization string, transport classic.Transport) (*watcher, *classic.Client) {
	t.Helper()
	c := classic.NewClient(s.url+path, &classic.ClientOptions{ExactURL: true, Transports: transport, Header: http.Header{"Authorization": {authorization}}})
	w := &watcher{t: t, on: c.Hub("ResourceEventHub")}
	c.Hub("ResourceEventHub").On("Update", w.heard())
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return w, c
}

func watchCore(t *testing.T, s *running, token string) *watcher {
	t.Helper()
	c := signalr.NewClient(s.url+"/centro/events", &signalr.ClientOptions{Token: func(context.Context) (string, error) { return token, nil }})
	w := &watcher{t: t, on: c}
	c.On("Update", w.heard())
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return w
}

// TestCatalog: classic and Core clients of the running server hear what is published with a token of hubbub token or of the demo
// user, and its counters show it.
func TestCatalog(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	plain := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann"))
	publisher := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "import", "--scope", "catalog:publish"))
	demo, status := s.login(t, "demo", s.password(t))
	if status != http.StatusOK {
		t.Fatalf("login: status %d", status)
	}
	old, c := watchClassic(t, s, "/Centro/signalr", "Bearer "+plain, classic.AllTransports)
	polling, _ := watchClassic(t, s, "/centro/SIGNALR", "bearer "+demo, classic.LongPolling)
	core := watchCore(t, s, demo)
	all := []*watcher{old, polling, core}
	for _, w := range all {
		if err := w.subscribe("Part"); err != nil {
			t.Fatal(err)
		}
	}
	if c.Transport() != classic.WebSockets {
		t.Errorf("transport %v, want WebSockets", c.Transport())
	}
	for i, token := range []string{publisher, demo} {
		path := []string{"/centro/parts/Part/events", "/CENTRO/Parts/Part/Events"}[i]
		if res, body := s.do(t, "POST", path, token, `{"Version":1.10}`); res.StatusCode != http.StatusAccepted {
			t.Fatalf("publish: status %d, %s", res.StatusCode, body)
		}
		for _, w := range all {
			w.wants(`{"Version":1.10}`)
		}
	}
	for path, want := range map[string]int{"/centro/parts/part/events": 202, "/centro/pipelines/7/events": 202, "/centro/jobs/7/events": 404} {
		if res, body := s.do(t, "POST", path, publisher, `{}`); res.StatusCode != want {
			t.Errorf("POST %s: status %d, want %d: %s", path, res.StatusCode, want, body)
		}
	}
	if res, _ := s.do(t, "POST", "/centro/parts/Part/events", plain, `{}`); res.StatusCode != http.StatusForbidden {
		t.Errorf("publish without the scope: status %d, want 403", res.StatusCode)
	}
	_, body := s.do(t, "GET", "/metrics", "", "")
	for _, want := range []string{"\nhubbub_catalog_events_total 4\n", "\nhubbub_catalog_events_unheard_total 2\n", "\nhubbub_catalog_subscriptions_refused_total 0\n",
		"\nhubbub_connections{hub=\"ResourceEventHub\"} 2\n", "\nhubbub_connections{hub=\"CatalogEventHub\"} 1\n", "\nhubbub_connections{hub=\"JobEventHub\"} 0\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	_, body = s.do(t, "GET", "/status", "", "")
	for _, want := range []string{`"name":"ResourceEventHub","path":"/Centro/signalr"`, `"name":"JobEventHub","path":"/Centro/signalr"`, `"name":"CatalogEventHub","path":"/centro/events"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	s.stop <- os.Interrupt // with clients on every transport
	if code := s.wait(t); code != exitOK {
		t.Errorf("exit code %d, want 0\n%s", code, s.stderr)
	}
}

// TestCatalogSettings: each of them does what it says.
func TestCatalogSettings(t *testing.T) {
	t.Parallel()
	config := file(t, "hubbub.yaml", `
catalog:
  path: /signalr
  tokenTypes: [Centro, Bearer]
  maxSubscriptionsPerConnection: 2
  maxEventSize: 200
  schema: true
  resourceRight: resources
  jobRight: jobs
  partRights: {secret: "catalog:secret", "*": "catalog:read"}
  classic: {transports: [longPolling], disconnectTimeout: 12s, keepAlive: 4s}
`)
	s := start(t, t.TempDir(), nil, "--config", config)
	token := func(scopes string) string {
		return strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", scopes))
	}
	w, c := watchClassic(t, s, "/SignalR", "Centro "+token("resources catalog:read"), classic.AllTransports)
	if c.Transport() != classic.LongPolling {
		t.Errorf("transport %v, want LongPolling", c.Transport())
	}
	if err := w.subscribe("secret"); err == nil || !strings.Contains(err.Error(), `You may not watch the part "secret".`) {
		t.Errorf("subscribe without the right: %v", err)
	}
	for i, key := range []string{"1", "2", "3"} {
		if err := w.subscribe(key); (err == nil) != (i < 2) {
			t.Errorf("subscription %d: %v, want two", i+1, err)
		}
	}
	publisher := token("catalog:publish")
	for body, want := range map[string]int{`{}`: 400, `{"EventType":1,"ResourceKey":"r"}`: 202, `"` + strings.Repeat("x", 200) + `"`: 413} {
		if res, text := s.do(t, "POST", "/centro/parts/1/events", publisher, body); res.StatusCode != want {
			t.Errorf("publish %.40s: status %d, want %d: %s", body, res.StatusCode, want, text)
		}
	}
	negotiateAt := func(hub, token string) (*http.Response, string) {
		return s.do(t, "GET", "/signalr/negotiate?clientProtocol=2.1&connectionData="+url.QueryEscape(`[{"name":"`+hub+`"}]`), token, "")
	}
	if res, body := negotiateAt("jobeventhub", token("jobs")); res.StatusCode != 200 ||
		!strings.Contains(body, `"KeepAliveTimeout":8.0,"DisconnectTimeout":12.0`) || !strings.Contains(body, `"TryWebSockets":false`) {
		t.Errorf("negotiate: status %d, %s, want the times of the settings", res.StatusCode, body)
	}
	if res, _ := negotiateAt("resourceeventhub", token("jobs")); res.StatusCode != http.StatusForbidden {
		t.Errorf("negotiate without the right: status %d, want 403", res.StatusCode)
	}
	if res, _ := s.do(t, "POST", negotiate, token(""), ""); res.StatusCode != http.StatusOK { // below the path of the catalog
		t.Errorf("negotiate of notifications: status %d, want 200", res.StatusCode)
	}
}

// TestCatalogOff: nothing of it is there; and without notifications it still takes tokens.
func TestCatalogOff(t *testing.T) {
	t.Parallel()
	off := start(t, t.TempDir(), []string{"HUBBUB_CATALOG_ENABLED=false"})
	for _, path := range []string{"/Centro/signalr/negotiate", "/centro/events/negotiate", "/centro/parts/1/events"} {
		if res, _ := off.do(t, "POST", path, "", ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: status %d, want 404", path, res.StatusCode)
		}
	}
	alone := start(t, t.TempDir(), []string{"HUBBUB_NOTIFY_ENABLED=false"})
	token := strings.TrimSpace(must(t, nil, "token", "--data", alone.data, "--user", "ann", "--scope", "catalog:publish"))
	if res, body := alone.do(t, "POST", "/centro/parts/1/events", token, `{}`); res.StatusCode != http.StatusAccepted {
		t.Errorf("publish: status %d, %s, want 202", res.StatusCode, body)
	}
	if res, _ := alone.do(t, "POST", "/centro/parts/1/events", token+"x", `{}`); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("publish with a broken token: status %d, want 401", res.StatusCode)
	}
}

// TestEndedSession: the token of a session that has ended is worth nothing here, too.
func TestEndedSession(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	token, _ := s.login(t, "demo", s.password(t))
	const path = "/centro/parts/1/events"
	if res, _ := s.do(t, "POST", path, token, `{}`); res.StatusCode != http.StatusAccepted {
		t.Errorf("publish: status %d, want 202", res.StatusCode)
	}
	if res, _ := s.do(t, "DELETE", "/api/auth", token, ""); res.StatusCode >= 300 {
		t.Fatalf("log out: status %d", res.StatusCode)
	}
	if res, _ := s.do(t, "POST", path, token, `{}`); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("publish after the end of the session: status %d, want 401", res.StatusCode)
	}
}

// TestClassicRestart: after a restart of the server, with its keys, a classic client goes on without a new subscribe call. The
// client is one by hand that polls, for it must come back to another port.
func TestClassicRestart(t *testing.T) {
	t.Parallel()
	first := start(t, t.TempDir(), nil)
	token := strings.TrimSpace(must(t, nil, "token", "--data", first.data, "--user", "ann", "--scope", "catalog:publish"))
	q := url.Values{"clientProtocol": {"2.1"}, "transport": {"longPolling"}, "connectionData": {`[{"Name":"ResourceEventHub"}]`}}
	ask := func(s *running, command, body string) string {
		t.Helper()
		method := "GET"
		if body != "" {
			method = "POST"
		}
		res, text := s.do(t, method, "/Centro/signalr/"+command+"?"+q.Encode(), token, body)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, %s", command, res.StatusCode, text)
		}
		var f struct{ ConnectionToken, C, G string }
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"connectionToken": f.ConnectionToken, "messageId": f.C, "groupsToken": f.G} {
			if value != "" {
				q.Set(name, value)
			}
		}
		return text
	}
	ask(first, "negotiate", "")
	ask(first, "connect", "")
	ask(first, "start", "")
	ask(first, "send", "data="+url.QueryEscape(`{"H":"ResourceEventHub","M":"SubscribeToPart","A":["1"],"I":0}`))
	ask(first, "poll", "") // brings the groups token
	if q.Get("groupsToken") == "" {
		t.Fatal("no groups token")
	}
	if code := first.end(t); code != exitOK {
		t.Errorf("exit code %d, want 0", code)
	}
	second := start(t, first.data, nil, "--log-level", "debug")
	polled := make(chan string, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), "GET", second.url+"/Centro/signalr/poll?"+q.Encode()+"&access_token="+token, nil)
		if err != nil {
			polled <- err.Error()
			return
		}
		res, err := second.client.Do(r)
		if err != nil {
			polled <- err.Error()
			return
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		polled <- fmt.Sprint(res.Status, " ", string(text), err)
	}()
	for {
		if res, _ := second.do(t, "POST", "/centro/parts/1/events", token, `{"Version":7}`); res.StatusCode != http.StatusAccepted {
			t.Fatalf("publish: status %d, want 202", res.StatusCode)
		}
		select {
		case text := <-polled:
			if !strings.Contains(text, `{"H":"ResourceEventHub","M":"Update","A":[{"Version":7}]}`) {
				t.Errorf("poll: %s, want the update", text)
			}
		case <-time.After(10 * time.Millisecond): // it has not come back yet
			continue
		}
		break
	}
	log := second.stderr.String()
	for name, secret := range map[string]string{"connectionToken": q.Get("connectionToken"), "groupsToken": q.Get("groupsToken"), "access_token": token} {
		if strings.Contains(log, secret) || !strings.Contains(log, name+"=REDACTED") {
			t.Errorf("%s is in the log, want it replaced\n%s", name, log)
		}
	}
}
