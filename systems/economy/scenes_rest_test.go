package economy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy"
)

const (
	bad      = `{"type":"https://www.rfc-editor.org/rfc/rfc9110#name-400-bad-request","title":"One or more validation errors occurred.","status":400,"errors":`
	notFound = `{"title":"Not Found","status":404,"detail":`
)

// exchange is a request and what it must be answered with, word by word. Ids in the answer have names.
type exchange struct {
	who, method, service, path, body string
	status                           int
	want                             string
	location                         string
}

// play sends requests one after the other. In what is sent, names in braces stand for ids.
func (w *world) play(tokens, names map[string]string, all []exchange) {
	w.t.Helper()
	fill := make([]string, 0, 2*len(names))
	known := make(map[string]string)
	for name, id := range names {
		fill = append(fill, "{"+name+"}", id)
		known[id] = name
	}
	filled := strings.NewReplacer(fill...)
	for _, x := range all {
		r := w.do(x.method, x.service, filled.Replace(x.path), tokens[x.who], filled.Replace(x.body))
		if got := plain(r.body, known); r.status != x.status || got != x.want {
			w.t.Errorf("%s %s of %s, %s:\n got %d %s\nwant %d %s", x.method, x.path, x.service, x.body, r.status, got, x.status, x.want)
		}
		kind := ""
		switch {
		case strings.HasPrefix(x.want, `{"type":`), strings.HasPrefix(x.want, `{"title":`):
			kind = "application/problem+json; charset=utf-8"
		case x.want != "":
			kind = "application/json; charset=utf-8"
		}
		if got := r.header.Get("Content-Type"); got != kind {
			w.t.Errorf("%s %s of %s: content type %q, want %q", x.method, x.path, x.service, got, kind)
		}
		if got := plain(r.header.Get("Location"), known); got != x.location {
			w.t.Errorf("%s %s of %s: location %q, want %q", x.method, x.path, x.service, got, x.location)
		}
	}
}

