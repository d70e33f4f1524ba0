package catalog_test

import (
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// A text that a database cannot keep is the fault of who sent it, on every database; and a name of spaces is none, as with the
// original.
func TestTextsThatAreNone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		s := open(t, database)
		token := s.token("Admin", "catalog.fullaccess")
		for body, member := range map[string]string{
			`{"name":"a\u0000b","price":1}`:                     "name",
			`{"name":"ab","description":"a\u0000b","price":1}`:  "description",
			`{"name":" \t ","price":1}`:                         "name",
			`{"name":"\u00a0","description":"ab","price":1}`:    "name",
			`{"name":"ab","description":"\ud800 ok","price":1}`: "",
		} {
			status, _, answer := s.ask("POST", "/items", token, body)
			if want := map[bool]int{true: 201, false: 400}[member == ""]; status != want || member != "" && !strings.Contains(answer, `"`+member+`":[`) {
				t.Errorf("%s is answered with %d, %s, want %d and the field %q", body, status, answer, want, member)
			}
		}
	})
}
