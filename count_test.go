package hubbub_test

import (
	"context"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// TestCount: every audience counts those of this node that a message would reach.
func TestCount(t *testing.T) {
	t.Parallel()
	f := newFarm(t, 2) // a, c and e are on the first node
	h := f.hubs[0]
	for name, test := range map[string]struct {
		c    hubbub.Clients
		want int
	}{
		"all":              {h.All(), 3},
		"all but":          {h.All().Except("a", "b"), 2},
		"clients":          {h.Clients("a", "b", "nobody"), 1},
		"group":            {h.Group("g"), 3},
		"group of others":  {h.Group("nobody"), 0},
		"group but":        {h.Group("g").Except("c"), 2},
		"groups":           {h.Groups("g", "h"), 4}, // c twice, as it hears twice
		"user":             {h.User("u1"), 1},
		"users":            {h.Users("u1", "u2"), 2},
		"outside a call":   {hubbub.CallerFrom(context.Background()).Others(), 0},
		"of no hub at all": {hubbub.Clients{}, 0},
	} {
		if got := test.c.Count(); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
