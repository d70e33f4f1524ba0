package economy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestP7: what is wrong with a purchase is said at once, and nothing begins.
func TestP7(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a := w.potion(), w.player()
	l := a.listen(nil)
	const head = `{"type":"https://www.rfc-editor.org/rfc/rfc9110#name-400-bad-request","title":"One or more validation errors occurred.","status":400,"errors":`
	for name, test := range map[string]struct{ body, errors string }{
		"quantity 0":            {`{"itemId":"ITEM","quantity":0,"idempotencyId":"ID"}`, `{"quantity":["The field quantity must be between 1 and 100."]}`},
		"quantity 101":          {`{"itemId":"ITEM","quantity":101,"idempotencyId":"ID"}`, `{"quantity":["The field quantity must be between 1 and 100."]}`},
		"negative quantity":     {`{"itemId":"ITEM","quantity":-1,"idempotencyId":"ID"}`, `{"quantity":["The field quantity must be between 1 and 100."]}`},
		"huge quantity":         {`{"itemId":"ITEM","quantity":1e30,"idempotencyId":"ID"}`, `{"quantity":["The field quantity is not a whole number."]}`},
		"half a quantity":       {`{"itemId":"ITEM","quantity":1.5,"idempotencyId":"ID"}`, `{"quantity":["The field quantity is not a whole number."]}`},
		"quantity in words":     {`{"itemId":"ITEM","quantity":"two","idempotencyId":"ID"}`, `{"quantity":["The field quantity is not a whole number."]}`},
		"quantity 0 in text":    {`{"itemId":"ITEM","quantity":"0","idempotencyId":"ID"}`, `{"quantity":["The field quantity must be between 1 and 100."]}`},
		"quantity as null text": {`{"itemId":"ITEM","quantity":"null","idempotencyId":"ID"}`, `{"quantity":["The field quantity is not a whole number."]}`},
		"no quantity":           {`{"itemId":"ITEM","idempotencyId":"ID"}`, `{"quantity":["The field quantity is required."]}`},
		"null quantity":         {`{"itemId":"ITEM","quantity":null,"idempotencyId":"ID"}`, `{"quantity":["The field quantity is required."]}`},
		"no itemId":             {`{"quantity":1,"idempotencyId":"ID"}`, `{"itemId":["The field itemId is required."]}`},
		"itemId is no guid":     {`{"itemId":"potion","quantity":1,"idempotencyId":"ID"}`, `{"itemId":["The field itemId is not an id."]}`},
		"itemId is a number":    {`{"itemId":7,"quantity":1,"idempotencyId":"ID"}`, `{"itemId":["The field itemId is not an id."]}`},
		"itemId of zeros":       {`{"itemId":"00000000-0000-0000-0000-000000000000","quantity":1,"idempotencyId":"ID"}`, `{"itemId":["The field itemId is not an id."]}`},
		"no idempotencyId":      {`{"itemId":"ITEM","quantity":1}`, `{"idempotencyId":["The field idempotencyId is required."]}`},
		"idempotencyId no id":   {`{"itemId":"ITEM","quantity":1,"idempotencyId":"{}"}`, `{"idempotencyId":["The field idempotencyId is not an id."]}`},
		"empty idempotencyId":   {`{"itemId":"ITEM","quantity":1,"idempotencyId":""}`, `{"idempotencyId":["The field idempotencyId is not an id."]}`},
		"everything":            {`{}`, `{"idempotencyId":["The field idempotencyId is required."],"itemId":["The field itemId is required."],"quantity":["The field quantity is required."]}`},
		"no body":               {``, `{"$":["The body is no JSON object."]}`},
		"half a body":           {`{"itemId":"ITEM",`, `{"$":["The body is no JSON object."]}`},
		"no object":             {`[1,2]`, `{"$":["The body is no JSON object."]}`},
		"more than one object":  {`{} {}`, `{"$":["The body is no JSON object."]}`},
		"no JSON":               {`itemId=ITEM&quantity=1&idempotencyId=ID`, `{"$":["The body is no JSON object."]}`},
	} {
		id := uuid.NewString()
		r := w.do("POST", economy.Trading, "/purchase", a.token, strings.NewReplacer("ITEM", potion, "ID", id).Replace(test.body))
		if r.status != http.StatusBadRequest || r.body != head+test.errors+"}" || r.header.Get("Content-Type") != "application/problem+json; charset=utf-8" {
			t.Errorf("%s: status %d, %s, %s\nwant errors %s", name, r.status, r.header.Get("Content-Type"), r.body, test.errors)
		}
		if r := w.do("GET", economy.Trading, "/purchase/status/"+id, a.token, ""); r.status != http.StatusNotFound {
			t.Errorf("%s: a purchase has begun: %d %s", name, r.status, r.body)
		}
	}
	if r := w.do("POST", economy.Trading, "/purchase", a.token, strings.Repeat(" ", 1<<20)); r.status != http.StatusRequestEntityTooLarge || r.json(t)["title"] != "Request Entity Too Large" {
		t.Errorf("large body: status %d, %s", r.status, r.body)
	}
	// Names in another case, ids in upper case and members that nobody knows are no errors.
	id := uuid.NewString()
	r := w.wants(http.StatusAccepted, "POST", economy.Trading, "/purchase", a.token, `{"ItemId":"`+strings.ToUpper(potion)+`","QUANTITY":1,"idempotencyid":"`+strings.ToUpper(id)+`","more":1}`)
	if r.body != `{"idempotencyId":"`+id+`"}` {
		t.Errorf("body %s", r.body)
	}
	l.hears(id, "Completed")
	w.rest()
	l.silent()
}

