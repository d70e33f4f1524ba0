package gateway

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
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

// String returns the name of the way.
func (b Balance) String() string {
	switch b {
	case Random:
		return "random"
	case RoundRobin:
		return "roundRobin"
	case LeastPending:
		return "leastPending"
	}
	return fmt.Sprintf("Balance(%d)", uint8(b))
}

// awayFor is how long an address is passed over that could not be reached, while there are others.
const awayFor = 5 * time.Second

var errUnreachable = errors.New("the address could not be reached")

// backend is one address of a service. The balancer guards it.
type backend struct {
	url     string // without a slash at the end
	pending int
	taken   uint64
	away    time.Time // until then it is passed over
	down    bool      // its checks fail: it is passed over until they do no more
	err     error     // of the last check or request that has failed, nil if there was a good one after it
}

// rank tells how willingly an address is taken: 0 is well, 1 could not be reached a moment ago, 2 fails its checks.
func (b *backend) rank(now time.Time) int {
	switch {
	case b.down:
		return 2
	case now.Before(b.away):
		return 1
	}
	return 0
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
	chosen.taken++
	return chosen.url, func(reached bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		chosen.pending--
		if !reached {
			chosen.away, chosen.err = time.Now().Add(awayFor), errUnreachable
		} else if chosen.away = (time.Time{}); !chosen.down {
			chosen.err = nil
		}
	}
}

// choose returns one of the addresses of the lowest rank: if none is well, it is still better to try than to refuse. It needs b.mu.
func (b *balancer) choose(now time.Time) *backend {
	n := len(b.backends)
	first := rand.IntN(n)
	if b.how == RoundRobin {
		first = b.next
	}
	best, at, least := b.backends[first], first, b.backends[first].rank(now)
	for i := 1; i < n; i++ {
		x := b.backends[(first+i)%n]
		rank := x.rank(now)
		if rank < least || (rank == least && b.how == LeastPending && x.pending < best.pending) {
			best, at, least = x, (first+i)%n, rank
		}
	}
	if b.how == RoundRobin {
		b.next = (at + 1) % n
	}
	return best
}

// checked notes the end of a check: err is why it failed, down whether the address is passed over from now on. It reports whether
// that is news.
func (b *balancer) checked(x *backend, err error, down bool) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	news = x.down != down
	x.down, x.err = down, err
	if err == nil {
		x.away = time.Time{}
	}
	return news
}

// BackendHealth is how one address of a service is.
type BackendHealth struct {
	URL     string // without a password
	Up      bool   // requests go there; false while it could not be reached or fails its checks, and others are better
	Err     error  // why it is not up, or what the last check has found; nil if there is nothing
	Pending int    // requests that wait for their end
	Taken   uint64 // requests that were sent there
}

// health tells how the addresses are, in their order.
func (b *balancer) health() []BackendHealth {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]BackendHealth, len(b.backends))
	for i, x := range b.backends {
		all[i] = BackendHealth{URL: redacted(x.url), Up: x.rank(now) == 0, Err: x.err, Pending: x.pending, Taken: x.taken}
	}
	return all
}

func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil { // checked when it was registered
		return ""
	}
	return u.Redacted()
}

// APIHealth is how a service is.
type APIHealth struct {
	Key      string
	Backends []BackendHealth // in the order of BaseURLs
}

// APIHealth tells how the services are, in the order of registration. It does not block and asks nobody.
func (g *Gateway) APIHealth() []APIHealth {
	t := g.table()
	all := make([]APIHealth, len(t.apis))
	for i, a := range t.apis {
		all[i] = APIHealth{Key: a.key, Backends: a.state.balancer.health()}
	}
	return all
}