// TestREST holds every endpoint, status, header and body of the REST side.
func TestREST(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	a, b := w.player(), w.player()
	tokens := map[string]string{"admin": w.admin, "A": a.token, "B": b.token}
	names := map[string]string{"A": a.id, "B": b.id, "nothing": "11111111-2222-3333-4444-555555555555", "other": uuid.NewString()}
	catalog, inventory, identity, trading := economy.Catalog, economy.Inventory, economy.Identity, economy.Trading

	w.play(tokens, names, []exchange{
		{"admin", "GET", catalog, "/items", "", 200, `[]`, ""},
		{"admin", "POST", catalog, "/items", `{"name":"Ether","description":"Restores \u003cMP>","price":1000,"stock":null}`, 201,
			`{"id":"ID","name":"Ether","description":"Restores \u003cMP\u003e","price":1000,"createdDate":TIME}`, "/catalog-svc/items/ID"},
		{"admin", "POST", catalog, "/items", `{"name":"Elixir","price":0}`, 201, `{"id":"ID","name":"Elixir","description":"","price":0,"createdDate":TIME}`, "/catalog-svc/items/ID"},
		{"admin", "POST", catalog, "/items", `{}`, 400, bad + `{"name":["The field name is required."]}}`, ""},
		{"admin", "POST", catalog, "/items", `{"name":"x","price":1000.01}`, 400, bad + `{"price":["The field price must be between 0 and 1000."]}}`, ""},
		{"admin", "POST", catalog, "/items", `{"name":"x","price":-0.01}`, 400, bad + `{"price":["The field price must be between 0 and 1000."]}}`, ""},
		{"admin", "POST", catalog, "/items", `{"name":"x","price":null}`, 400, bad + `{"price":["The field price is not an amount."]}}`, ""},
		{"admin", "POST", catalog, "/items", `{"name":null,"price":"much"}`, 400, bad + `{"name":["The field name is required."],"price":["The field price is not an amount."]}}`, ""},
		{"admin", "POST", catalog, "/items", `{"name":"x","price":1,"stock":-1}`, 400, bad + `{"stock":["The field stock must be between 0 and 1000000000."]}}`, ""},
		{"admin", "GET", catalog, "/items/{nothing}", "", 404, notFound + `"There is no item nothing."}`, ""},
		{"admin", "PUT", catalog, "/items/{nothing}", `{"name":"x"}`, 404, notFound + `"There is no item nothing."}`, ""},
		{"admin", "DELETE", catalog, "/items/{nothing}", "", 404, notFound + `"There is no item nothing."}`, ""},
		{"admin", "GET", catalog, "/items/potion", "", 404, notFound + `"The path has no id."}`, ""},
		{"admin", "GET", catalog, "/potions", "", 404, notFound + `"There is no such endpoint."}`, ""},
	})
	for _, i := range w.list(catalog, "/items", w.admin) {
		names[i["name"].(string)] = i["id"].(string)
	}
	names["Potion"] = w.item("Potion", "5.25", `,"stock":7`)
	w.play(tokens, names, []exchange{
		{"admin", "GET", catalog, "/items/{Potion}", "", 200, `{"id":"Potion","name":"Potion","description":"One of a test","price":5.25,"createdDate":TIME,"stock":7}`, ""},
		{"admin", "PUT", catalog, "/items/{Potion}", `{"id":"{Potion}","name":"Potion","description":"Restores HP","price":5}`, 204, "", ""},
		{"admin", "PUT", catalog, "/items/{Potion}", `{"name":"","price":5}`, 400, bad + `{"name":["The field name is required."]}}`, ""},
		{"admin", "GET", catalog, "/items/{Potion}", "", 200, `{"id":"Potion","name":"Potion","description":"Restores HP","price":5,"createdDate":TIME}`, ""},
		{"admin", "DELETE", catalog, "/items/{Elixir}", "", 204, "", ""},
		{"admin", "DELETE", catalog, "/items/{Elixir}", "", 404, notFound + `"There is no item Elixir."}`, ""},
		{"admin", "GET", catalog, "/items", "", 200, `[{"id":"Ether","name":"Ether","description":"Restores \u003cMP\u003e","price":1000,"createdDate":TIME},` +
			`{"id":"Potion","name":"Potion","description":"Restores HP","price":5,"createdDate":TIME}]`, ""},
	})
	w.rest()

	w.play(tokens, names, []exchange{
		{"A", "GET", inventory, "/items", "", 400, bad + `{"userId":["The value of userId is not an id."]}}`, ""},
		{"A", "GET", inventory, "/items?userId=", "", 400, bad + `{"userId":["The value of userId is not an id."]}}`, ""},
		{"A", "GET", inventory, "/items?userId=00000000-0000-0000-0000-000000000000", "", 400, bad + `{"userId":["The value of userId is not an id."]}}`, ""},
		{"A", "GET", inventory, "/items?userId={A}", "", 200, `[]`, ""},
		{"admin", "POST", inventory, "/items", `{"userId":"{A}","catalogItemId":"{Ether}","quantity":3}`, 200, "", ""},
		{"admin", "POST", inventory, "/items", `{"userId":"{A}","catalogItemId":"{Ether}","quantity":-1}`, 200, "", ""},
		{"admin", "POST", inventory, "/items", `{"userId":"{B}","catalogItemId":"{nothing}","quantity":-2}`, 200, "", ""},
		{"admin", "POST", inventory, "/items", `{"userId":"{B}"}`, 400, bad + `{"catalogItemId":["The field catalogItemId is required."],"quantity":["The field quantity is required."]}}`, ""},
		{"A", "GET", inventory, "/items?userId={A}", "", 200, `[{"catalogItemId":"Ether","name":"Ether","description":"Restores \u003cMP\u003e","quantity":2,"acquiredDate":TIME}]`, ""},
		{"A", "GET", inventory, "/items?userId={B}", "", 403, `{"title":"Forbidden","status":403,"detail":"The items of another player are for administrators."}`, ""},
		{"admin", "GET", inventory, "/items?userId={B}", "", 200, `[{"catalogItemId":"nothing","name":"","description":"","quantity":-2,"acquiredDate":TIME}]`, ""},
		{"admin", "DELETE", catalog, "/items/{Ether}", "", 204, "", ""},
	})
	w.rest()
	w.play(tokens, names, []exchange{ // the item is gone, and the list still there
		{"A", "GET", inventory, "/items?userId={A}", "", 200, `[{"catalogItemId":"Ether","name":"Ether","description":"Restores \u003cMP\u003e","quantity":2,"acquiredDate":TIME}]`, ""},

		{"", "POST", identity, "/register", `{"email":"taken@play.com","password":"correct horse","userName":"Ann"}`, 201,
			`{"id":"ID","userName":"Ann","email":"taken@play.com","gil":100,"createdOn":TIME}`, "/identity-svc/users/ID"},
		{"", "POST", identity, "/register", `{"email":"Taken@play.com","password":"correct horse"}`, 400, bad + `{"email":["The field email is of another account."]}}`, ""},
		{"", "POST", identity, "/register", `{"email":"nobody","password":"short"}`, 400,
			bad + `{"email":["The field email is not a valid e-mail address."],"password":["The field password must have at least 8 characters."]}}`, ""},
		{"", "POST", identity, "/register", `{}`, 400, bad + `{"email":["The field email is required."],"password":["The field password must have at least 8 characters."]}}`, ""},
		{"admin", "GET", identity, "/users/{A}", "", 200, `{"id":"A","userName":"player1@play.com","email":"player1@play.com","gil":100,"createdOn":TIME}`, ""},
		{"admin", "GET", identity, "/users/{nothing}", "", 404, notFound + `"There is no user nothing."}`, ""},
		{"admin", "PUT", identity, "/users/{A}", `{"id":"{A}","email":"ann@play.com","gil":250.5}`, 204, "", ""},
		{"admin", "PUT", identity, "/users/{A}", `{"email":"ann","gil":1000001}`, 400,
			bad + `{"email":["The field email is not a valid e-mail address."],"gil":["The field gil must be between 0 and 1000000."]}}`, ""},
		{"admin", "PUT", identity, "/users/{A}", `{"email":"ann@play.com","gil":null}`, 400, bad + `{"gil":["The field gil is not an amount."]}}`, ""},
		{"admin", "PUT", identity, "/users/{A}", `{"gil":-1}`, 400, bad + `{"email":["The field email is required."],"gil":["The field gil must be between 0 and 1000000."]}}`, ""},
		{"admin", "PUT", identity, "/users/{A}", `{"email":"taken@play.com","gil":1}`, 400, bad + `{"email":["The field email is of another account."]}}`, ""},
		{"admin", "PUT", identity, "/users/{nothing}", `{"email":"x@play.com","gil":1}`, 404, notFound + `"There is no user nothing."}`, ""},
		{"admin", "DELETE", identity, "/users/{nothing}", "", 404, notFound + `"There is no user nothing."}`, ""},
	})
	w.rest()

	potion := names["Potion"]
	id := uuid.NewString()
	names["one"] = id
	w.play(tokens, names, []exchange{
		{"A", "GET", trading, "/store", "", 200, `{"items":[{"id":"Potion","name":"Potion","description":"Restores HP","price":5,"ownedQuantity":0}],"userGil":250.5}`, ""},
		{"A", "GET", trading, "/purchase/status/{one}", "", 404, notFound + `"There is no purchase one."}`, ""},
		{"A", "GET", trading, "/purchase/{one}/history", "", 404, notFound + `"There is no purchase one."}`, ""},
		{"A", "GET", trading, "/purchase/status/potion", "", 404, notFound + `"The path has no id."}`, ""},
		{"A", "POST", trading, "/purchase", `{"itemId":"{Potion}","quantity":2,"idempotencyId":"{one}"}`, 202, `{"idempotencyId":"one"}`, "/trading-svc/purchase/status/one"},
	})
	a.becomes(id, "Completed")
	two, three := a.buys(potion, 99), a.buys(names["other"], 1)
	a.becomes(two, "Faulted")
	a.becomes(three, "Faulted")
	names["two"], names["three"] = two, three
	w.rest()
	history := func(steps ...string) string {
		var all []string
		for _, s := range steps {
			state, message, _ := strings.Cut(s, ": ")
			all = append(all, fmt.Sprintf(`{"state":%q,"at":TIME,"message":%q}`, state, message))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	refused := "Not enough gil to debit 495 from user A"
	w.play(tokens, names, []exchange{
		{"A", "GET", trading, "/purchase/status/{one}", "", 200, `{"userId":"A","itemId":"Potion","purchaseTotal":10,"quantity":2,"state":"Completed","received":TIME,"lastUpdated":TIME}`, ""},
		{"A", "GET", trading, "/purchase/status/{two}", "", 200,
			`{"userId":"A","itemId":"Potion","purchaseTotal":495,"quantity":99,"state":"Faulted","reason":"` + refused + `","received":TIME,"lastUpdated":TIME}`, ""},
		{"A", "GET", trading, "/purchase/status/{three}", "", 200,
			`{"userId":"A","itemId":"other","quantity":1,"state":"Faulted","reason":"Unknown item 'other'","received":TIME,"lastUpdated":TIME}`, ""},
		{"A", "GET", trading, "/purchase/{one}/history", "", 200, history("Accepted: PurchaseRequested", "ItemsGranted: InventoryItemsGranted", "GilDebited: GilDebited",
			"Completed: InventoryItemsDelivered"), ""},
		{"A", "GET", trading, "/purchase/{three}/history", "", 200, history("Faulted: PurchaseRequested: Unknown item 'other'"), ""},
		{"B", "GET", trading, "/purchase/status/{one}", "", 404, notFound + `"There is no purchase one."}`, ""},
		{"B", "POST", trading, "/purchase", `{"itemId":"{Potion}","quantity":2,"idempotencyId":"{one}"}`, 409, `{"title":"Conflict","status":409,"detail":"The idempotencyId was used for another purchase."}`, ""},
		{"A", "GET", trading, "/store", "", 200, `{"items":[{"id":"Potion","name":"Potion","description":"Restores HP","price":5,"ownedQuantity":2}],"userGil":240.5}`, ""},
		{"admin", "PUT", catalog, "/items/{Potion}", `{"name":"Potion","description":"","price":5,"stock":3}`, 204, "", ""},
		{"admin", "DELETE", identity, "/users/{A}", "", 204, "", ""},
		{"admin", "GET", identity, "/users/{A}", "", 404, notFound + `"There is no user A."}`, ""},
	})
	w.rest()
	w.play(tokens, names, []exchange{ // a deleted account has no gil, and two of three are sold
		{"A", "GET", trading, "/store", "", 200, `{"items":[{"id":"Potion","name":"Potion","description":"","price":5,"ownedQuantity":2,"stock":1}],"userGil":0}`, ""},
	})
	for _, service := range economy.Names() {
		for _, path := range []string{"/health/live", "/health/ready"} {
			if r := w.do("GET", service, path, "", ""); r.status != 200 || r.body != "Healthy" {
				t.Errorf("%s of %s: status %d, %s", path, service, r.status, r.body)
			}
		}
	}
	// Paths are found in any case.
	for _, path := range []string{"/TRADING-SVC/STORE", "/Trading-Svc/Store", "/trading-svc/Purchase/Status/" + strings.ToUpper(id)} {
		r, err := http.NewRequest("GET", w.parts[trading].server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+a.token)
		if got := read(t)(http.DefaultTransport.RoundTrip(r)); got.status != http.StatusOK {
			t.Errorf("%s: status %d, %s", path, got.status, got.body)
		}
	}
}

// TestPolicies: who may do what, by role, scope and audience of tokens that were signed in for.
func TestPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", nil)
	a, b := w.player(), w.player()
	potion := w.potion()
	names := map[string]string{"A": a.id, "B": b.id, "Potion": potion}
	id := a.buys(potion, 1)
	a.becomes(id, "Completed")
	names["one"] = id
	const portal = "openid profile catalog.fullaccess inventory.fullaccess trading.fullaccess IdentityServerApi roles"
	tokens := map[string]string{"nobody": "", "player": w.signIn(a.email, password, portal), "other player": w.signIn(b.email, password, portal), "admin": w.signIn(adminEmail, adminPassword, portal)}
	for name, scope := range map[string]string{
		"reader": "openid catalog.readaccess", "writer": "openid catalog.writeaccess", "reader and writer": "openid catalog.readaccess catalog.writeaccess",
		"catalog": "openid catalog.fullaccess", "inventory": "openid inventory.fullaccess", "trading": "openid trading.fullaccess", "identity": "openid IdentityServerApi",
		"no api": "openid profile roles",
	} {
		tokens["admin, "+name] = w.signIn(adminEmail, adminPassword, scope)
	}
	tokens["player, trading"] = w.signIn(a.email, password, "openid trading.fullaccess")
	item, user, grant := `{"name":"Ether","price":1}`, `{"email":"b@play.com","gil":100}`, `{"userId":"{A}","catalogItemId":"{Potion}","quantity":0}`
	for _, x := range []struct {
		method, service, path, body string
		wants                       map[string]int // those who are not named get 401
	}{
		{"GET", economy.Catalog, "/items", "", of(200, "admin", "admin, reader", "admin, reader and writer", "admin, catalog")(403, "player", "other player", "admin, writer")},
		{"GET", economy.Catalog, "/items/{Potion}", "", of(200, "admin", "admin, reader", "admin, reader and writer", "admin, catalog")(403, "player", "other player", "admin, writer")},
		{"POST", economy.Catalog, "/items", item, of(201, "admin", "admin, writer", "admin, reader and writer", "admin, catalog")(403, "player", "other player", "admin, reader")},
		{"PUT", economy.Catalog, "/items/{Potion}", item, of(204, "admin", "admin, writer", "admin, reader and writer", "admin, catalog")(403, "player", "other player", "admin, reader")},
		{"DELETE", economy.Catalog, "/items/{B}", "", of(404, "admin", "admin, writer", "admin, reader and writer", "admin, catalog")(403, "player", "other player", "admin, reader")},
		{"GET", economy.Inventory, "/items?userId={A}", "", of(200, "admin", "admin, inventory", "player")(403, "other player")},
		{"POST", economy.Inventory, "/items", grant, of(200, "admin", "admin, inventory")(403, "player", "other player")},
		{"GET", economy.Identity, "/users", "", of(200, "admin", "admin, identity")(403, "player", "other player")},
		{"GET", economy.Identity, "/users/{B}", "", of(200, "admin", "admin, identity")(403, "player", "other player")},
		{"PUT", economy.Identity, "/users/{B}", user, of(204, "admin", "admin, identity")(403, "player", "other player")},
		{"DELETE", economy.Identity, "/users/{Potion}", "", of(404, "admin", "admin, identity")(403, "player", "other player")},
		{"GET", economy.Trading, "/store", "", of(200, "admin", "admin, trading", "player", "player, trading", "other player")()},
		{"POST", economy.Trading, "/purchase", "{}", of(400, "admin", "admin, trading", "player", "player, trading", "other player")()},
		{"GET", economy.Trading, "/purchase/status/{one}", "", of(200, "admin", "admin, trading", "player", "player, trading")(404, "other player")},
		{"GET", economy.Trading, "/purchase/{one}/history", "", of(200, "admin", "admin, trading", "player", "player, trading")(404, "other player")},
		{"POST", economy.Trading, "/messagehub/negotiate?negotiateVersion=1", "", of(200, "admin", "admin, trading", "player", "player, trading", "other player")()},
	} {
		filled := strings.NewReplacer("{A}", a.id, "{B}", b.id, "{Potion}", potion, "{one}", id)
		for who, token := range tokens {
			want, named := x.wants[who]
			if !named {
				want = http.StatusUnauthorized
			}
			r := w.do(x.method, x.service, filled.Replace(x.path), token, filled.Replace(x.body))
			if r.status != want {
				t.Errorf("%s: %s %s of %s: status %d, %s, want %d", who, x.method, x.path, x.service, r.status, r.body, want)
			}
			if r.status == http.StatusUnauthorized && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: %s %s of %s: status %d without a challenge", who, x.method, x.path, x.service, r.status)
			}
		}
	}
}

// of says who gets which status.
func of(status int, who ...string) func(args ...any) map[string]int {
	all := make(map[string]int)
	for _, one := range who {
		all[one] = status
	}
	return func(args ...any) map[string]int {
		for _, one := range args {
			if other, ok := one.(int); ok {
				status = other
				continue
			}
			all[one.(string)] = status
		}
		return all
	}
}
