package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	nats "github.com/nats-io/nats-server/v2/server"

	"github.com/hubbub-go/hubbub/systems/economy"
)

// economyEnviron makes sign-ins cheap.
var economyEnviron = []string{"HUBBUB_ECONOMY_PASSWORD_COST=4"}

// game is Play Economy as it is served, by one server or by one for each service.
type game struct {
	t       *testing.T
	data    string
	servers map[string]*running
	base    func(service string) string
	admin   string
	potion  string
}

// play serves Play Economy and sells potions.
func play(t *testing.T) *game {
	t.Helper()
	s := start(t, t.TempDir(), economyEnviron)
	g := &game{t: t, data: s.data, servers: map[string]*running{}, base: func(service string) string { return "/" + service + "-svc" }}
	for _, name := range economy.Names() {
		g.servers[name] = s
	}
	g.open()
	return g
}

// open signs the administrator in and adds an item for 5 gil.
func (g *game) open() {
	g.t.Helper()
	g.admin = g.token("admin@play.com")
	g.potion, _ = g.want(201, "POST", economy.Catalog, "/items", g.admin, `{"name":"Potion","description":"Restores HP","price":5}`)["id"].(string)
	g.until("potions are for sale", func() bool {
		_, body := g.do("GET", economy.Trading, "/store", g.admin, "")
		return strings.Contains(body, g.potion)
	})
}

func (g *game) token(email string) string {
	g.t.Helper()
	return strings.TrimSpace(must(g.t, nil, "token", "--data", g.data, "--user", email))
}

// url is the address of a service.
func (g *game) url(service string) string { return g.servers[service].url + g.base(service) }

func (g *game) do(method, service, path, token, body string) (*http.Response, string) {
	g.t.Helper()
	return g.servers[service].do(g.t, method, g.base(service)+path, token, body)
}

// want is do for those who know the status. It returns the object in the answer.
func (g *game) want(status int, method, service, path, token, body string) map[string]any {
	g.t.Helper()
	return g.servers[service].answer(g.t, status, method, g.base(service)+path, token, body)
}

// until polls.
func (g *game) until(what string, ok func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("not in a minute: %s", what)
		}
	}
}

// buyer is somebody who has registered.
type buyer struct{ id, email, token string }

func (g *game) buyer() *buyer {
	g.t.Helper()
	b := &buyer{email: uuid.NewString() + "@play.com"}
	b.id = g.want(201, "POST", economy.Identity, "/register", "", fmt.Sprintf(`{"email":%q,"password":"correct horse"}`, b.email))["id"].(string)
	b.token = g.token(b.email)
	g.until("the store knows a new player", func() bool { return g.want(200, "GET", economy.Trading, "/store", b.token, "")["userGil"] == 100.0 })
	return b
}

// has waits until the store says so.
func (g *game) has(b *buyer, gil, potions float64) {
	g.t.Helper()
	g.until(fmt.Sprintf("a player has %v gil and %v potions", gil, potions), func() bool {
		m := g.want(200, "GET", economy.Trading, "/store", b.token, "")
		return m["userGil"] == gil && m["items"].([]any)[0].(map[string]any)["ownedQuantity"] == potions
	})
}

// tell says something to a script.
func (s *script) tell(v ...any) {
	s.t.Helper()
	line, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(s.in, "%s\n", line); err != nil {
		s.t.Fatalf("%v\n%s", err, &s.stderr)
	}
}

// both wants two lines, in either order, that begin so.
func (s *script) both(one, other string) {
	s.t.Helper()
	first := s.next()
	if strings.HasPrefix(first, other) {
		one, other = other, one
	}
	if !strings.HasPrefix(first, one) {
		s.t.Fatalf("%v: line %q, want %q or %q\n%s", s.cmd.Args[1:], first, one, other, &s.stderr)
	}
	s.wants(other)
}

// told is the beginning of the line that tells a status, as far as it is known.
func told(id, state string) string {
	return fmt.Sprintf(`status {"correlationId":"%s","currentState":"%s"`, id, state)
}

