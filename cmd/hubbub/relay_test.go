package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// listen connects clients of both generations to the event hub, with a token; what they hear comes as guid=cookie.
func (s *running) listen(t *testing.T, token string) (events <-chan string, clients []hubbub.Invoker) {
	t.Helper()
	heard := make(chan string, 100)
	receive := hubbub.Action2(func(_ context.Context, guid, cookie string) error { heard <- guid + "=" + cookie; return nil })
	tokens := func(context.Context) (string, error) { return token, nil }
	core := signalr.NewClient(s.url+"/realtimehub", &signalr.ClientOptions{Token: tokens})
	core.On("ReceiveEvent", receive)
	old := classic.NewClient(s.url+"/realtime", &classic.ClientOptions{Token: tokens})
	hub := old.Hub("eventhub")
	hub.On("ReceiveEvent", receive)
	for _, c := range []interface {
		Start(context.Context) error
		Close() error
	}{core, old} {
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	return heard, []hubbub.Invoker{core, hub}
}

// answer is do for those who know the status; it returns the JSON object.
func (s *running) answer(t *testing.T, status int, method, path, token, body string) map[string]any {
	t.Helper()
	res, text := s.do(t, method, path, token, body)
	if res.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, res.StatusCode, status, text)
	}
	var m map[string]any
	if text != "" {
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// ticket makes a ticket and waits until it has ended in a state.
func (s *running) ticket(t *testing.T, token, model, root, state string) {
	t.Helper()
	m := s.answer(t, http.StatusCreated, "POST", "/realtime/tickets", token, fmt.Sprintf(`{"viewModel":%q,"rootId":%q}`, model, root))
	for deadline := time.Now().Add(20 * time.Second); m["state"] != state; time.Sleep(10 * time.Millisecond) {
		if m["state"] == "done" || m["state"] == "failed" || time.Now().After(deadline) {
			t.Fatalf("ticket %v, want %s", m, state)
		}
		m = s.answer(t, http.StatusOK, "GET", fmt.Sprint("/realtime/tickets/", m["id"]), token, "")
	}
}

// runs waits until SomeVM has run so often for an object.
func (s *running) runs(t *testing.T, token, object string, n float64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		m := s.answer(t, http.StatusOK, "GET", "/realtime/objects/"+object, token, "")
		if m["runs"] == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("object %v, want %v runs", m, n)
		}
	}
}

