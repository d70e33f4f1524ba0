package main

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestServe(t *testing.T) {
	t.Parallel()
	s := start(t, filepath.Join(t.TempDir(), "data"), nil)

	info, err := os.Stat(filepath.Join(s.data, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("keys.json has mode %04o, want 0600", info.Mode().Perm())
	}
	s.ready(t, "ready") // the gateway has its hub
	for _, c := range []struct {
		path, kind string
		status     int
		want       []string
	}{
		{"/health/live", "application/json; charset=utf-8", 200, []string{`{"status":"live"}`}},
		{"/health/ready", "application/json; charset=utf-8", 200, []string{`{"status":"ready","checks":{"economy":"ok","notify":"ok","relay":"ok"}}`}},
		{"/metrics", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", 200, []string{
			"\nhubbub_connections{hub=\"notify\"} 0\n", "\nhubbub_messages_sent_total{hub=\"notify\"} 0\n",
			"\nhubbub_connections_closed_total{hub=\"notify\",reason=\"slow\"} 0\n", "\nhubbub_build_info{version=", "\ngo_goroutines "}},
		{"/status", "application/json; charset=utf-8", 200, []string{`"development":true`, `"path":"/signalr/v1/mainHub"`}},
		{"/", "text/html; charset=utf-8", 200, []string{"<!doctype html>", "Watch notifications"}},
		{"/page/app.js", "text/javascript; charset=utf-8", 200, []string{"import"}},
		{"/nothing", "text/plain; charset=utf-8", 404, nil},
		{"/page/nothing", "text/plain; charset=utf-8", 404, nil},
	} {
		res, body := s.do(t, "GET", c.path, "", "")
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != c.kind {
			t.Errorf("GET %s: %d %s, want %d %s", c.path, res.StatusCode, res.Header.Get("Content-Type"), c.status, c.kind)
		}
		for _, w := range c.want {
			if !strings.Contains(body, w) {
				t.Errorf("GET %s: no %q in\n%s", c.path, w, body)
			}
		}
	}
	if res, _ := s.do(t, "POST", "/", "", ""); res.StatusCode == http.StatusOK {
		t.Errorf("POST /: status %d, want a refusal", res.StatusCode)
	}
	if code := s.end(t); code != exitOK {
		t.Errorf("exit code %d, want 0", code)
	}
}

// What a server has signed, who may log in and who is logged in are the same after a restart, on either database.
func TestRestart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		var environ []string
		if database == "postgres" {
			environ = []string{"HUBBUB_DATABASE=" + storetest.Postgres(t)}
		}
		first := start(t, t.TempDir(), environ)
		keys, err := os.ReadFile(filepath.Join(first.data, "keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		token, status := first.login(t, "demo", first.password(t))
		if status != http.StatusOK {
			t.Fatalf("login: status %d, want 200", status)
		}
		if code := first.end(t); code != exitOK {
			t.Errorf("exit code %d, want 0", code)
		}

		second := start(t, first.data, environ)
		again, err := os.ReadFile(filepath.Join(first.data, "keys.json"))
		if err != nil || string(again) != string(keys) {
			t.Errorf("keys.json has changed (%v)", err)
		}
		if a, b := first.password(t), second.password(t); a != b {
			t.Errorf("password %q after a restart, %q before", b, a)
		}
		if res, _ := second.do(t, "POST", negotiate, token, ""); res.StatusCode != http.StatusOK {
			t.Errorf("negotiate with the session of before: status %d, want 200", res.StatusCode)
		}
		if _, err := os.Stat(filepath.Join(first.data, "notify.db")); missing(err) != (database == "postgres") {
			t.Errorf("SQLite file with %s: %v", database, err)
		}
	})
}

func TestStoreOutOfReach(t *testing.T) {
	t.Parallel()
	code, out, errs := run(t, nil, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--database", "postgres://u:hush@127.0.0.1:1/x")
	if code != exitStart || out != "" || strings.Contains(errs, "hush") {
		t.Errorf("exit code %d, %q, %s; want 4, no line, and no password", code, out, errs)
	}
}

func TestDemoPassword(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), []string{"HUBBUB_DEMO_USER=ann", "HUBBUB_DEMO_PASSWORD=correct horse"})
	if _, status := s.login(t, "ann", "correct horse"); status != http.StatusOK {
		t.Errorf("login with the configured password: status %d, want 200", status)
	}
	if _, status := s.login(t, "ann", "wrong"); status != http.StatusUnauthorized {
		t.Errorf("login with another: status %d, want 401", status)
	}
	if _, err := os.Stat(filepath.Join(s.data, "demo.json")); !missing(err) {
		t.Errorf("demo.json: %v, want no such file", err)
	}
}

