package notify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/notify"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// refused fails unless a connection with that token is answered with 401, on every way in.
func (s *server) refused(token string) {
	s.t.Helper()
	for _, path := range []string{notify.HubPath + "/negotiate?negotiateVersion=1", notify.HubPath} {
		method := http.MethodPost
		if path == notify.HubPath {
			method = http.MethodGet
		}
		if status, body, _ := s.raw(method, path, token, nil); status != 401 || len(body) != 0 {
			s.t.Errorf("%s %s: %d %q, want 401 and no body", method, path, status, body)
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+notify.HubPath+"?access_token="+token, nil)
	if err == nil {
		ws.CloseNow()
		s.t.Error("a WebSocket was accepted")
	} else if resp == nil || resp.StatusCode != 401 {
		s.t.Errorf("WebSocket: %v, want status 401", err)
	}
}

func TestO10Auth(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	good := s.token("waiter", "PDA")
	foreign, err := (&auth.Issuer{Keys: hubbub.RandomKeyRing()}).Sign(map[string]any{"sub": "1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"no token": "", "no JWT": "abc", "bad signature": good[:len(good)-4] + "AAAA", "foreign": foreign,
		"unknown session": s.sign(map[string]any{"sub": "2", "sid": "nothing"}),
	} {
		t.Log(name)
		s.refused(token)
		if m := s.want(401, "GET", "/api/auth", token, nil); m["errorCode"] != 1.0 {
			t.Errorf("%s: %v", name, m)
		}
	}
	s.connect(s.sign(map[string]any{"sub": "cli"})) // as hubbub token makes them
	// REST does not look at the query.
	for _, path := range []string{"/api/auth", "/api/sessions", "/api/v1/webhooks"} {
		s.want(401, "GET", path+"?access_token="+s.token("admin", "x"), "", nil)
	}
	s.want(401, "POST", "/api/v1/notifications?access_token="+s.token("publisher", "x"), "", change("x", 1, "1", 1))
}

func TestO10TokenExpires(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.TokenLifetime = time.Millisecond })
	first := s.login("waiter", "PDA")
	token := first["tokenId"].(string)
	s.eventually("the token to expire", func() bool { status, _ := s.call("GET", "/api/auth", token, nil); return status == 401 })
	s.refused(token)
	// Its session lives: a refresh gives another token.
	again := s.want(200, "POST", "/api/auth/refresh", "", map[string]any{"refreshToken": first["refreshToken"]})
	if again["sessionId"] != first["sessionId"] || again["refreshToken"] == first["refreshToken"] {
		t.Errorf("refresh: %v", again)
	}
	s.connect(again["tokenId"].(string))
}

func TestO10SessionDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		s, _ := start(t, config(t, database))
		login := s.login("waiter", "PDA")
		token, id := login["tokenId"].(string), login["sessionId"].(string)
		c, other := s.connect(token), s.connect(s.token("waiter", "PDA"))
		other.subscribe(allChanges)
		if m := s.want(403, "DELETE", "/api/sessions/"+id, s.token("kitchen", "x"), nil); m["errorCode"] != 2.0 {
			t.Errorf("without the right: %v", m)
		}
		s.want(404, "DELETE", "/api/sessions/unknown", s.token("admin", "x"), nil)
		s.want(204, "DELETE", "/api/sessions/"+id, s.token("admin", "x"), nil)
		c.expectClose("session has been ended")
		s.refused(token)
		s.want(401, "POST", "/api/auth/refresh", "", map[string]any{"refreshToken": login["refreshToken"]})
		s.publish(s.token("publisher", "x"), change("devices", 1, "d", 1))
		other.expect("devices 1 d")
		// Own sessions need no right.
		login = s.login("kitchen", "KDS")
		s.want(204, "DELETE", "/api/sessions/"+login["sessionId"].(string), login["tokenId"].(string), nil)
		own := s.token("kitchen", "KDS")
		s.want(204, "DELETE", "/api/auth", own, nil)
		s.want(401, "DELETE", "/api/auth", own, nil)
		s.want(404, "DELETE", "/api/auth", s.sign(map[string]any{"sub": "cli"}), nil)
	})
}