// The real JavaScript client buys, over each transport: P1, P2, P3, P9, P14, P15, P17 and P18.
func TestEconomyJavaScript(t *testing.T) {
	t.Parallel()
	g := play(t)
	for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			a, b, c := g.buyer(), g.buyer(), g.buyer()
			wire := newCable(t, g.servers[economy.Trading].url)
			open := func(address string, b *buyer) *script {
				js := talk(t, "economy.mjs", address+g.base(economy.Trading), b.token, transport)
				js.wants("connected")
				return js
			}
			one, two := open(g.servers[economy.Trading].url, a), open(wire.url, a)
			other, gone := open(g.servers[economy.Trading].url, b), open(g.servers[economy.Trading].url, c)
			gone.end() // P17: who went last is of no importance

			id := uuid.NewString() // P1, P15
			at := g.base(economy.Trading) + "/purchase/status/" + id
			one.tell("buy", g.potion, 2, id)
			one.both(fmt.Sprintf(`bought 202 %s {"idempotencyId":"%s"}`, at, id), told(id, "Completed")+
				fmt.Sprintf(`,"userId":"%s","itemId":"%s","quantity":2,"received":`, a.id, g.potion))
			two.wants(told(id, "Completed"))
			one.tell("get", "/purchase/status/"+id)
			one.wants(fmt.Sprintf(`got 200 {"userId":"%s","itemId":"%s","purchaseTotal":10,"quantity":2,"state":"Completed","received":`, a.id, g.potion))
			g.has(a, 90, 2)

			one.tell("buy", g.potion, 2, id) // P9
			one.wants("bought 202 " + at)
			other.tell("buy", g.potion, 2, id)
			other.wants(`bought 409 null {"title":"Conflict","status":409`)
			other.tell("get", "/purchase/status/"+id)
			other.wants(`got 404 {"title":"Not Found"`)

			id = uuid.NewString() // P2
			one.tell("buy", g.potion, 21, id)
			one.both("bought 202", told(id, "Faulted"))
			two.wants(told(id, "Faulted"))
			one.tell("get", "/purchase/status/"+id)
			one.wants("got 200 ")

			id, unknown := uuid.NewString(), uuid.NewString() // P3
			one.tell("buy", unknown, 1, id)
			one.both("bought 202", told(id, "Faulted"))
			if line := two.next(); !strings.HasPrefix(line, told(id, "Faulted")) || !strings.Contains(line, `"purchaseTotal":null`) ||
				!strings.Contains(line, `"errorMessage":"Unknown item '`+unknown+`'"`) {
				t.Errorf("line %s", line)
			}
			g.has(a, 90, 2)

			one.tell("invoke", "SendStatusAsync", map[string]any{"currentState": "Completed", "userId": b.id}) // P18
			one.wants("error Failed to invoke 'SendStatusAsync'")

			one.tell("get", "/nothing") // and no more comes behind this
			one.wants("got 404")
			one.end()
			wire.set(true) // P14: while nobody of the buyer is there
			two.wants("reconnecting")
			id = uuid.NewString()
			g.want(202, "POST", economy.Trading, "/purchase", a.token, fmt.Sprintf(`{"itemId":%q,"quantity":3,"idempotencyId":%q}`, g.potion, id))
			g.has(a, 75, 5)
			wire.set(false)
			two.both("reconnected", told(id, "Completed"))
			two.tell("get", "/nothing")
			two.wants("got 404")
			two.end()
			other.tell("get", "/nothing") // P1: the other player heard nothing
			other.wants("got 404")
			other.end()
		})
	}
}

// cable is a way to a server that can be cut.
type cable struct {
	url string

	mu   sync.Mutex
	cut  bool
	open []net.Conn
}

func newCable(t *testing.T, address string) *cable {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{url: "http://" + l.Addr().String()}
	var work sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		c.set(true)
		work.Wait()
	})
	work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", u.Host)
			if err != nil {
				near.Close()
				continue
			}
			if !c.add(near, far) {
				continue
			}
			for _, x := range [][2]net.Conn{{near, far}, {far, near}} {
				work.Go(func() {
					io.Copy(x[0], x[1])
					x[0].Close()
					x[1].Close()
				})
			}
		}
	})
	return c
}

