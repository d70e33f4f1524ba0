package hubbub_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hubbub-go/hubbub"
)

// TestGoroutinesOfCalls: many calls run beside each other, their goroutines serve later calls, and none stays when the hub has
// no connection any more, with no word said to the hub itself.
func TestGoroutinesOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections, kept = 100, 32
		var hold sync.WaitGroup
		var mu sync.Mutex
		running, free := 0, make(chan struct{})
		where := map[string]bool{}
		h := newHub(nil)
		h.Handle("Hold", hubbub.Action0(func(context.Context) error {
			defer hold.Done()
			mu.Lock()
			running++
			where[goroutine()] = true
			mu.Unlock()
			<-free
			return nil
		}))
		var all []*hubbub.Link
		for i := range connections {
			c := &light{id: strconv.Itoa(i)}
			c.out = hubbub.NewOutbox(1<<20, c.throwAway)
			link, err := h.Attach(c, nil, nil)
			must(t, err)
			all = append(all, link)
		}
		call := func() {
			hold.Add(connections)
			for _, l := range all {
				must(t, l.Receive(&hubbub.Invocation{Target: "Hold"}, 10))
			}
			synctest.Wait()
		}
		call()
		if running != connections {
			t.Errorf("%d calls run at once, want %d", running, connections)
		}
		close(free)
		hold.Wait()
		for range 20 {
			call()
		}
		// The first calls need one each. Later ones find at least those that the hub keeps.
		if n, most := len(where), connections+20*(connections-kept); n > most {
			t.Errorf("%d calls ran on %d goroutines, want at most %d", 21*connections, n, most)
		}
		for _, l := range all {
			l.Detach(nil)
			<-l.Done()
		}
		synctest.Wait()
		// A bubble whose goroutines do not end makes the test fail.
	})
}

// goroutine names the one it runs on.
func goroutine() string {
	b := make([]byte, 64)
	line := string(b[:runtime.Stack(b, false)])
	name, _, ok := strings.Cut(line, " [")
	if !ok {
		panic(fmt.Sprintf("stack %q, want goroutine N [state]", line))
	}
	return name
}