func TestSessionsSurviveRestart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		s, stop := start(t, c)
		login := s.login("waiter", "PDA")
		ended := s.login("waiter", "PDA")
		s.want(204, "DELETE", "/api/auth", ended["tokenId"].(string), nil)
		code := s.RequestCode(7)
		activation, err := notify.IssueLicence(c.Keys, code, notify.Terms{MaxDevices: 2})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Activate(t.Context(), activation); err != nil {
			t.Fatal(err)
		}
		stop()
		s, _ = start(t, c)
		if got := s.RequestCode(7); got != code {
			t.Errorf("request code %s, want %s as before", got, code)
		}
		if l := s.want(200, "GET", "/api/v1/license", "", nil); l["shopId"] != 7.0 {
			t.Errorf("licence: %v", l)
		}
		s.want(401, "GET", "/api/auth", ended["tokenId"].(string), nil)
		token := login["tokenId"].(string)
		if p := s.want(200, "GET", "/api/auth", token, nil); p["userName"] != "waiter" {
			t.Errorf("profile: %v", p)
		}
		s.connect(token)
		s.want(200, "POST", "/api/auth/refresh", "", map[string]any{"refreshToken": login["refreshToken"]})
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) {
		c.Devices = []notify.Device{{Name: "BackOffice", EnvName: "BackOffice", Description: "Office", Settings: map[string]any{"a": 1}}, {Name: "PDA"}}
		c.Limits.FailedLogins = 4
	})
	// Names of members without regard to case, and of users too.
	status, raw, header := s.raw("POST", "/api/auth", "", `{"USERNAME":"KITCHEN","password":"secret","deviceName":"BackOffice"}`)
	want := `"user":{"id":"4","isVirtual":true,"name":"kitchen","userName":"kitchen","featureName":"Kitchen","rights":[],` +
		`"device":{"name":"BackOffice","envName":"BackOffice","description":"Office","preferences":{},"settings":{"a":1}}}}`
	if status != 200 || !strings.HasSuffix(string(raw), want) || header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s %v", status, raw, header)
	}
	if p := s.want(200, "GET", "/api/auth", s.token("admin", "PDA"), nil); fmt.Sprint(p["rights"]) != "[admin]" ||
		p["device"].(map[string]any)["envName"] != "Tool" || p["id"] != "1" || p["name"] != "Ada Admin" || p["featureName"] != nil {
		t.Errorf("profile: %v", p)
	}
	if p := s.want(200, "GET", "/api/auth", s.sign(map[string]any{"sub": "cli", "role": "admin", "scope": notify.ScopePublish}), nil); p["id"] != "cli" ||
		fmt.Sprint(p["rights"]) != "[admin notifications:publish]" || p["device"] != nil {
		t.Errorf("profile of a token without a session: %v", p)
	}
	for body, member := range map[string]string{
		`{"password":"secret","deviceName":"PDA"}`:                                      "userName",
		`{"userName":"waiter","password":"secret"}`:                                     "deviceName",
		`{"userName":5,"password":"secret","deviceName":"PDA"}`:                         "userName",
		`{"userName":"` + strings.Repeat("x", 300) + `","password":"","deviceName":""}`: "userName",
		`[]`: "", `{`: "", `{} {}`: "", ``: "",
	} {
		m := s.want(400, "POST", "/api/auth", "", body)
		first := m["errors"].([]any)[0].(map[string]any)
		if first["memberName"] != member || m["errorCode"] != 3.0 {
			t.Errorf("%s: %v", body, m)
		}
	}
	s.want(413, "POST", "/api/auth", "", `{"userName":"`+strings.Repeat("x", 70_000)+`"}`)
	for _, body := range []map[string]any{
		{"userName": "waiter", "password": "wrong", "deviceName": "PDA"},
		{"userName": "waiter", "password": "", "deviceName": "PDA"},
		{"userName": "waiter", "password": "secret", "deviceName": "pda"},
		{"userName": "nobody", "password": "nobody", "deviceName": "PDA"},
	} {
		if m := s.want(401, "POST", "/api/auth", "", body); m["errorCode"] != 1.0 {
			t.Errorf("%v: %v", body, m)
		}
	}
	s.want(401, "POST", "/api/auth", "", map[string]any{"userName": "waiter", "password": "wrong", "deviceName": "PDA"})
	s.want(429, "POST", "/api/auth", "", map[string]any{"userName": "Waiter", "password": "secret", "deviceName": "PDA"})
	s.login("admin", "PDA") // others are not touched
}

