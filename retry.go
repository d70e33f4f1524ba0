package hubbub

import (
	"math/rand/v2"
	"time"
)

// Retry is what a [RetryPolicy] knows of a lost connection.
type Retry struct {
	Attempt int           // attempts that have failed, 0 before the first
	Elapsed time.Duration // since the connection was lost
	Reason  error         // why it was lost, or why the last attempt failed
}

// RetryPolicy says how long to wait before the next attempt to reconnect, and whether there is one.
type RetryPolicy func(r Retry) (wait time.Duration, again bool)

// StandardRetry is the schedule of the .NET and JavaScript clients: at once, after 2, 10 and 30 s, then no more.
func StandardRetry() RetryPolicy {
	return RetryDelays(0, 2*time.Second, 10*time.Second, 30*time.Second)
}

// RetryDelays is a schedule: one attempt after each delay, then no more.
func RetryDelays(delays ...time.Duration) RetryPolicy {
	return func(r Retry) (time.Duration, bool) {
		if r.Attempt >= len(delays) {
			return 0, false
		}
		return delays[r.Attempt], true
	}
}

// RetryForever waits first, then twice as long each time up to most, and never gives up.
func RetryForever(first, most time.Duration) RetryPolicy {
	return func(r Retry) (time.Duration, bool) {
		wait := first
		for range r.Attempt {
			if wait *= 2; wait >= most {
				return most, true
			}
		}
		return min(wait, most), true
	}
}

// Jitter shortens or lengthens each wait of a policy by a random part of it, at most share (0.2 is 20 %), so that the clients
// of a server that comes back do not all arrive at once.
func Jitter(p RetryPolicy, share float64) RetryPolicy {
	return func(r Retry) (time.Duration, bool) {
		wait, again := p(r)
		return time.Duration(float64(wait) * (1 + share*(2*rand.Float64()-1))), again
	}
}
