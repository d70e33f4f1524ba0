package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// hears connects a client to a gateway hub and returns what it hears of ReceiveMessage.
func (s *running) hears(t *testing.T, path string) <-chan string {
	t.Helper()
	heard := make(chan string, 100)
	c := signalr.NewClient(s.url+path, nil)
	c.On("ReceiveMessage", hubbub.Action2(func(_ context.Context, a, b json.RawMessage) error {
		heard <- string(a) + string(b)
		return nil
	}))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return heard
}

func next(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Fatalf("heard %s, want %s", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("heard nothing, want %s", want)
	}
}

// ready waits until the server is as it should be.
func (s *running) ready(t *testing.T, want string) string {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		res, text := s.do(t, "GET", "/health/ready", "", "")
		var answer struct{ Status string }
		if err := json.Unmarshal([]byte(text), &answer); err != nil || res.StatusCode != 200 {
			t.Fatalf("status %d, body %s: %v", res.StatusCode, text, err)
		}
		if answer.Status == want {
			return text
		}
		if time.Now().After(late) {
			t.Fatalf("the server is %s, want %s", text, want)
		}
	}
}

// What runs with nothing configured: the chat of the demo, in any case of letters, and addresses of the server itself.
func TestGatewayDemo(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	s.ready(t, "ready")
	a, b := s.hears(t, "/GatewayHub"), s.hears(t, "/gatewayhub")
	for _, path := range []string{"/api/Gateway/hub/chatservice/room", "/API/gateway/HUB/ChatService/Room"} {
		if res, body := s.do(t, "POST", path, "", `[{"name":"John","message":"Hi"}]`); res.StatusCode != 200 || body != "" {
			t.Fatalf("%s: status %d, body %q, want 200 and none", path, res.StatusCode, body)
		}
		next(t, a, `["John","Hi"]{}`)
		next(t, b, `["John","Hi"]{}`)
	}
	for path, want := range map[string]string{
		"/api/gateway/server/health": `"status":"ready"`, "/api/Gateway/SERVER/STATUS": `"uptimeSeconds"`, "/api/Gateway/orchestration?apiKey=chat": `"key":"room"`,
		"/swagger/v1/swagger.json": "/api/Gateway/hub/chatservice/room", "/SWAGGER/v1/swagger.json": "/realtime/events/trigger",
		"/swagger/V1/swagger.json": "/trading-svc/purchase/status/{id}", "/Swagger/": "<", "/status": `"hub"`,
	} {
		if res, body := s.do(t, "GET", path, "", ""); res.StatusCode != 200 || (want != `"hub"` && !strings.Contains(body, want)) {
			t.Errorf("%s: status %d, body %s, want %s in it", path, res.StatusCode, body, want)
		}
	}
	_, metrics := s.do(t, "GET", "/metrics", "", "")
	for _, want := range []string{`hubbub_gateway_hub_up{hub="chatservice"} 1`, `hubbub_gateway_delivered_total{hub="chatservice",route="room"} 2`,
		`hubbub_gateway_requests_total{api="chatservice",kind="hub",route="room",status="200"} 2`, `hubbub_connections{hub="ChatHub"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if code := s.end(t); code != exitOK {
		t.Errorf("exit code %d, want 0\n%s", code, s.stderr)
	}
}

// Routes of the file, with rights, secrets from the environment, and the original's settings file beside it.
func TestGatewayConfigured(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.Path, " ", r.Header.Get("X-Key"))
	}))
	defer backend.Close()
	settings := file(t, "settings.json", `{"Settings": [{"ApiKey": "old", "BackendAPIBaseUrls": ["`+backend.URL+`"], "Routes": [{"RouteKey": "r", "Verb": "GET", "BackendAPIRoutePath": "old/r"}]}]}`)
	config := file(t, "hubbub.yaml", `
gateway:
  settings: `+settings+`
  orchestrationRequires: "*"
  connectRequires: "*"
  title: Ours
  apis:
  - key: Weather
    baseUrls: ["${BACKEND}"]
    balance: roundrobin
    header: {X-Key: "k-${SECRET}"}
    check: {path: alive, interval: 1h}
    cacheRules: {noStore: true}
    routes:
    - {key: kept, path: d, cache: 1h, cacheRules: {location: client, varyByQueryKeys: [day]}}
    - {key: stored, path: e, cache: 1h}
    - {key: open, path: a}
    - {key: known, path: b, requires: "*"}
    - {key: right, path: c, requires: weather}
`)
	environ := []string{"SECRET=s3", "BACKEND=" + backend.URL}
	s := start(t, t.TempDir(), environ, "--config", config)
	token := func(scope string) string {
		args := []string{"token", "--data", s.data, "--user", "ann"}
		if scope != "" {
			args = append(args, "--scope", scope)
		}
		return strings.TrimSpace(must(t, nil, args...))
	}
	ann, known := token("weather"), token("")
	s.ready(t, "ready") // with its own hub, which is reached a moment after the start
	for _, tt := range []struct {
		path, token string
		status      int
		want        string
	}{
		{"weather/open", "", 200, "/a k-s3"}, {"weather/known", "", 401, ""}, {"weather/known", known, 200, "/b k-s3"}, {"weather/known", "bad", 401, ""},
		{"weather/right", known, 403, "weather"}, {"weather/right", ann, 200, "/c k-s3"},
		{"old/r", "", 200, "/old/r "}, {"server/health", "", 200, "ready"}, {"orchestration", "", 401, ""}, {"orchestration", known, 200, `"api":"old"`},
	} {
		res, body := s.do(t, "GET", "/api/Gateway/"+tt.path, tt.token, "")
		if res.StatusCode != tt.status || !strings.Contains(body, tt.want) || (tt.status == 401 && !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer")) {
			t.Errorf("%s: status %d, body %s, want %d and %s", tt.path, res.StatusCode, body, tt.status, tt.want)
		}
	}
	for path, want := range map[string]string{"kept": "private, max-age=3600", "stored": "no-store"} {
		if res, _ := s.do(t, "GET", "/api/Gateway/weather/"+path, "", ""); res.Header.Get("Cache-Control") != want {
			t.Errorf("%s: Cache-Control %q, want %q", path, res.Header.Get("Cache-Control"), want)
		}
	}
	for tok, want := range map[string]int{"": 401, known: 200} {
		if res, _ := s.do(t, "POST", "/gatewayhub/negotiate?negotiateVersion=1", tok, ""); res.StatusCode != want {
			t.Errorf("negotiate with token %q: status %d, want %d", tok, res.StatusCode, want)
		}
	}
	printed := must(t, environ, "config", "print", "--config", config)
	if strings.Contains(printed, "s3") || !strings.Contains(printed, `title: "Ours"`) {
		t.Errorf("printed\n%s", printed)
	}
}

// Every fault is named with where it stands and what was wanted.
func TestGatewayProblems(t *testing.T) {
	t.Parallel()
	config := file(t, "hubbub.yaml", `gateway:
  watch: 1ms
  maxArguments: 0
  title: ""
  settings: /no/such/file.json
  apis:
  - key: a
    baseUrls: [ftp://x]
  - key: b
    balance: best
    baseUrls: ["http://${NOWHERE}"]
  - key: c
    baseUrls: [http://localhost:1]
    routes:
    - {key: good}
    - {key: x/y}
    - {key: verb, verb: COPY}
    - {key: path, path: "a/{b"}
    - {key: schema, requestSchema: "{"}
  hubs:
  - key: h
    url: http://localhost:1/h
    dialect: classic
  - key: i
    url: http://localhost:1/h
    dialect: new
    transports: [pigeon]
    reconnectDelay: 5s
    maxReconnectDelay: 1s
    routes:
    - {key: none}
    - {key: group, receiveMethod: M, broadcastType: Group}
    - {key: one, receiveMethod: M, broadcastType: some}
`)
	code, _, errs := run(t, nil, "config", "check", config)
	if code != exitConfig {
		t.Errorf("exit code %d, want %d", code, exitConfig)
	}
	for _, want := range []string{
		":2:10: gateway.watch: is 1ms", ":3:17: gateway.maxArguments: is 0, want 1", ":4:10: gateway.title: is empty",
		":5:13: gateway.settings: open /no/such/file.json",
		`:7:5: gateway.apis[0]: AddAPI a: address "ftp://x", want http://host/path`,
		`:10:5: gateway.apis[1].balance: "best", want one of leastPending, random, roundRobin`,
		`:11:16: gateway.apis[1].baseUrls[0]: the environment variable NOWHERE is not set`,
		`:16:8: gateway.apis[2].routes[1]: AddRoute c/x/y: key "x/y"`, `:17:8: gateway.apis[2].routes[2]: AddRoute c/verb: verb "COPY"`,
		`:18:8: gateway.apis[2].routes[3]: AddRoute c/path: path`, `:19:8: gateway.apis[2].routes[4]: AddRoute c/schema`,
		`:21:5: gateway.hubs[0]: AddHub h: no HubName`, `:26:5: gateway.hubs[1].dialect: "new", want one of auto, classic, core`,
		`:27:5: gateway.hubs[1].transports: "pigeon", want webSockets`, `:29:5: gateway.hubs[1].maxReconnectDelay: is 1s`,
		`:31:8: gateway.hubs[1].routes[0]: AddRoute i/none: neither InvokeMethod`, `:32:8: gateway.hubs[1].routes[1]: AddRoute i/group: no ReceiveGroup`,
		`gateway.hubs[1].routes[2].broadcastType: "some", want one of All, Group, Individual`,
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in\n%s", want, errs)
		}
	}
	twice := file(t, "twice.yaml", "gateway:\n  hubs:\n  - {key: a, url: http://localhost/a}\n  - {key: A, url: http://localhost/b}\n")
	if code, _, errs := run(t, nil, "config", "check", twice); code != exitConfig || !strings.Contains(errs, "gateway.hubs: AddHub a: the key is taken") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

// Checks and rules of the cache are looked at with the rest.
func TestGatewayServiceProblems(t *testing.T) {
	t.Parallel()
	config := file(t, "hubbub.yaml", `gateway:
  apis:
  - key: a
    baseUrls: [http://localhost:1]
    check: {interval: 1s}
  - key: b
    baseUrls: [http://localhost:1]
    cacheRules: {location: moon}
    routes:
    - {key: r, cacheRules: {varyByHeader: [Cookie]}}
`)
	code, _, errs := run(t, nil, "config", "check", config)
	for _, want := range []string{"gateway.apis[0]: AddAPI a: a health check has no Path", `gateway.apis[1].cacheRules.location: "moon", want one of any, client, none`,
		`gateway.apis[1].routes[0]: AddRoute b/r: vary by header "Cookie"`} {
		if code != exitConfig || !strings.Contains(errs, want) {
			t.Errorf("exit code %d, no %q in\n%s", code, want, errs)
		}
	}
}

// A changed file is put in force without a restart, a bad one is not, and nobody is disconnected.
func TestGatewayReload(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "hubbub.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("gateway: {}\n")
	s := start(t, t.TempDir(), []string{"HUBBUB_GATEWAY_WATCH=100ms"}, "--config", name)
	s.ready(t, "ready")
	heard := s.hears(t, "/GatewayHub")
	found := func(path string, want int) {
		t.Helper()
		for late := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			res, body := s.do(t, "GET", "/api/Gateway/"+path, "", "")
			if res.StatusCode == want {
				return
			}
			if time.Now().After(late) {
				t.Fatalf("%s: status %d, body %s, want %d\n%s", path, res.StatusCode, body, want, s.stderr)
			}
		}
	}
	one := "gateway:\n  apis:\n  - {key: one, baseUrls: [\"" + s.url + "\"], routes: [{key: health, path: health/live}]}\n"
	write(one)
	found("one/health", 200)
	write(strings.Replace(one, "health,", "other,", 1) + "  hubs: [{key: x}]\n")
	for late := time.Now().Add(20 * time.Second); !strings.Contains(s.stderr.String(), "the old one stays"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("no word of the bad file\n%s", s.stderr)
		}
	}
	if log := s.stderr.String(); !strings.Contains(log, "gateway.hubs[0]: AddHub x: address") {
		t.Errorf("the log does not say what is wrong\n%s", log)
	}
	found("one/health", 200)
	found("one/other", 404)
	write(strings.Replace(one, "key: one", "key: two", 1))
	found("two/health", 200)
	found("one/health", 404)
	if res, body := s.do(t, "POST", "/api/Gateway/hub/chatservice/room", "", `[{"name":"a","message":"b"}]`); res.StatusCode != 200 {
		t.Fatalf("status %d, body %s", res.StatusCode, body)
	}
	next(t, heard, `["a","b"]{}`)
	if _, metrics := s.do(t, "GET", "/metrics", "", ""); !strings.Contains(metrics, `hubbub_gateway_hub_connects_total{hub="chatservice"} 1`) {
		t.Error("the hub was connected to more than once")
	}
}

