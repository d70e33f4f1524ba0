package notify_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/notify"
)

const (
	allChanges = `{"e":"portos.resources.changed"}`
	licences   = `{"e":"portos.licence.activated"}`
)

func resources(r string) string { return `{"e":"portos.resources.changed","r":` + r + `}` }

func TestO1Happy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(resources(`[{"n":"devices","a":["created","updated","deleted"]}]`))
	pub := s.token("publisher", "BackOffice")
	s.publish(pub, change("devices", 1, "d1", 7))
	s.publish(pub, change("tickets", 1, "t1", 1))
	e := c.expect("devices 1 d1")[0]
	if e.E != notify.ResourcesChanged || e.P.I.V == nil || *e.P.I.V != 7 || e.P.I.N != "devices" {
		t.Errorf("got %s", e.raw)
	}
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(e.CA) {
		t.Errorf("ca is %q", e.CA)
	}
}

// TestNotificationJSON compares with the example of the documentation, member by member and null by null.
func TestNotificationJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 7, 1, 14, 51, 52, 558_000_000, time.FixedZone("CEST", 2*3600))
	s := newServer(t, func(c *notify.Config) { c.Clock = func() time.Time { return at } })
	c := s.connect(s.sign(map[string]any{"sub": "any"}))
	c.subscribe(allChanges)
	s.publish(s.sign(map[string]any{"sub": "SYSTEM", "userName": "SYSTEM", "device": "SYSTEM", "scope": "notifications:publish"}),
		map[string]any{"e": notify.ResourcesChanged, "s": map[string]any{"c": "connection-identifier"}, "p": map[string]any{
			"u": map[string]any{"u": "999", "d": "BackOffice", "f": nil}, "n": "tickets", "a": "created",
			"i": map[string]any{"i": "573f4511088c772684a738f8", "n": "tickets", "v": 7}, "r": []any{}}})
	want := `{"e":"portos.resources.changed","s":{"c":"connection-identifier","u":{"u":"SYSTEM","d":"SYSTEM","f":null}},"r":null,` +
		`"ca":"2024-07-01T12:51:52.558Z","ea":null,"p":{"u":{"u":"999","d":"BackOffice","f":null},"n":"tickets","a":1,` +
		`"i":{"i":"573f4511088c772684a738f8","n":"tickets","v":7},"r":[]}}`
	if got := string(c.expect("tickets 1 573f4511088c772684a738f8")[0].raw); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestObjectsAreKept publishes values that decoding would change.
func TestObjectsAreKept(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(allChanges)
	const object = `{"z":12345678901234567890,"a":1.10,"<b>":"&\u00e9","n":null}`
	s.want(202, "POST", "/api/v1/notifications", s.token("publisher", "x"),
		`{"e":"portos.resources.changed","p":{"n":"tickets","a":1,"i":{"i":"1"},"r":[`+object+`]}}`)
	if got := string(c.expect("tickets 1 1")[0].raw); !strings.Contains(got, `"r":[{"z":12345678901234567890,"a":1.10,"<b>":"&\u00e9","n":null}]`) {
		t.Errorf("got %s", got)
	}
}

func TestO2AllResources(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	pub := s.token("publisher", "x")
	clients := map[string]*client{}
	for _, payload := range []string{allChanges, resources("null"), resources("[]")} {
		c := s.connect(s.token("waiter", "PDA"))
		c.subscribe(payload)
		clients[payload] = c
	}
	s.publish(pub, change("tickets", 1, "t", 1))
	s.publish(pub, change("devices", 2, "d", 1))
	s.publish(pub, change("anything else", 3, "x", 1))
	for payload, c := range clients {
		t.Log(payload)
		c.expect("tickets 1 t", "devices 2 d", "anything else 3 x")
	}
}

func TestO3AllActions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, a := range []string{``, `,"a":null`, `,"a":[]`} {
		c := s.connect(s.token("waiter", "PDA"))
		c.subscribe(resources(`[{"n":"devices"` + a + `}]`))
		for i, word := range []string{"created", "Updated", "DELETED"} {
			s.publish(s.token("publisher", "x"), change("devices", word, fmt.Sprint(i), 1))
		}
		c.expect("devices 1 0", "devices 2 1", "devices 3 2")
	}
}

func TestO4ActionFilter(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(resources(`[{"n":"devices","a":["deleted"]}]`))
	for a := range 3 {
		s.publish(s.token("publisher", "x"), change("devices", a+1, "d", a))
	}
	c.expect("devices 3 d")
}

