package identity

import (
	"sync"
	"time"
)

// allowance is how many failed sign-ins are taken at once, and after what time one more is.
type allowance struct {
	burst float64
	every time.Duration
}

// Failed sign-ins of an account from one address, of an account from anywhere, and from one address for any account.
var (
	ofBoth    = allowance{5, 12 * time.Second}
	ofAccount = allowance{50, 12 * time.Second}
	ofAddress = allowance{50, 2 * time.Second}
)

// maximumTries bounds what a throttle remembers.
const maximumTries = 20_000

// throttle limits how often somebody may guess. It is safe for concurrent use.
type throttle struct {
	mu    sync.Mutex
	tries map[string]*tries
}

// tries is a bucket that fills with time.
type tries struct {
	left float64
	at   time.Time
	allowance
}

func newThrottle() *throttle { return &throttle{tries: make(map[string]*tries)} }

func (t *tries) fill(now time.Time) {
	t.left = min(t.burst, t.left+now.Sub(t.at).Seconds()/t.every.Seconds())
	t.at = now
}

func (t *throttle) bucket(name string, a allowance, now time.Time) *tries {
	b := t.tries[name]
	if b == nil {
		if len(t.tries) >= maximumTries {
			t.forget(now)
		}
		b = &tries{left: a.burst, at: now, allowance: a}
		t.tries[name] = b
	}
	b.fill(now)
	return b
}

// forget drops the buckets that are full, and if all are in use, any half of them.
func (t *throttle) forget(now time.Time) {
	for name, b := range t.tries {
		if b.fill(now); b.left >= b.burst {
			delete(t.tries, name)
		}
	}
	for name := range t.tries {
		if len(t.tries) <= maximumTries/2 {
			return
		}
		delete(t.tries, name)
	}
}

// take takes a try, or says how long to wait for one. A try that turned out to be right is given back.
func (t *throttle) take(account, address string, now time.Time) (giveBack func(), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := []*tries{
		t.bucket("b "+address+" "+account, ofBoth, now), t.bucket("u "+account, ofAccount, now), t.bucket("a "+address, ofAddress, now),
	}
	for _, b := range all {
		if b.left < 1 {
			wait = max(wait, time.Duration((1-b.left)*float64(b.every)))
		}
	}
	if wait > 0 {
		return nil, wait
	}
	for _, b := range all {
		b.left--
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, b := range all {
			b.left = min(b.burst, b.left+1)
		}
	}, 0
}