// TestRelay: clients of both generations subscribe at the running server, with a token of hubbub token or of the demo user, and
// hear what is triggered over REST; its counters show it.
func TestRelay(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	scoped := func(scope string) string {
		return strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", scope))
	}
	demo, status := s.login(t, "demo", s.password(t))
	if status != http.StatusOK {
		t.Fatalf("login: status %d", status)
	}
	events, clients := s.listen(t, demo)
	more, others := s.listen(t, scoped("events:subscribe"))
	_, strangers := s.listen(t, scoped("other"))
	for i, c := range append(clients, others...) {
		if err := c.Invoke(t.Context(), nil, "SubscribeToEvent", "g1", fmt.Sprint("cookie ", i/2)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range strangers {
		if err := c.Invoke(t.Context(), nil, "SubscribeToEvent", "g1", "c"); err == nil || !strings.Contains(err.Error(), "events:subscribe") {
			t.Errorf("subscribed without the right: %v", err)
		}
	}
	m := s.answer(t, http.StatusAccepted, "POST", "/realtime/events/trigger", scoped("events:trigger"), `{"eventguid":"g1"}`)
	if m["listeners"] != 4.0 {
		t.Errorf("answer %v, want 4 listeners", m)
	}
	for range 2 {
		if a, b := <-events, <-more; a != "g1=cookie 0" || b != "g1=cookie 1" {
			t.Errorf("heard %q and %q", a, b)
		}
	}
	s.answer(t, http.StatusAccepted, "POST", "/realtime/events/trigger", demo, `{"eventguid":"nobody"}`)
	s.answer(t, http.StatusUnauthorized, "POST", "/realtime/events/trigger", "", `{"eventguid":"g1"}`)
	s.answer(t, http.StatusForbidden, "POST", "/realtime/events/trigger", scoped("events:subscribe"), `{"eventguid":"g1"}`)
	s.answer(t, http.StatusAccepted, "POST", "/realtime/push", demo, "")
	_, body := s.do(t, "GET", "/metrics", "", "")
	for _, want := range []string{"hubbub_relay_events_total 2", "hubbub_relay_events_without_listeners_total 1", "hubbub_relay_deliveries_total 4",
		"hubbub_relay_subscriptions 4", "hubbub_relay_subscriptions_refused_total 2", "hubbub_relay_pushes_total 1",
		`hubbub_relay_tickets{state="done"} 0`, `hubbub_relay_ticket_run_seconds_count 0`, `hubbub_connections{hub="EventHub"} 6`} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("no %q in the metrics", want)
		}
	}
	_, body = s.do(t, "GET", "/status", "", "")
	for _, want := range []string{`"name":"EventHub","path":"/realtimehub"`, `"figures":[{"name":"subscriptions","value":4},{"name":"events","value":2},{"name":"unheard","value":1}`, `"name":"clientPushHub","path":"/ClientPushHub"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if res, body := s.do(t, "GET", "/health/ready", "", ""); !strings.Contains(body, `"relay":"ok"`) {
		t.Errorf("ready: status %d, %s", res.StatusCode, body)
	}
}

// TestRelayServers: the whole text played through with two servers that know nothing of each other but an address and a token. One
// subscribes for an object at the other; the other triggers; the first one runs SomeVM for its object.
func TestRelayServers(t *testing.T) {
	t.Parallel()
	giver := start(t, t.TempDir(), nil)
	demo, _ := giver.login(t, "demo", giver.password(t))
	token := strings.TrimSpace(must(t, nil, "token", "--data", giver.data, "--user", "receiver", "--scope", "events:subscribe"))
	config := file(t, "hubbub.yaml", fmt.Sprintf("relay:\n  hubs: [{url: %q, token: %q}]\n", giver.url+"/realtimehub", token))
	receiver := start(t, t.TempDir(), nil, "--config", config)
	own, _ := receiver.login(t, "demo", receiver.password(t))

	receiver.answer(t, http.StatusNoContent, "PUT", "/realtime/objects/Order%7C1", own,
		fmt.Sprintf(`{"eventguid":"order 1 paid","realtimehub":%q}`, giver.url))
	receiver.ticket(t, own, "SubscribeVM", "Order|1", "done")
	giver.answer(t, http.StatusNoContent, "PUT", "/realtime/objects/Payment%7C9", demo, `{"eventguid":"order 1 paid"}`)
	giver.ticket(t, demo, "TriggerVM", "Payment|9", "done")
	receiver.runs(t, own, "Order%7C1", 1)
	m := giver.answer(t, http.StatusAccepted, "POST", "/realtime/events/trigger", demo, `{"eventguid":"order 1 paid"}`)
	if m["listeners"] != 1.0 {
		t.Errorf("answer %v, want 1 listener", m)
	}
	receiver.runs(t, own, "Order%7C1", 2)
	if _, body := receiver.do(t, "GET", "/health/ready", "", ""); strings.Contains(body, "realtimehub") {
		t.Errorf("ready: %s, want no hub away", body)
	}
	receiver.ticket(t, own, "SomeVM", "Order|2", "failed")
	receiver.ticket(t, own, "NoSuchVM", "Order|1", "failed")
	_, body := receiver.do(t, "GET", "/metrics", "", "")
	for _, want := range []string{`hubbub_relay_hub_healthy{hub="` + giver.url + `/realtimehub"} 1`, "hubbub_relay_events_heard_total 2",
		`hubbub_relay_tickets{state="failed"} 2`, "hubbub_relay_tickets_done_total 3"} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("no %q in the metrics", want)
		}
	}
	giver.end(t)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) { // it goes on without the hub
		res, body := receiver.do(t, "GET", "/health/ready", "", "")
		if res.StatusCode == http.StatusOK && strings.Contains(body, `"relay":{"hubs":"1 of 1 away"}`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("ready: status %d, %s, want 200 with the hub away", res.StatusCode, body)
		}
	}
}

// TestRelaySettings: each of them does what it says.
func TestRelaySettings(t *testing.T) {
	t.Parallel()
	config := file(t, "hubbub.yaml", `
relay:
  path: /events
  classicPath: /old/events
  pushPath: /push
  access: anybody
  endAtHub: false
  maxSubscriptionsPerConnection: 1
  maxGuidSize: 5
  maxCookieSize: 15
  demo: false
  viewModels:
    - {name: OwnVM, columns: ["eventguid = self.guid"], actions: [RealTimeTrigger]}
`)
	s := start(t, t.TempDir(), nil, "--config", config)
	c := signalr.NewClient(s.url+"/EVENTS", nil)
	heard := make(chan string, 10)
	c.On("ReceiveEvent", hubbub.Action2(func(_ context.Context, guid, cookie string) error { heard <- guid + "=" + cookie; return nil }))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, args := range [][2]string{{"longer", "c"}, {"g1", "longer than fifteen"}} {
		if err := c.Invoke(t.Context(), nil, "SubscribeToEvent", args[0], args[1]); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	if err := c.Invoke(t.Context(), nil, "SubscribeToEvent", "g1", "endsubscription"); err != nil {
		t.Fatal(err)
	}
	if err := c.Invoke(t.Context(), nil, "SubscribeToEvent", "g2", "c"); err == nil {
		t.Error("a second subscription was taken")
	}
	token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", "tickets objects"))
	s.answer(t, http.StatusNoContent, "PUT", "/realtime/objects/a%7Cb", token, `{"guid":"g1"}`)
	s.ticket(t, token, "OwnVM", "a|b", "done")
	if got := <-heard; got != "g1=endsubscription" {
		t.Errorf("heard %q", got)
	}
	s.ticket(t, token, "SomeVM", "a|b", "failed")
	for path, want := range map[string]int{"/push/negotiate?negotiateVersion=1": 200, "/old/events/negotiate?clientProtocol=2.1": 200,
		"/realtimehub/negotiate?negotiateVersion=1": 404} {
		if res, body := s.do(t, "POST", path, "", ""); res.StatusCode != want {
			t.Errorf("POST %s: status %d, want %d: %s", path, res.StatusCode, want, body)
		}
	}
	off := start(t, t.TempDir(), []string{"HUBBUB_RELAY_ENABLED=false"})
	if res, _ := off.do(t, "POST", "/realtime/events/trigger", "", `{"eventguid":"g1"}`); res.StatusCode != http.StatusNotFound {
		t.Errorf("trigger where the relay is off: status %d, want 404", res.StatusCode)
	}
}

// TestRelayRetention: with the setting a listener gets what it has missed, also after a restart of the server.
func TestRelayRetention(t *testing.T) {
	t.Parallel()
	environ := []string{"HUBBUB_RELAY_RETENTION_MINUTES=5", "HUBBUB_RELAY_RETENTION_EVENTS=2", "HUBBUB_RELAY_COOKIE_REGISTRY=false", "HUBBUB_RELAY_ACCESS=anybody"}
	data := t.TempDir()
	s := start(t, data, environ)
	connect := func() (*hubbub.Client, chan string) {
		t.Helper()
		c := signalr.NewClient(s.url+"/realtimehub?listener=ann", nil).Client
		heard := make(chan string, 10)
		c.On("ReceiveEvent", hubbub.Action2(func(_ context.Context, guid, cookie string) error { heard <- guid + "=" + cookie; return nil }))
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c, heard
	}
	c, _ := connect()
	for _, guid := range []string{"g1", "g2", "g3"} {
		if err := c.Invoke(t.Context(), nil, "SubscribeToEvent", guid, "c"); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	s.end(t)
	s = start(t, data, environ)
	token := strings.TrimSpace(must(t, nil, "token", "--data", data, "--user", "ann", "--scope", "events:trigger"))
	for _, guid := range []string{"g1", "g2", "g3"} {
		s.answer(t, http.StatusAccepted, "POST", "/realtime/events/trigger", token, `{"eventguid":"`+guid+`"}`)
	}
	c, heard := connect()
	defer c.Close()
	if a, b := <-heard, <-heard; a != "g2=c" || b != "g3=c" {
		t.Errorf("heard %q and %q, want the newest two", a, b)
	}
}

// TestRelayFaults: what cannot work is named before the start.
func TestRelayFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"path: realtime", "relay.path"},
		{"path: /realtime", "relay.path"},
		{"path: /realtime/events/x", "relay.path"},
		{"path: /centro/events", "relay.path"},
		{"classicPath: /REALTIMEHUB", "relay.classicPath"},
		{"pushPath: /realtimehub/x", "relay.pushPath"},
		{"pushPath: /", "relay.pushPath"},
		{"access: everybody", "relay.access"},
		{"retentionMinutes: -1", "relay.retentionMinutes"},
		{"retentionEvents: 0", "relay.retentionEvents"},
		{"maxCookieSize: 0", "relay.maxCookieSize"},
		{"pushPause: 0s", "relay.pushPause"},
		{"webhook: {tries: 0}", "relay.webhook.tries"},
		{"hubs: [{url: other}]", "relay.hubs"},
		{"hubs: [{url: \"http://x/\", dialect: new}]", "relay.hubs"},
		{"viewModels: [{name: A, columns: [\"x = self.\"]}]", "relay.viewModels"},
		{"viewModels: [{name: A, actions: [nothing]}]", "relay.viewModels"},
		{"viewModels: [{name: SomeVM}]", "relay.viewModels"},
	} {
		code, _, stderr := run(t, nil, "config", "check", "--config", file(t, "hubbub.yaml", "relay:\n  "+test.text+"\n"))
		if code != exitConfig || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d, %s, want a word about %s", test.text, code, stderr, test.want)
		}
	}
}

// M17 and its like: the real JavaScript clients of both generations subscribe, hear and end, over each transport that Node has.
func TestRelayJavaScript(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", "events:subscribe events:trigger"))
	for _, generation := range []string{"core", "classic"} {
		for _, transport := range []string{"webSockets", "serverSentEvents", "longPolling"} {
			t.Run(generation+" "+transport, func(t *testing.T) {
				t.Parallel()
				js := talk(t, "relay.mjs", s.url, token, generation, transport)
				guid := "of " + generation + " " + transport
				subscribe := func(args, answer string) {
					t.Helper()
					fmt.Fprintln(js.in, args)
					js.wants(answer)
				}
				trigger := func(listeners float64) {
					t.Helper()
					m := s.answer(t, http.StatusAccepted, "POST", "/realtime/events/trigger", token, `{"eventguid":"`+guid+`"}`)
					if m["listeners"] != listeners {
						t.Errorf("answer %v, want %v listeners", m, listeners)
					}
				}
				js.wants("subscribed " + transport)
				subscribe(`["`+guid+`","first"]`, "ok")
				subscribe(`["`+guid+`","Viewmodel=SomeVM&RootId=12|7"]`, "ok")
				subscribe(`["`+guid+`",7]`, "error")
				trigger(1)
				js.wants(`["` + guid + `","Viewmodel=SomeVM&RootId=12|7"]`)
				subscribe(`["`+guid+`",""]`, "ok")
				trigger(0)
				js.end()
			})
		}
	}
}

// M18: without the right to subscribe the clients of both generations get an error, and their connections live: both get the hint of
// the push hub then.
func TestRelayJavaScriptPush(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann", "--scope", "events:trigger"))
	for _, generation := range []string{"core", "classic"} {
		js := talk(t, "relay.mjs", s.url, token, generation, "webSockets")
		js.wants("subscribed webSockets")
		fmt.Fprintln(js.in, `["g1","Viewmodel=SomeVM&RootId=12|7"]`)
		if line := js.next(); !strings.HasPrefix(line, "error ") || !strings.Contains(line, "events:subscribe") {
			t.Errorf("%s: line %q, want an error about the right events:subscribe", generation, line)
		}
		s.answer(t, http.StatusAccepted, "POST", "/realtime/push", token, "")
		if line := js.next(); line != "[]" {
			t.Errorf("%s: line %q, want a hint without arguments", generation, line)
		}
		js.end()
	}
}

// Hubs are allowed by scheme, host and port, in any case and with the usual port left out or not.
func TestRelayAllowedHubs(t *testing.T) {
	t.Parallel()
	c := RelayConfig{Allowed: []string{"http://Friend:8080", "https://other/"}}
	allowed := c.mayListen()
	for address, want := range map[string]bool{
		"http://friend:8080/realtimehub": true, "https://other:443/x?y=1": true, "https://friend:8080/realtimehub": false,
		"http://friend/realtimehub": false, "http://friend:8080.evil/": false, "http://169.254.169.254/": false, "http://other/": false,
	} {
		if got := allowed(address); got != want {
			t.Errorf("%s: allowed %t, want %t", address, got, want)
		}
	}
	if (&RelayConfig{}).mayListen() != nil {
		t.Error("with no entry some hubs are not allowed, want any")
	}
	config := file(t, "hubbub.yaml", "relay:\n  allowedHubs: [\"ftp://x\", \"http://a/path\", \"http://good:1\"]\n")
	code, _, errs := run(t, nil, "config", "check", config)
	if code != exitConfig || !strings.Contains(errs, `entry 1 is "ftp://x"`) || !strings.Contains(errs, `entry 2 is "http://a/path"`) || strings.Contains(errs, "entry 3") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}