func TestO5SeveralResources(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(resources(`[{"n":"devices","a":["created"]},{"n":"tickets","a":["updated","deleted"]},{"n":"tickets","a":["deleted"]}]`))
	pub := s.token("publisher", "x")
	for _, resource := range []string{"devices", "tickets", "users"} {
		for a := range 3 {
			s.publish(pub, change(resource, a+1, "1", a))
		}
	}
	c.expect("devices 1 1", "tickets 2 1", "tickets 3 1")
}

func TestO6Overlap(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	pub := s.token("publisher", "x")
	publish := func() { s.publish(pub, change("devices", 1, "d", 1)) }
	narrow := resources(`[{"n":"devices","a":["created"]}]`)
	wide := resources(`[{"n":"devices"},{"n":"tickets"}]`)
	c.subscribe(narrow)
	c.subscribe(wide)
	c.subscribe(allChanges)
	c.subscribe(allChanges) // once more changes nothing
	publish()
	c.expect("devices 1 d")
	c.unsubscribe(allChanges)
	publish()
	c.expect("devices 1 d")
	c.unsubscribe(narrow)
	publish()
	c.expect("devices 1 d")
	c.unsubscribe(wide)
	publish()
	c.expect()
}

func TestO7Licence(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.Development = true })
	c, other := s.connect(s.token("waiter", "PDA")), s.connect(s.token("waiter", "PDA"))
	c.subscribe(`{"e":"portos.licence.activated","r":"no meaning"}`)
	other.subscribe(allChanges)
	s.want(404, "GET", "/api/v1/license", "", nil)
	status, code, _ := s.raw("POST", "/api/v1/license/getrequestcode", "", map[string]any{"shopId": 123456})
	if status != 200 || code[0] != '"' {
		t.Fatalf("request code: %d %s", status, code)
	}
	status, activation, _ := s.raw("POST", "/api/v1/license/issue", "", `{"requestCode":`+string(code)+`,"days":10,"maxDevices":5}`)
	if status != 200 {
		t.Fatalf("issue: %d %s", status, activation)
	}
	body := `{"ActivationCode":` + string(activation) + `}`
	l := s.want(200, "POST", "/api/v1/license/activate", "", body)
	for name, want := range map[string]any{"shopId": 123456.0, "remainingDays": 10.0, "isExpired": false, "verificationInterval": "1.00:00:00"} {
		if l[name] != want {
			t.Errorf("%s is %v, want %v", name, l[name], want)
		}
	}
	events := c.received()
	if len(events) != 1 || events[0].E != notify.LicenceActivated || events[0].P.ShopID != 123456 ||
		len(events[0].P.Features) != 1 || events[0].P.Features[0].Name != "MaxDeviceCount" || events[0].P.Features[0].RawValue != "5" ||
		events[0].S.User.User != "SYSTEM" {
		t.Errorf("got %+v", events)
	}
	other.expect()
	if again := s.want(200, "POST", "/api/v1/license/activate", "", body); again["activationTime"] != l["activationTime"] {
		t.Errorf("the same code once more: %v", again)
	}
	if events := c.received(); len(events) != 0 {
		t.Errorf("the same code once more was told: %v", events)
	}
	if got := s.want(200, "GET", "/api/v1/license", "", nil); got["activationTime"] != l["activationTime"] {
		t.Errorf("GET: %v", got)
	}
}

func TestO8Unsubscribe(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	pub := s.token("publisher", "x")
	const wide = `[{"n":"devices","a":["created","updated"]},{"n":"tickets"}]`
	for _, test := range []struct {
		name, payload string
		gone          bool
	}{
		{"the same", wide, true},
		{"reordered", `[{"a":["updated","created"],"n":"tickets"},{"n":"devices","a":["updated","created"]}]`, false},
		{"reordered and equal", `[{"n":"tickets","a":[]},{"a":["updated","created"],"n":"devices"}]`, true},
		{"other case of words", `[{"n":"devices","a":["CREATED","Updated"]},{"n":"tickets"}]`, true},
		{"all actions by word", `[{"n":"devices","a":["created","updated"]},{"n":"tickets","a":["deleted","created","updated"]}]`, true},
		{"split", `[{"n":"devices","a":["created"]},{"n":"tickets"},{"n":"devices","a":["updated"]}]`, true},
		{"narrower", `[{"n":"devices","a":["created"]}]`, false},
		{"wider", `[]`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := s.connect(s.token("waiter", "PDA"))
			c.subscribe(resources(wide))
			c.unsubscribe(resources(test.payload))
			s.publish(pub, change("devices", 1, "d", 1))
			if test.gone {
				c.expect()
			} else {
				c.expect("devices 1 d")
			}
		})
	}
}