func (c *cable) add(all ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, all...)
	if c.cut {
		c.closeAll()
	}
	return !c.cut
}

func (c *cable) closeAll() {
	for _, one := range c.open {
		one.Close()
	}
	c.open = nil
}

// set cuts the cable, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	c.closeAll()
}

// buyWithForm plays what a buyer does with the purchase form of the original's portal, and looks at the alerts.
func (g *game) buyWithForm() {
	g.t.Helper()
	a := g.buyer()
	config, err := json.Marshal(map[string]string{"TRADING_SERVICE_URL": g.url(economy.Trading), "PURCHASE_API_URL": g.url(economy.Trading) + "/purchase"})
	if err != nil {
		g.t.Fatal(err)
	}
	form := talk(g.t, "purchaseform.mjs", string(config), a.token)
	form.wants("ready")
	form.tell(g.potion, "2")
	form.wants("loading")
	form.wants("success")
	g.has(a, 90, 2)
	form.tell(g.potion, "21")
	form.wants("loading")
	form.wants("danger Could not purchase the item(s). Not enough gil to debit 105 from user " + a.id)
	unknown := uuid.NewString()
	form.tell(unknown, "1")
	form.wants("loading")
	form.wants("danger Could not purchase the item(s). Unknown item '" + unknown + "'")
	form.tell(g.potion, "101")
	form.wants("loading")
	form.wants("danger Could not purchase the item: One or more validation errors occurred.")
	g.has(a, 90, 2)
	form.end()
}

// The purchase form of the original's portal works as it is, but for the addresses in its config.js.
func TestOriginalPurchaseForm(t *testing.T) {
	t.Parallel()
	play(t).buyWithForm()
}

// Four processes and a broker are the topology of the original: each service has its paths at its root.
func TestFourProcesses(t *testing.T) {
	t.Parallel()
	broker, err := nats.NewServer(&nats.Options{Host: "127.0.0.1", Port: nats.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	})
	if !broker.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not listen")
	}
	g := &game{t: t, data: t.TempDir(), servers: make(map[string]*running), base: func(string) string { return "" }}
	port := freePort(t)
	environ := append([]string{"HUBBUB_ECONOMY_BROKER_URL=" + broker.ClientURL(), fmt.Sprintf("HUBBUB_ECONOMY_ISSUER_URL=http://localhost:%d", port)}, economyEnviron...)
	for _, name := range economy.Names() {
		listen := "127.0.0.1:0"
		if name == economy.Identity {
			listen = fmt.Sprintf("127.0.0.1:%d", port)
		}
		p := launch(t, environ, "serve", "--only", name, "--data", g.data, "--listen", listen)
		m := readyLine.FindStringSubmatch(p.line)
		if m == nil {
			t.Fatalf("%s: line %q\n%s", name, p.line, p.stderr)
		}
		s := &running{url: m[1], data: g.data, stderr: p.stderr, client: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}}
		t.Cleanup(s.client.CloseIdleConnections)
		g.servers[name] = s
	}
	g.open()
	for _, name := range economy.Names() {
		g.until(name+" is ready", func() bool {
			res, _ := g.do("GET", name, "/health/ready", "", "")
			return res.StatusCode == http.StatusOK
		})
	}
	a := g.buyer()
	id := uuid.NewString()
	res, body := g.do("POST", economy.Trading, "/purchase", a.token, fmt.Sprintf(`{"itemId":%q,"quantity":2,"idempotencyId":%q}`, g.potion, id))
	if res.StatusCode != http.StatusAccepted || res.Header.Get("Location") != "/purchase/status/"+id {
		t.Errorf("status %d, location %q, %s", res.StatusCode, res.Header.Get("Location"), body)
	}
	g.has(a, 90, 2)
	if _, body := g.do("GET", economy.Inventory, "/items?userId="+a.id, a.token, ""); !regexp.MustCompile(`^\[\{"catalogItemId":"` + g.potion + `","name":"Potion",.*"quantity":2,`).MatchString(body) {
		t.Errorf("inventory %s", body)
	}
	g.buyWithForm()
}