func TestRefreshToken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.login("waiter", "PDA")
	id := first["sessionId"].(string)
	second := s.want(200, "POST", "/api/auth/refresh", "", map[string]any{"RefreshToken": first["refreshToken"]})
	for _, token := range []any{first["refreshToken"], "", id, id + ".", "x.y", 5, nil} {
		status, m := s.call("POST", "/api/auth/refresh", "", map[string]any{"refreshToken": token})
		if status != 401 && status != 400 {
			t.Errorf("%v: %d %v", token, status, m)
		}
	}
	// One of many at the same time wins.
	var wg sync.WaitGroup
	var won sync.Map
	for i := range 5 {
		wg.Go(func() {
			if status, m := s.call("POST", "/api/auth/refresh", "", map[string]any{"refreshToken": second["refreshToken"]}); status == 200 {
				won.Store(i, m)
			}
		})
	}
	wg.Wait()
	n := 0
	won.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d refreshes with one token succeeded, want 1", n)
	}
}

func TestSessionsPerDevice(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.Limits.SessionsPerDevice = 2 })
	first := s.token("waiter", "PDA")
	c := s.connect(first)
	other := s.token("waiter", "Other")
	s.token("waiter", "PDA")
	s.want(200, "GET", "/api/auth", first, nil)
	s.token("waiter", "PDA")
	s.want(401, "GET", "/api/auth", first, nil)
	c.expectClose("session has been ended")
	s.want(200, "GET", "/api/auth", other, nil)
	all := s.want(200, "GET", "/api/sessions", s.token("admin", "x"), nil)
	if all["count"] != 4.0 {
		t.Errorf("sessions: %v", all)
	}
	s.want(403, "GET", "/api/sessions", other, nil)
}

func TestO19MaxDeviceCount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		c.FirstLicence = &notify.Terms{MaxDevices: 2}
		s, _ := start(t, c)
		s.login("waiter", "one")
		second := s.login("waiter", "two")
		s.login("kitchen", "two") // the same device once more
		for range 2 {
			status, raw, header := s.raw("POST", "/api/auth", "", `{"userName":"admin","password":"secret","deviceName":"three"}`)
			if status != 403 || !strings.Contains(string(raw), `"errorCode":7`) || !strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") {
				t.Fatalf("third device: %d %s", status, raw)
			}
		}
		// The place of a device is free when its last session has ended.
		s.want(204, "DELETE", "/api/auth", second["tokenId"].(string), nil)
		s.want(403, "POST", "/api/auth", "", map[string]any{"userName": "admin", "password": "secret", "deviceName": "three"})
		all := s.want(200, "GET", "/api/sessions", s.token("admin", "one"), nil)
		for _, item := range all["items"].([]any) {
			if sess := item.(map[string]any); sess["deviceName"] == "two" {
				s.want(204, "DELETE", "/api/sessions/"+sess["id"].(string), s.token("admin", "one"), nil)
			}
		}
		s.login("admin", "three")
	})
}

