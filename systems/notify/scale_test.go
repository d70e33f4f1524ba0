package notify_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub/systems/notify"
)

// wish is a subscription of the test, and what it means by the plainest reading.
type wish struct {
	payload string
	matches func(resource string, a notify.Action) bool
}

// wishes returns 200 different ones: all, single resources and pairs, with every set of actions.
func wishes() []wish {
	all := []wish{{allChanges, func(string, notify.Action) bool { return true }}}
	sets := [][]notify.Action{{1}, {2}, {3}, {1, 2}, {1, 3}, {2, 3}, nil}
	for i := 0; len(all) < 200; i++ {
		one, two := fmt.Sprintf("r%d", i%20), fmt.Sprintf("r%d", (i%20+1+i/20)%20)
		set, other := sets[i%7], sets[i/7%7]
		has := func(set []notify.Action, a notify.Action) bool {
			for _, e := range set {
				if e == a {
					return true
				}
			}
			return set == nil
		}
		w := wish{resources(fmt.Sprintf(`[{"n":%q%s},{"n":%q%s}]`, one, words(set), two, words(other))),
			func(resource string, a notify.Action) bool {
				return resource == one && has(set, a) || resource == two && has(other, a)
			}}
		all = append(all, w)
	}
	return all
}

func words(set []notify.Action) string {
	if set == nil {
		return ""
	}
	s := ""
	for _, a := range set {
		s += fmt.Sprintf(",%q", a)
	}
	return `,"a":[` + s[1:] + `]`
}

// TestO16ExactSets has many connections with 200 different filters, two each: each event reaches exactly those who want it,
// once.
func TestO16ExactSets(t *testing.T) {
	t.Parallel()
	connections := 2000
	if raceDetector || testing.Short() {
		connections = 400
	}
	s := newServer(t)
	token := s.sign(map[string]any{"sub": "any"})
	all := wishes()
	distinct := make(map[string]bool)
	for _, w := range all {
		distinct[w.payload] = true
	}
	if len(distinct) != 200 {
		t.Fatalf("%d different filters, want 200", len(distinct))
	}
	clients := make([]*client, connections)
	each := func(f func(i int)) {
		var wg sync.WaitGroup
		for part := range 16 {
			wg.Go(func() {
				for i := part; i < connections; i += 16 {
					f(i)
				}
			})
		}
		wg.Wait()
	}
	second := func(i int) wish { return all[1+i*7%199] }
	each(func(i int) {
		clients[i] = s.connect(token)
		clients[i].subscribe(all[i%200].payload)
		clients[i].subscribe(second(i).payload)
	})
	if n := len(s.Listeners()); n != connections {
		t.Fatalf("%d listeners, want %d", n, connections)
	}
	type published struct {
		resource string
		action   notify.Action
	}
	var events []published
	for r := range 21 { // one more than the filters name
		for a := notify.Created; a <= notify.Deleted; a++ {
			events = append(events, published{fmt.Sprintf("r%d", r), a})
		}
	}
	for _, e := range events {
		if _, err := s.PublishResource(t.Context(), e.resource, e.action, "1", 1); err != nil {
			t.Fatal(err)
		}
	}
	each(func(i int) {
		var want []string
		for _, e := range events {
			if all[i%200].matches(e.resource, e.action) || second(i).matches(e.resource, e.action) {
				want = append(want, fmt.Sprintf("%s %d 1", e.resource, e.action))
			}
		}
		clients[i].expect(want...)
	})
}

// BenchmarkPublish publishes what nobody wants and what one connection wants, with 200 connections that want other things.
func BenchmarkPublish(b *testing.B) {
	s := newServer(b)
	token := s.sign(map[string]any{"sub": "any"})
	for i := range 200 {
		s.connect(token).subscribe(resources(fmt.Sprintf(`[{"n":"r%d"}]`, i)))
	}
	for _, resource := range []string{"nobody", "r7"} {
		b.Run(resource, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := s.PublishResource(b.Context(), resource, notify.Updated, "1", 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
