package main

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	natsd "github.com/nats-io/nats-server/v2/server"
)

// TestAccountToken makes tokens of accounts of Play Economy, with the server running and stopped.
func TestAccountToken(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), []string{"HUBBUB_ECONOMY_PASSWORD_COST=4"})
	res, body := s.do(t, "POST", "/identity-svc/register", "", `{"email":"ann@play.com","password":"correct horse"}`)
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("register: status %d: %s", res.StatusCode, body)
	}
	config := file(t, "hubbub.yaml", "data: "+s.data+"\n")
	token := func(args ...string) string {
		return strings.TrimSpace(must(t, nil, append([]string{"token"}, args...)...))
	}
	admin, ann, plain := token("--data", s.data, "--user", "admin@play.com"), token("--config", config, "--user", "Ann@play.com"), token("--data", s.data, "--user", "ann")
	for _, c := range []struct {
		name, path, token string
		want              int
	}{
		{"store for a player", "/trading-svc/store", ann, 200},
		{"path in another case", "/Trading-Svc/Store", ann, 200},
		{"users for a player", "/identity-svc/users", ann, 403},
		{"users for the administrator", "/identity-svc/users", admin, 200},
		{"catalog for the administrator", "/catalog-svc/items", admin, 200},
		{"token of the other systems", "/trading-svc/store", plain, 401},
		{"token of an account for the other systems", "/realtime/tickets", ann, 401},
	} {
		if res, body := s.do(t, "GET", c.path, c.token, ""); res.StatusCode != c.want {
			t.Errorf("%s: GET %s: status %d, want %d: %s", c.name, c.path, res.StatusCode, c.want, body)
		}
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no account", []string{"--data", s.data, "--user", "bob@play.com"}, exitFailed, "no such account"},
		{"never served", []string{"--data", filepath.Join(t.TempDir(), "new"), "--user", "ann@play.com"}, exitFailed, "want it to be started"},
		{"role of one's own", []string{"--data", s.data, "--user", "ann@play.com", "--role", "Admin"}, exitUsage, "--role"},
	} {
		if code, out, errs := run(t, nil, append([]string{"token"}, c.args...)...); code != c.code || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit code %d, %q, %q; want %d and %q", c.name, code, out, errs, c.code, c.want)
		}
	}
	if !regexp.MustCompile(`administrator +admin@play.com\n +password +\S{20} +\(shown this once\)`).MatchString(s.stderr.String()) {
		t.Errorf("no password of the administrator in\n%s", s.stderr)
	}
	s.end(t)
	ann = token("--data", s.data, "--user", "ann@play.com")
	again := start(t, s.data, nil, "--listen", strings.TrimPrefix(s.url, "http://"))
	if strings.Contains(again.stderr.String(), "shown this once") {
		t.Errorf("the password of the administrator at the second start\n%s", again.stderr)
	}
	again.eventually(t, "the store knows the player", "/trading-svc/store", ann, `"userGil":100`)
}

// TestEconomyMetrics buys something and something that is not there, and reads the counters.
func TestEconomyMetrics(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	admin := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "admin@play.com"))
	res, body := s.do(t, "POST", "/catalog-svc/items", admin, `{"name":"Potion","description":"","price":5}`)
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("create an item: status %d: %s", res.StatusCode, body)
	}
	potion := regexp.MustCompile(`[0-9a-f-]{36}`).FindString(body)
	if res, body := s.do(t, "PUT", "/catalog-svc/items/"+potion, admin, `{"name":"Potion","description":"Restores HP","price":5}`); res.StatusCode != http.StatusNoContent {
		t.Fatalf("change an item: status %d: %s", res.StatusCode, body)
	}
	s.eventually(t, "the store sells potions", "/trading-svc/store", admin, potion)
	for _, item := range []string{potion, uuid.NewString()} {
		purchase := fmt.Sprintf(`{"itemId":%q,"quantity":1,"idempotencyId":%q}`, item, uuid.NewString())
		if res, body := s.do(t, "POST", "/trading-svc/purchase", admin, purchase); res.StatusCode != http.StatusAccepted {
			t.Fatalf("buy: status %d: %s", res.StatusCode, body)
		}
	}
	for _, want := range []string{
		`purchase_started_total{item_id="` + potion + `"} 1`, `purchase_success_total{item_id="` + potion + `"} 1`,
		`purchase_started_total{item_id=""} 1`, `purchase_failed_total{item_id=""} 1`, `gil_debited_total 1`,
		`items_granted_total{item_id="` + potion + `"} 1`, `items_updated_total{item_id="` + potion + `"} 1`, `hubbub_economy_items_created_total 1`,
		`hubbub_economy_items_deleted_total 0`, `hubbub_economy_items_delivered_total 1`, `hubbub_economy_items_subtracted_total 0`,
		`hubbub_economy_dead_letters_total{service="trading"} 0`, `hubbub_economy_queue_messages{queue="trading"} 0`,
		`hubbub_economy_outbox_waiting{service="trading"} 0`, `hubbub_connections{hub="MessageHub"} 0`,
	} {
		s.eventually(t, "the counters are right", "/metrics", "", "\n"+want+"\n")
	}
	if _, body := s.do(t, "GET", "/status", "", ""); !strings.Contains(body, `"path":"/trading-svc/messagehub"`) || !strings.Contains(body, `{"name":"purchases","value":2}`) {
		t.Errorf("status: %s, want the hub with two purchases", body)
	}
}