// freePort is one that nobody listens at.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// P19: pages of the original's portal may use all of it, with credentials; those of other origins nothing.
func TestEconomyCORS(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string]string{"development": "", "configured": "http://localhost:3000"} {
		environ := economyEnviron
		if trusted != "" {
			environ = append([]string{"HUBBUB_TRUSTED_ORIGINS=" + trusted}, environ...)
		}
		s := start(t, t.TempDir(), environ)
		token := strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "admin@play.com"))
		for _, x := range []struct{ method, path, headers string }{
			{"GET", "/catalog-svc/items", "authorization"}, {"POST", "/catalog-svc/items", "authorization,content-type"},
			{"PUT", "/catalog-svc/items/" + uuid.NewString(), "authorization,content-type"}, {"DELETE", "/catalog-svc/items/" + uuid.NewString(), "authorization"},
			{"GET", "/inventory-svc/items", "authorization"}, {"POST", "/inventory-svc/items", "authorization,content-type,x-anything"},
			{"GET", "/identity-svc/users", "authorization"}, {"PUT", "/identity-svc/users/" + uuid.NewString(), "authorization,content-type"},
			{"POST", "/identity-svc/connect/token", "content-type,x-anything"}, {"GET", "/identity-svc/.well-known/openid-configuration", ""},
			{"GET", "/trading-svc/store", "authorization"}, {"POST", "/trading-svc/purchase", "authorization,content-type,x-anything"},
			{"POST", "/trading-svc/messageHub/negotiate?negotiateVersion=1", "authorization,x-requested-with,x-signalr-user-agent"},
			{"DELETE", "/trading-svc/messageHub?id=x", "authorization"}, {"PATCH", "/trading-svc/store", "x-anything"},
		} {
			for origin, allowed := range map[string]bool{"http://localhost:3000": true, "https://elsewhere.example": false, "null": false} {
				for _, method := range []string{"OPTIONS", x.method} {
					r, err := http.NewRequestWithContext(t.Context(), method, s.url+x.path, strings.NewReader(""))
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Origin", origin)
					if method == "OPTIONS" {
						r.Header.Set("Access-Control-Request-Method", x.method)
						if x.headers != "" {
							r.Header.Set("Access-Control-Request-Headers", x.headers)
						}
					} else {
						r.Header.Set("Authorization", "Bearer "+token)
					}
					res, err := s.client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
					what := fmt.Sprintf("%s, %s for %s %s from %s", name, method, x.method, x.path, origin)
					h := res.Header
					if !allowed {
						for key := range h {
							if strings.HasPrefix(key, "Access-Control-") {
								t.Errorf("%s: %s is %q, want none", what, key, h[key])
							}
						}
						continue
					}
					if got := h.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != origin || h.Get("Access-Control-Allow-Credentials") != "true" {
						t.Errorf("%s: allowed %q with credentials %q, want the origin and true", what, got, h.Values("Access-Control-Allow-Credentials"))
					}
					if method != "OPTIONS" {
						continue
					}
					if res.StatusCode/100 != 2 || !lists(h.Values("Access-Control-Allow-Methods"), x.method) {
						t.Errorf("%s: status %d, methods %q", what, res.StatusCode, h.Values("Access-Control-Allow-Methods"))
					}
					for header := range strings.SplitSeq(x.headers, ",") {
						if header != "" && !lists(h.Values("Access-Control-Allow-Headers"), header) {
							t.Errorf("%s: headers %q, want %s among them", what, h.Values("Access-Control-Allow-Headers"), header)
						}
					}
				}
			}
		}
	}
}

// lists reports whether a list in header fields has an entry. "*" is none: it means nothing together with credentials.
func lists(fields []string, entry string) bool {
	for _, f := range fields {
		for one := range strings.SplitSeq(f, ",") {
			if strings.EqualFold(strings.TrimSpace(one), entry) {
				return true
			}
		}
	}
	return false
}
