package classic_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// Trace hears of all messages of both directions, over the transport that is used.
func TestClientTrace(t *testing.T) {
	t.Parallel()
	overAll(t, func(t *testing.T, tr classic.Transport) {
		s := newServer(t)
		var mu sync.Mutex
		var heard []string
		c := dialed(t, s.url, tr, func(o *classic.ClientOptions) {
			o.Trace = func(sent bool, over classic.Transport, p []byte) {
				mu.Lock()
				defer mu.Unlock()
				if over != tr {
					t.Errorf("heard of %v, want %v", over, tr)
				}
				direction := "< "
				if sent {
					direction = "> "
				}
				heard = append(heard, direction+strings.TrimSpace(string(p)))
			}
		})
		p := c.Hub("RefHub")
		started(t, c)
		if _, err := hubbub.Invoke[string](t.Context(), p, "Echo", "hi"); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		all := strings.Join(heard, "\n") + "\n"
		for _, want := range []string{`"S":1,"M":[]}`, `> {"I":"0","H":"RefHub","M":"Echo","A":["hi"]}`, `< {"R":"hi","I":"0"}`} {
			if strings.Count(all, want+"\n") != 1 {
				t.Errorf("want %s once in\n%s", want, all)
			}
		}
	})
}