func TestO9BadInput(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) {
		c.Resources = []string{"devices", "tickets"}
		c.Limits.Subscriptions = 3
		c.Limits.Resources = 4
	})
	many := strings.Repeat(`{"n":"devices","a":["created","updated","deleted"]},`, 10_000)
	c := s.connect(s.token("waiter", "PDA"))
	for _, test := range []struct{ name, payload, want string }{
		{"unknown event", `{"e":"portos.tables.changed"}`, `unknown event "portos.tables.changed"`},
		{"event in other case", `{"e":"Portos.resources.changed"}`, `unknown event "Portos.resources.changed"`},
		{"event no text", `{"e":5}`, `event is the number 5, want a text`},
		{"missing event", `{"r":[]}`, `e is missing`},
		{"empty event", `{"e":""}`, `e is missing`},
		{"null payload", `null`, `payload is null`},
		{"text payload", `"portos.resources.changed"`, `payload is the text "portos.resources.changed"`},
		{"list payload", `[]`, `payload is a list`},
		{"unknown resource", resources(`[{"n":"orders"}]`), `unknown resource "orders"`},
		{"resource in other case", resources(`[{"n":"Devices"}]`), `unknown resource "Devices"`},
		{"one of two unknown", resources(`[{"n":"devices"},{"n":"x"}]`), `unknown resource "x"`},
		{"resource a text", resources(`["devices"]`), `r[0] is the text "devices"`},
		{"resources no list", resources(`{"n":"devices"}`), `r is an object`},
		{"resource without name", resources(`[{"a":["created"]}]`), `r[0].n is missing`},
		{"name no text", resources(`[{"n":true}]`), `resource name is true`},
		{"long name", resources(`[{"n":"` + strings.Repeat("x", 200) + `"}]`), `has 200 bytes, want at most 128`},
		{"action with a blank", resources(`[{"n":"devices","a":["Created "]}]`), `unknown action "Created "`},
		{"unknown action", resources(`[{"n":"devices","a":["created","renamed"]}]`), `unknown action "renamed"`},
		{"number for a word", resources(`[{"n":"devices","a":[1]}]`), `action is the number 1`},
		{"null for a word", resources(`[{"n":"devices","a":[null]}]`), `action is null`},
		{"actions no list", resources(`[{"n":"devices","a":"created"}]`), `is the text "created", want a list`},
		{"many actions", resources(`[{"n":"devices","a":[` + strings.Repeat(`"created",`, 16) + `"created"]}]`), `has 17 actions, want at most 16`},
		{"10,000 resources", resources(`[` + many[:len(many)-1] + `]`), `r has 10000 resources, want at most 256`},
	} {
		for _, method := range []string{"Subscribe", "Unsubscribe"} {
			got := c.invoke(method, test.payload)
			if !strings.Contains(got.Error, "HubException: "+method+": ") || !strings.Contains(got.Error, test.want) {
				t.Errorf("%s, %s: got %q, want %q", test.name, method, got.Error, test.want)
			}
		}
	}
	for _, args := range [][]string{{}, {allChanges, "1"}} {
		if got := c.invoke("Subscribe", args...); got.Error != "Failed to invoke 'Subscribe' due to an error on the server." {
			t.Errorf("%d arguments: %q", len(args), got.Error)
		}
	}
	if got := string(c.invoke("Subscriptions").Result); got != "[]" {
		t.Errorf("bad requests left %s", got)
	}
	c.subscribe(resources(`[{"n":"devices"}]`))
	c.subscribe(resources(`[{"n":"tickets"},{"n":"devices"}]`))
	if got := c.invoke("Subscribe", resources(`[{"n":"tickets"},{"n":"devices","a":["created"]}]`)); !strings.Contains(got.Error, "name 5 resources, want at most 4") {
		t.Errorf("too many resources in all: %q", got.Error)
	}
	c.subscribe(licences)
	if got := c.invoke("Subscribe", allChanges); !strings.Contains(got.Error, "has 4 subscriptions, want at most 3") {
		t.Errorf("too many subscriptions: %q", got.Error)
	}
	c.subscribe(licences) // one that is there is not one more
	s.publish(s.token("publisher", "x"), change("devices", 1, "alive", 1))
	c.expect("devices 1 alive")
}

func TestO11NoSubscription(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	s.publish(s.token("publisher", "x"), change("devices", 1, "d", 1))
	c.expect()
}

func TestO13Expiry(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(allChanges)
	pub := s.token("publisher", "x")
	for id, ea := range map[string]string{"past": "2020-01-01T00:00:00.000Z", "future": "2999-01-01T01:00:00+01:00"} {
		n := change("devices", 1, id, 1)
		n["ea"] = ea
		s.publish(pub, n)
	}
	if e := c.expect("devices 1 future")[0]; e.EA == nil || *e.EA != "2999-01-01T00:00:00.000Z" {
		t.Errorf("got %s", e.raw)
	}
}

