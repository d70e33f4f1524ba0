package economy_test

import (
	"net/http"
	"testing"

	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestForeignIssuer has players sign in at somebody else: here at the identity service of another Play Economy. Its keys are found
// over the network.
func TestForeignIssuer(t *testing.T) {
	t.Parallel()
	theirs := newWorld(t, "sqlite", nil)
	w := &world{t: t, dir: t.TempDir(), database: storetest.Config(t, "sqlite", "y"), change: func(c *economy.Config) {
		c.Issuer, c.Foreign = theirs.at(economy.Identity), true
	}}
	all := w.serve("")
	w.parts = map[string]*part{economy.Catalog: all, economy.Inventory: all, economy.Identity: all, economy.Trading: all}
	all.start()
	w.bus = all.system.Bus()
	w.admin = theirs.admin

	guest := theirs.player()
	p := &player{w: w, id: guest.id, token: guest.token}
	w.wants(http.StatusNotFound, "GET", economy.Identity, "/.well-known/openid-configuration", "", "")
	w.wants(http.StatusUnauthorized, "POST", economy.Identity, "/register", "", `{"email":"somebody@play.com","password":"correct horse"}`)
	potion := w.potion()
	e := p.listen(nil)
	id := p.buys(potion, 1)
	if got := e.hears(id, "Faulted")["errorMessage"]; got != "Unknown user '"+p.id+"'" {
		t.Errorf("a purchase without an account: %v, want one of an unknown user", got)
	}
	for _, status := range []int{http.StatusCreated, http.StatusOK} {
		a := w.wants(status, "POST", economy.Identity, "/register", p.token, `{"email":"guest@play.com"}`).json(t)
		if a["id"] != p.id || a["gil"] != 100.0 {
			t.Errorf("account %v, want that of %s with 100 gil", a, p.id)
		}
	}
	e.hears(p.buys(potion, 2), "Completed")
	p.has(90, potion, 2)
}
