package identity_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// Texts that a database cannot keep are not right, on every database; none of them is a fault of the server.
func TestTextsThatAreNone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		for _, email := range []string{"a\x00@play.com", "\xff@play.com", "a" + strings.Repeat("é", 200) + "@play.com"} {
			a := p.browser().open(p.url+"/account/login", url.Values{"email": {email}, "password": {"whatever it is"}})
			if a.status != 401 {
				t.Errorf("sign-in as %q: status %d, want 401", email, a.status)
			}
		}
		for _, id := range []string{"%00", "%ff", "a%00b"} {
			for _, path := range []string{"/account/login?request=", "/register?request=", "/connect/authorize/callback?id="} {
				if a := p.browser().open(p.url+path+id, nil); a.status != 400 {
					t.Errorf("%s%s: status %d, want 400", path, id, a.status)
				}
			}
		}
		for _, text := range []string{"a\x00b", "\xff"} {
			for _, name := range []string{"state", "nonce", "code_challenge", "response_mode"} {
				r := newRequest(allScopes)
				r.query.Set(name, text)
				a := p.browser().open(p.authorizeURL(r), nil)
				if to := a.header.Get("Location"); a.status >= 500 || strings.Contains(to, "server_error") {
					t.Errorf("%s %q: status %d, sent on to %s, want that the request is invalid", name, text, a.status, to)
				}
			}
		}
	})
}