func TestO14Echo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(allChanges)
	n := change("devices", 1, "d", 1)
	n["s"] = map[string]any{"c": "conn-17", "u": map[string]any{"u": "forged", "d": "forged"}}
	n["ca"] = "1999-01-01T00:00:00Z"
	s.publish(s.token("publisher", "BackOffice"), n)
	e := c.expect("devices 1 d")[0]
	if e.S.Connection != "conn-17" || e.S.User.User != "publisher" || e.S.User.Device != "BackOffice" || e.P.U.User != "publisher" ||
		strings.HasPrefix(e.CA, "1999") {
		t.Errorf("got %s", e.raw)
	}
}

func TestO18Rights(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.Rights = map[string]string{"users": "userGet"} })
	pub := s.token("publisher", "x")
	clients := map[string]*client{
		"waiter":    s.connect(s.token("waiter", "PDA")),
		"publisher": s.connect(s.token("publisher", "PDA")), // has the right
		"admin":     s.connect(s.token("admin", "PDA")),
		"role":      s.connect(s.sign(map[string]any{"sub": "x", "role": "userGet"})),
		"no role":   s.connect(s.sign(map[string]any{"sub": "x"})),
	}
	for _, c := range clients {
		c.subscribe(allChanges)
		c.subscribe(resources(`[{"n":"users"}]`))
	}
	s.publish(pub, change("users", 1, "u", 1))
	s.publish(pub, change("tickets", 1, "t", 1))
	for name, c := range clients {
		t.Log(name)
		if name == "waiter" || name == "no role" {
			c.expect("tickets 1 t")
		} else {
			c.expect("users 1 u", "tickets 1 t")
		}
	}
}

func TestFoldResources(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) {
		c.FoldResources, c.Resources = true, []string{"Devices", "users"}
		c.Rights = map[string]string{"Users": "userGet"}
	})
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(resources(`[{"n":"DEVICES"},{"n":"USERS"}]`))
	s.publish(s.token("publisher", "x"), change("devices", 1, "d", 1))
	s.publish(s.token("publisher", "x"), change("uSERs", 1, "u", 1))
	c.expect("devices 1 d")
}

func TestSubscriptionsAndListeners(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(resources(`[{"n":"tickets","a":["updated","created"]},{"n":"devices"}]`))
	c.subscribe(licences)
	want := `[{"e":"portos.licence.activated"},{"e":"portos.resources.changed","r":[{"n":"devices"},{"n":"tickets","a":["created","updated"]}]}]`
	if got := string(c.invoke("Subscriptions").Result); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	status, raw, _ := s.raw("GET", "/api/v1/subscriptions", s.token("admin", "x"), nil)
	if status != 200 || !strings.Contains(string(raw), `"user":"waiter","device":"PDA","subscriptions":`+want) {
		t.Errorf("got %d %s", status, raw)
	}
}

func TestGoPublish(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.connect(s.token("waiter", "PDA"))
	c.subscribe(allChanges)
	if _, err := s.PublishResource(t.Context(), "tickets", notify.Updated, "t1", 3, map[string]any{"total": 12.5}); err != nil {
		t.Fatal(err)
	}
	e := c.expect("tickets 2 t1")[0]
	if e.S.User.User != "SYSTEM" || e.S.User.Device != "SYSTEM" || e.P.U.User != "SYSTEM" || *e.P.I.V != 3 || fmt.Sprint(e.P.R) != "[map[total:12.5]]" {
		t.Errorf("got %s", e.raw)
	}
	for name, n := range map[string]notify.Notification{
		`e: e is missing`:       {},
		`unknown event "x"`:     {Event: "x"},
		`p: p is missing`:       {Event: notify.ResourcesChanged},
		`is a string, want a`:   {Event: notify.ResourcesChanged, Payload: "x"},
		`p.n is missing`:        {Event: notify.ResourcesChanged, Payload: &notify.Change{Action: 1, Info: notify.ResourceInfo{ID: "1"}}},
		`action is 4`:           {Event: notify.ResourcesChanged, Payload: notify.Change{Name: "x", Action: 4, Info: notify.ResourceInfo{ID: "1"}}},
		`resource name "other"`: {Event: notify.ResourcesChanged, Payload: notify.Change{Name: "x", Action: 1, Info: notify.ResourceInfo{ID: "1", Name: "other"}}},
	} {
		if _, err := s.Publish(t.Context(), n); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
	if _, err := s.PublishResource(t.Context(), "tickets", notify.Updated, "t1", 3, func() {}); err == nil {
		t.Error("a value without a JSON form was taken")
	}
}
