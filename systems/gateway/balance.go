package gateway

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Balance says which of several addresses gets the next request.
type Balance uint8

// The ways to balance.
const (
	Random       Balance = iota // any
	RoundRobin                  // one after the other
	LeastPending                // the one with the fewest requests that wait for their end
)

// awayFor is how long an address is passed over that could not be reached, while there are others.
const awayFor = 5 * time.Second

// backend is one address of a service. The balancer guards it.
type backend struct {
	url     string // without a slash at the end
	pending int
	away    time.Time // until then it is passed over
}

// balancer chooses addresses. It is safe for concurrent use.
type balancer struct {
	how Balance

	mu       sync.Mutex
	backends []*backend
	next     int
}

func newBalancer(how Balance, urls []string) *balancer {
	b := &balancer{how: how}
	for _, u := range urls {
		b.backends = append(b.backends, &backend{url: strings.TrimRight(u, "/")})
	}
	return b
}

// take chooses an address and counts a request for it until done is called, which hears whether the address could be reached.
func (b *balancer) take() (url string, done func(reached bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	chosen := b.choose(time.Now())
	chosen.pending++
	return chosen.url, func(reached bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		chosen.pending--
		if reached {
			chosen.away = time.Time{}
		} else {
			chosen.away = time.Now().Add(awayFor)
		}
	}
}

// choose returns one of the addresses that are there, or of all if none is. It needs b.mu.
func (b *balancer) choose(now time.Time) *backend {
	n := len(b.backends)
	first := rand.IntN(n)
	if b.how == RoundRobin {
		first = b.next
	}
	var best *backend
	at := first
	for i := range n {
		x := b.backends[(first+i)%n]
		if now.Before(x.away) || (best != nil && (b.how != LeastPending || x.pending >= best.pending)) {
			continue
		}
		best, at = x, (first+i)%n
	}
	if best == nil {
		best, at = b.backends[first], first
	}
	if b.how == RoundRobin {
		b.next = (at + 1) % n
	}
	return best
}