func TestDevelopmentKeysAreForLoopback(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	refused := func(command string) {
		t.Helper()
		code, out, errs := run(t, nil, "serve", "--data", data, "--listen", "0.0.0.0:0")
		if code != exitConfig || out != "" {
			t.Errorf("exit code %d, output %q; want 3 and nothing", code, out)
		}
		for _, w := range []string{"development keys", "0.0.0.0:0 can be reached from other machines", command, "127.0.0.1"} {
			if !strings.Contains(errs, w) {
				t.Errorf("no %q in %s", w, errs)
			}
		}
	}
	refused("hubbub keys create --data " + data)
	if _, err := os.Stat(data); !missing(err) {
		t.Errorf("the folder: %v, want none made", err)
	}
	must(t, nil, "token", "--data", data, "--user", "ann") // makes development keys
	refused("hubbub keys create --force --data " + data)

	must(t, nil, "keys", "create", "--data", data, "--force")
	s := start(t, data, nil, "--listen", "0.0.0.0:0")
	if _, status := s.login(t, "demo", "x"); status != http.StatusUnauthorized {
		t.Errorf("login of a demo user without development keys: status %d, want 401", status)
	}
	if strings.Contains(s.stderr.String(), "Development mode") {
		t.Errorf("development mode in\n%s", s.stderr)
	}
	_, body := s.do(t, "GET", "/status", "", "")
	if !strings.Contains(body, `"development":false`) {
		t.Errorf("status %s, want development false", body)
	}
}

func TestConfiguredUsers(t *testing.T) {
	t.Parallel()
	var hash strings.Builder
	p := Program{Args: []string{"hash"}, Stdin: strings.NewReader("open sesame\n"), Stdout: &hash, Stderr: &hash}
	if code := p.Run(); code != exitOK {
		t.Fatalf("hash: exit code %d: %s", code, &hash)
	}
	config := file(t, "hubbub.yaml", "notify:\n  users:\n  - userName: ann\n    passwordHash: "+strings.TrimSpace(hash.String())+"\n    rights: [ticketGet]\n")
	s := start(t, t.TempDir(), []string{"HUBBUB_DEMO_USER=Ann"}, "--config", config)
	if strings.Contains(s.stderr.String(), "Development mode") {
		t.Errorf("a demo user beside a configured one of that name\n%s", s.stderr)
	}
	token, status := s.login(t, "ann", "open sesame")
	if status != http.StatusOK {
		t.Fatalf("login: status %d, want 200", status)
	}
	for _, path := range []string{negotiate, "/SignalR/V1/MAINHUB/Negotiate?negotiateVersion=1"} {
		if res, _ := s.do(t, "POST", path, token, ""); res.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d, want 200", path, res.StatusCode)
		}
	}
	if res, _ := s.do(t, "POST", "/api/v1/notifications", token, `{"e":"portos.resources.changed"}`); res.StatusCode != http.StatusForbidden {
		t.Errorf("publish without the right: status %d, want 403", res.StatusCode)
	}
}

func TestTrustedOrigins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ         []string
		allowed, denied string
	}{
		"listed":      {[]string{"HUBBUB_TRUSTED_ORIGINS=https://app.example.com"}, "https://app.example.com", "http://localhost:3000"},
		"development": {nil, "http://localhost:3000", "https://app.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), c.environ)
			token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann"))
			for origin, status := range map[string]int{c.allowed: 101, s.url: 101, c.denied: 403} {
				r, err := http.NewRequestWithContext(t.Context(), "OPTIONS", s.url+negotiate, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Origin", origin)
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization,x-signalr-user-agent")
				res, err := s.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				want := ""
				if origin == c.allowed {
					want = origin
				}
				if got := res.Header.Get("Access-Control-Allow-Origin"); origin != s.url && got != want { // its own pages need no permission
					t.Errorf("preflight of %s: allowed origin %q, want %q", origin, got, want)
				}
				ws, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/signalr/v1/mainHub?access_token="+token,
					&websocket.DialOptions{HTTPClient: s.client, HTTPHeader: http.Header{"Origin": {origin}}})
				if err == nil {
					ws.CloseNow()
				}
				if res == nil || res.StatusCode != status {
					t.Errorf("WebSocket of %s: %v, want status %d", origin, err, status)
				}
			}
		})
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	code, _, errs := run(t, nil, "serve", "--data", t.TempDir(), "--listen", strings.TrimPrefix(s.url, "http://"))
	if code != exitStart || !strings.Contains(errs, "address already in use") {
		t.Errorf("exit code %d, %s; want 4 and that the address is in use", code, errs)
	}
}

func TestSystemOff(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), []string{"HUBBUB_NOTIFY_ENABLED=false", "HUBBUB_PAGE=false"})
	for _, path := range []string{negotiate, "/", "/status"} {
		if res, _ := s.do(t, "POST", path, "", ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: status %d, want 404", path, res.StatusCode)
		}
	}
	s.ready(t, "ready")
}

// No token of any kind gets into the log, even at level debug.
func TestNoTokenInTheLog(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil, "--log-level", "debug", "--log-format", "json")
	token, _ := s.login(t, "demo", s.password(t))
	ws := dial(t, s, token)
	if err := ws.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
	text := s.stderr.String()
	if !strings.Contains(text, `"url":"/signalr/v1/mainHub?id=REDACTED&access_token=REDACTED"`) {
		t.Errorf("no redacted request in\n%s", text)
	}
	for what, secret := range map[string]string{"access token": token, "signature of the access token": token[strings.LastIndex(token, "."):], "connection token": ws.token} {
		if strings.Contains(text, secret) {
			t.Errorf("the %s is in the log", what)
		}
	}
}