// TestO19Together logs many devices in at once: as many get in as the licence allows, and no more.
func TestO19Together(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		c := config(t, database)
		c.FirstLicence, c.MaxDevices = &notify.Terms{MaxDevices: 9}, 3 // the smaller counts
		s, _ := start(t, c)
		var wg sync.WaitGroup
		statuses := make([]int, 8)
		for i := range statuses {
			wg.Go(func() {
				statuses[i], _ = s.call("POST", "/api/auth", "", map[string]any{"userName": "waiter", "password": "secret", "deviceName": fmt.Sprint(i)})
			})
		}
		wg.Wait()
		count := map[int]int{}
		for _, status := range statuses {
			count[status]++
		}
		if count[200] != 3 || count[403] != 5 {
			t.Errorf("statuses %v, want three 200 and five 403", count)
		}
	})
}

func TestLicenceExpires(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	pub := s.token("publisher", "x")
	login := s.login("waiter", "PDA")
	c := s.connect(login["tokenId"].(string))
	code, err := notify.IssueLicence(s.config.Keys, s.RequestCode(1), notify.Terms{Lifetime: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Activate(t.Context(), code); err != nil {
		t.Fatal(err)
	}
	c.expectClose("The licence expired at ")
	late := s.connect(login["tokenId"].(string))
	late.expectClose("The licence expired at ")
	for path, body := range map[string]map[string]any{
		"/api/auth":             {"userName": "waiter", "password": "secret", "deviceName": "PDA"},
		"/api/auth/refresh":     {"refreshToken": login["refreshToken"]},
		"/api/v1/notifications": change("x", 1, "1", 1),
	} {
		if m := s.want(403, "POST", path, pub, body); m["errorCode"] != 4.0 {
			t.Errorf("%s: %v", path, m)
		}
	}
	if l := s.want(200, "GET", "/api/v1/license", "", nil); l["isExpired"] != true || l["remainingDays"] != 0.0 {
		t.Errorf("licence: %v", l)
	}
	s.want(400, "POST", "/api/v1/license/activate", "", map[string]any{"activationCode": code})
	code, err = notify.IssueLicence(s.config.Keys, s.RequestCode(1), notify.Terms{})
	if err != nil {
		t.Fatal(err)
	}
	s.want(200, "POST", "/api/v1/license/activate", "", map[string]any{"activationCode": code})
	s.connect(s.token("waiter", "PDA")).subscribe(allChanges)
}

func TestLicenceCodes(t *testing.T) {
	t.Parallel()
	s, other := newServer(t), newServer(t)
	issue := func(keys *hubbub.KeyRing, request string) string {
		t.Helper()
		code, err := notify.IssueLicence(keys, request, notify.Terms{ShopID: 9, Features: map[string]string{"DKPs": "88812345678900001"}})
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	good := issue(s.config.Keys, s.RequestCode(1))
	parts := strings.Split(good, ".")
	for name, code := range map[string]string{
		"none": "", "no code": "hello", "two parts": strings.Join(parts[:3], "."), "other key": issue(other.config.Keys, s.RequestCode(1)),
		"other installation": issue(s.config.Keys, other.RequestCode(1)), "changed": good[:10] + "A" + good[11:],
		"unknown key id": parts[0] + "." + parts[1] + ".99." + parts[3], "signature cut": good[:len(good)-2],
		"long": good + strings.Repeat("A", 10_000),
	} {
		m := s.want(400, "POST", "/api/v1/license/activate", "", map[string]any{"activationCode": code})
		if first := m["errors"].([]any)[0].(map[string]any); first["memberName"] != "activationCode" {
			t.Errorf("%s: %v", name, m)
		}
	}
	s.want(404, "GET", "/api/v1/license", "", nil)
	l := s.want(200, "POST", "/api/v1/license/activate", "", map[string]any{"activationCode": good})
	if l["shopId"] != 9.0 || !strings.Contains(fmt.Sprint(l["features"]), "DKPs") {
		t.Errorf("licence: %v", l)
	}
	for _, request := range []string{"", "HR1.", "HR1.e30", "HR1.***", good} {
		if code, err := notify.IssueLicence(s.config.Keys, request, notify.Terms{}); err == nil {
			t.Errorf("request code %q gave %s", request, code)
		}
	}
	s.want(400, "POST", "/api/v1/license/getrequestcode", "", `{}`)
	s.want(400, "POST", "/api/v1/license/getrequestcode", "", `{"shopId":1.5}`)
	s.want(404, "POST", "/api/v1/license/issue", "", map[string]any{"requestCode": s.RequestCode(1)}) // not in development
}

func TestVerifyWhileClosed(t *testing.T) {
	t.Parallel()
	s, stop := start(t, config(t, "sqlite"))
	token := s.token("waiter", "PDA")
	u, err := s.Verify(t.Context(), token)
	if err != nil || u.ID != "2" || u.Claim("userName") != "waiter" || u.Claim("device") != "PDA" || u.HasScope(notify.ScopePublish) || u.Expires.IsZero() {
		t.Errorf("got %+v, %v", u, err)
	}
	stop()
	if _, err := s.Verify(t.Context(), token); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("without a database: %v, want that it cannot tell", err)
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready without a database")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*notify.Config){
		"want a bcrypt hash":   func(c *notify.Config) { c.Users[0].PasswordHash = "secret" },
		`user name "ADMIN"`:    func(c *notify.Config) { c.Users[1].UserName = "ADMIN" },
		`device name ""`:       func(c *notify.Config) { c.Devices = []notify.Device{{}} },
		"no folder for the SQ": func(c *notify.Config) { c.Database.Dir = "" },
	} {
		c := config(t, "sqlite")
		change(&c)
		s, err := notify.Open(t.Context(), c)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestHashPassword(t *testing.T) {
	t.Parallel()
	h, err := notify.HashPassword("secret")
	if err != nil || bcrypt.CompareHashAndPassword([]byte(h), []byte("secret")) != nil {
		t.Errorf("got %q, %v", h, err)
	}
	if _, err := notify.HashPassword(strings.Repeat("x", 73)); err == nil {
		t.Error("a password of 73 bytes was taken")
	}
}

// TestForeignToken: the session of another issuer is none of ours.
func TestForeignToken(t *testing.T) {
	t.Parallel()
	foreign := &auth.Issuer{Keys: hubbub.RandomKeyRing(), Issuer: "https://id.example"}
	s := newServer(t, func(c *notify.Config) { c.Foreign = foreign.Verify })
	token, err := foreign.Sign(map[string]any{"sub": "ann", "sid": "theirs", "scope": notify.ScopePublish, "role": "admin"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := s.connect(token)
	c.subscribe(allChanges)
	s.publish(token, change("tickets", 1, "t", 1))
	if e := c.expect("tickets 1 t")[0]; e.S.User.User != "ann" {
		t.Errorf("got %s", e.raw)
	}
	s.want(200, "GET", "/api/sessions", token, nil)
	s.want(404, "DELETE", "/api/auth", token, nil)
	s.login("waiter", "PDA") // ours are still accepted
	s.refused("abc")
}

// Guesses at the same time count as much as guesses one after the other.
func TestLoginsSideBySide(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *notify.Config) { c.Limits.FailedLogins = 4 })
	var all sync.WaitGroup
	var tried atomic.Int32
	for range 40 {
		all.Go(func() {
			status, _ := s.call("POST", "/api/auth", "", map[string]any{"userName": "waiter", "password": "guess", "deviceName": "PDA"})
			if status == 401 {
				tried.Add(1)
			}
		})
	}
	all.Wait()
	if n := tried.Load(); n != 4 {
		t.Errorf("%d guesses were tried, want 4", n)
	}
}

// A token that names nobody does not publish as the server.
func TestPublisherHasName(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.want(403, "POST", "/api/v1/notifications", s.sign(map[string]any{"scope": notify.ScopePublish}), map[string]any{})
}