// TestP8: who may not, gets 401, on REST and on the hub.
func TestP8(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	a := w.player()
	claims := map[string]any{"sub": a.id, "role": "Admin", "scope": "catalog.fullaccess inventory.fullaccess trading.fullaccess IdentityServerApi"}
	forged, err := (&auth.Issuer{Keys: hubbub.RandomKeyRing(), Issuer: w.at(economy.Identity), Audience: "Trading"}).Sign(claims, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	type ask struct{ method, service, path string }
	rest := []ask{
		{"GET", economy.Catalog, "/items"}, {"GET", economy.Inventory, "/items?userId=" + a.id}, {"GET", economy.Identity, "/users"}, {"GET", economy.Trading, "/store"},
		{"POST", economy.Trading, "/purchase"}, {"GET", economy.Trading, "/purchase/status/" + uuid.NewString()}, {"GET", economy.Trading, "/purchase/" + uuid.NewString() + "/history"},
	}
	hub := ask{"POST", economy.Trading, "/messageHub/negotiate?negotiateVersion=1"}
	for name, token := range map[string]string{
		"nobody":         "",
		"nonsense":       "nonsense",
		"expired":        w.token(a.email, -10*time.Second),
		"forged":         forged,
		"other audience": w.signIn(a.email, password, "openid profile roles"),
		"altered":        a.token[:len(a.token)-20] + "AAAA" + a.token[len(a.token)-16:],
	} {
		for _, x := range append(rest, hub) {
			r := w.do(x.method, x.service, x.path, token, "")
			if challenge := r.header.Get("WWW-Authenticate"); r.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer") || r.body != "" {
				t.Errorf("%s: %s %s of %s: status %d, %q, %s, want 401", name, x.method, x.path, x.service, r.status, challenge, r.body)
			}
		}
	}
	if r := w.do("POST", hub.service, hub.path, w.signIn(a.email, password, "openid catalog.fullaccess inventory.fullaccess IdentityServerApi"), ""); r.status != http.StatusUnauthorized {
		t.Errorf("token for everything but Trading: status %d, want 401", r.status)
	}
	// In the query a token is good for the hub alone.
	for _, x := range rest {
		join := "?"
		if strings.Contains(x.path, "?") {
			join = "&"
		}
		if r := w.do(x.method, x.service, x.path+join+"access_token="+a.token, "", ""); r.status != http.StatusUnauthorized {
			t.Errorf("%s %s of %s: token in the query: status %d, want 401", x.method, x.path, x.service, r.status)
		}
	}
	if r := w.wants(http.StatusOK, "POST", hub.service, hub.path+"&access_token="+a.token, "", ""); r.json(t)["connectionToken"] == nil {
		t.Errorf("negotiation %s", r.body)
	}
	if r := w.wants(http.StatusOK, "POST", hub.service, hub.path, a.token, ""); r.json(t)["connectionToken"] == nil {
		t.Errorf("negotiation %s", r.body)
	}
	l := a.listen(&signalr.ClientOptions{SkipNegotiation: true, Transports: signalr.WebSockets})
	l.hears(a.buys(w.potion(), 1), "Completed")
}