// TestPortalIsNamed: /status says where the portal is, for the page, if it is served.
func TestPortalIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		named   bool
	}{
		"served":       {nil, true},
		"not served":   {[]string{"HUBBUB_ECONOMY_PORTAL=false"}, false},
		"no economy":   {[]string{"HUBBUB_ECONOMY_ENABLED=false"}, false},
		"without hubs": {[]string{"HUBBUB_ECONOMY_PORTAL=false", "HUBBUB_GATEWAY_STARTGATEWAYHUB=false", "HUBBUB_GATEWAY_DEMO=false"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), append(c.environ, "HUBBUB_ECONOMY_PASSWORD_COST=4"))
			res, _ := s.do(t, "GET", "/economy/", "", "")
			_, body := s.do(t, "GET", "/status", "", "")
			if named := strings.Contains(body, `"portal":"/economy/"`); named != c.named || (res.StatusCode == http.StatusOK) != c.named {
				t.Errorf("status of the portal %d, status %s: want it served and named: %t", res.StatusCode, body, c.named)
			}
			if strings.Contains(body, `"hubs":null`) {
				t.Errorf("status %s: want a list of hubs for each system", body)
			}
		})
	}
}

// eventually waits until the answer at a path has a text.
func (s *running) eventually(t *testing.T, what, path, token, text string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		_, body := s.do(t, "GET", path, token, "")
		if strings.Contains(body, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no %q at %s in 30 s:\n%s", what, text, path, body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestOnly runs one service alone, without the other systems.
func TestOnly(t *testing.T) {
	t.Parallel()
	if code, _, errs := run(t, nil, "serve", "--data", t.TempDir(), "--only", "trading"); code != exitConfig || !strings.Contains(errs, "economy.broker.url: is empty, want the NATS server") {
		t.Errorf("without a broker: exit code %d, %s; want 3 and that there is none", code, errs)
	}
	broker := natsServer(t)
	s := start(t, t.TempDir(), []string{"HUBBUB_ECONOMY_BROKER_URL=" + broker}, "--only", "catalog")
	for path, want := range map[string]int{
		"/items": 401, "/Items/": 401, "/health/ready": 200, "/metrics": 200, "/Swagger/": 200, // its own
		"/": 404, "/status": 404, "/catalog-svc/items": 404, "/store": 404, "/messagehub": 404, "/economy/": 404, "/api/auth": 404, // of others
	} {
		if res, body := s.do(t, "GET", path, "", ""); res.StatusCode != want {
			t.Errorf("GET %s: status %d, want %d: %s", path, res.StatusCode, want, body)
		}
	}
	if _, body := s.do(t, "GET", "/swagger/v1/swagger.json", "", ""); !strings.Contains(body, `"/items/{id}"`) || strings.Contains(body, "-svc") {
		t.Errorf("the description is %s, want that of the catalog at the root", body)
	}
	l, err := load("", []string{"HUBBUB_ECONOMY_BROKER_URL=" + broker}, map[string]string{"only": "trading"})
	if err != nil {
		t.Fatal(err)
	}
	if l.Listen != "127.0.0.1:5006" {
		t.Errorf("trading alone listens on %s, want the original's port 5006", l.Listen)
	}
}

// natsServer starts a server with JetStream and returns its address.
func natsServer(t *testing.T) string {
	t.Helper()
	s, err := natsd.NewServer(&natsd.Options{Host: "127.0.0.1", Port: natsd.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not listen")
	}
	host, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "nats://" + net.JoinHostPort(host, port)
}