// Without watching, the signal alone has the file read again.
func TestGatewayReloadOnSignal(t *testing.T) {
	t.Parallel()
	name := file(t, "hubbub.yaml", "gateway: {watch: 0s}\n")
	s := start(t, t.TempDir(), nil, "--config", name)
	if err := os.WriteFile(name, []byte("gateway:\n  watch: 0s\n  apis:\n  - {key: one, baseUrls: [\""+s.url+"\"], routes: [{key: health, path: health/live}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangup <- syscall.SIGHUP
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if res, _ := s.do(t, "GET", "/api/Gateway/one/health", "", ""); res.StatusCode == 200 {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("not read again\n%s", s.stderr)
		}
	}
}

// A hub that is away makes the server degraded, not unready, and its calls are answered with 503 (V9).
func TestV9Degraded(t *testing.T) {
	t.Parallel()
	config := file(t, "hubbub.yaml", `
gateway:
  demo: false
  hubs:
  - {key: away, url: "http://127.0.0.1:1/hub", connectTimeout: 1s, routes: [{key: r, invokeMethod: M}]}
`)
	s := start(t, t.TempDir(), nil, "--config", config)
	if text := s.ready(t, "degraded"); !strings.Contains(text, `"degraded":{"gateway":{"away":"not connected"}}`) {
		t.Errorf("ready says %s, want which hub is away", text)
	}
	if res, body := s.do(t, "POST", "/api/Gateway/hub/away/r", "", "[]"); res.StatusCode != 503 {
		t.Errorf("status %d, body %s, want 503", res.StatusCode, body)
	}
	if res, _ := s.do(t, "POST", "/ChatHub/negotiate?negotiateVersion=1", "", ""); res.StatusCode != 404 {
		t.Errorf("the demo is off, its hub answers with %d", res.StatusCode)
	}
}