// TestP9: the same purchase again, and again at once, is one purchase; and the id is the buyer's own.
func TestP9(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, nil)
		potion, a, b := w.potion(), w.player(), w.player()
		l, other := a.listen(nil), b.listen(nil)
		id := uuid.NewString()
		again := func() {
			t.Helper()
			r := w.do("POST", economy.Trading, "/purchase", a.token, order(potion, 2, id))
			if r.status != http.StatusAccepted || r.header.Get("Location") != w.base(economy.Trading)+"/purchase/status/"+id || r.body != `{"idempotencyId":"`+id+`"}` {
				t.Errorf("status %d, location %s, %s", r.status, r.header.Get("Location"), r.body)
			}
		}
		together(20, func(int) { again() })
		l.hears(id, "Completed")
		w.rest()
		again()
		w.wants(http.StatusAccepted, "POST", economy.Trading, "/purchase", a.token, order(uuid.NewString(), 7, id)) // even with other contents
		r := w.wants(http.StatusConflict, "POST", economy.Trading, "/purchase", b.token, order(potion, 1, id))
		if r.json(t)["title"] != "Conflict" || strings.Contains(r.body, a.id) {
			t.Errorf("conflict %s", r.body)
		}
		for _, path := range []string{"/purchase/status/" + id, "/purchase/" + id + "/history"} {
			if r := w.do("GET", economy.Trading, path, b.token, ""); r.status != http.StatusNotFound || strings.Contains(r.body, a.id) {
				t.Errorf("%s for another player: status %d, %s", path, r.status, r.body)
			}
			w.wants(http.StatusOK, "GET", economy.Trading, path, w.admin, "")
		}
		// Two players with one id at once: one of them gets it.
		shared, statuses := uuid.NewString(), make([]int, 2)
		together(2, func(i int) {
			statuses[i] = w.do("POST", economy.Trading, "/purchase", []*player{a, b}[i].token, order(potion, 1, shared)).status
		})
		gil := map[bool][2]float64{true: {85, 100}, false: {90, 95}}[statuses[0] == http.StatusAccepted]
		if statuses[0]+statuses[1] != http.StatusAccepted+http.StatusConflict {
			t.Fatalf("statuses %v, want 202 and 409", statuses)
		}
		if statuses[0] == http.StatusAccepted {
			l.hears(shared, "Completed")
		} else {
			other.hears(shared, "Completed")
		}
		w.rest()
		a.has(gil[0], potion, 2+(90-gil[0])/5)
		b.has(gil[1], potion, (100-gil[1])/5)
		l.silent()
		other.silent()
	})
}

// TestP18: nobody says for the machine how a purchase ended.
func TestP18(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	potion, a, b := w.potion(), w.player(), w.player()
	for _, protocol := range []string{"json", "messagepack"} {
		o := &signalr.ClientOptions{Protocol: protocol}
		one, other := a.listen(o), b.listen(o)
		for _, name := range []string{"SendStatusAsync", "sendstatusasync", "SendStatus", "ReceivePurchaseStatus", "ReceivePurchaseProgress"} {
			err := one.client.Invoke(t.Context(), nil, name, map[string]any{"userId": b.id, "currentState": "Completed"})
			if err == nil || !strings.Contains(err.Error(), "does not exist") {
				t.Fatalf("%s: %v, want that there is no such method", name, err)
			}
			if strings.Contains(err.Error(), "ReceivePurchaseStatus") {
				one.expected++ // the error is what came
			}
			if err := one.client.Send(t.Context(), name, map[string]any{"userId": b.id}); err != nil {
				t.Error(err)
			}
		}
		one.hears(a.buys(potion, 1), "Completed") // the connection lives
		w.rest()
		one.silent()
		other.silent()
		one.client.Close()
		other.client.Close()
	}
}
