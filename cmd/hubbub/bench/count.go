package bench

import (
	"sync"
	"sync/atomic"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in microseconds, up to five minutes, with three digits.
const longestLatency = 300_000_000

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longestLatency, 3) }

func record(h *hdrhistogram.Histogram, nanos int64) {
	_ = h.RecordValue(min(max(nanos/1000, 1), longestLatency)) // in range, so it cannot fail
}

// Counts is what became of the messages.
type Counts struct {
	Received   int64 `json:"received"`   // deliveries or answers
	Doubled    int64 `json:"doubled"`    // came more than once
	OutOfOrder int64 `json:"outOfOrder"` // came behind a later one
	Lost       int64 `json:"lost"`       // never came, although a later one did
	Unfinished int64 `json:"unfinished"` // had not come at the end, and nothing later did
	Strays     int64 `json:"strays"`     // came to a connection that should not hear it
	Errors     int64 `json:"errors"`     // answers that are errors
	Closed     int64 `json:"closed"`     // connections that the server ended
}

func (c *Counts) add(o Counts) {
	c.Received += o.Received
	c.Doubled += o.Doubled
	c.OutOfOrder += o.OutOfOrder
	c.Lost += o.Lost
	c.Unfinished += o.Unfinished
	c.Strays += o.Strays
	c.Errors += o.Errors
	c.Closed += o.Closed
}

// shard counts for some of the connections.
type shard struct {
	mu      sync.Mutex
	counts  Counts
	latency *hdrhistogram.Histogram
	_       [64]byte // of another cache line than the next
}

// board counts for all connections of a worker.
type board struct {
	shards [8]shard
	total  atomic.Int64 // received
	goal   atomic.Int64 // reached signals when total gets here; 0: never
	hit    chan struct{}
}

func newBoard() *board {
	b := &board{hit: make(chan struct{}, 1)}
	for i := range b.shards {
		b.shards[i].latency = newHistogram()
	}
	return b
}

// got adds to the total what one read brought.
func (b *board) got(n int64) {
	if n == 0 {
		return
	}
	if goal := b.goal.Load(); b.total.Add(n) >= goal && goal > 0 {
		select {
		case b.hit <- struct{}{}:
		default:
		}
	}
}

// sum is everything that was counted so far.
func (b *board) sum() (Counts, *hdrhistogram.Histogram) {
	var c Counts
	h := newHistogram()
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		c.add(s.counts)
		h.Merge(s.latency)
		s.mu.Unlock()
	}
	return c, h
}

// ledger follows the numbers of one sender on one connection. The first number seen is the beginning.
type ledger struct {
	began   bool
	next    uint32
	missing map[uint32]struct{}
	lost    int64 // missing beyond what is remembered
}

const maxMissing = 1 << 16

// see counts one number in c.
func (l *ledger) see(seq uint32, c *Counts) {
	switch {
	case !l.began:
		l.began, l.next = true, seq+1
	case seq == l.next:
		l.next++
	case seq > l.next:
		for n := l.next; n < seq; n++ {
			if len(l.missing) >= maxMissing {
				l.lost += int64(seq - n)
				break
			}
			if l.missing == nil {
				l.missing = map[uint32]struct{}{}
			}
			l.missing[n] = struct{}{}
		}
		l.next = seq + 1
	default:
		if _, was := l.missing[seq]; was {
			delete(l.missing, seq)
			c.OutOfOrder++
		} else {
			c.Doubled++
		}
	}
}

// close counts what never came, of sent messages that this connection was to hear.
func (l *ledger) close(sent uint32, c *Counts) {
	c.Lost += int64(len(l.missing)) + l.lost
	switch {
	case l.began && sent > l.next:
		c.Unfinished += int64(sent - l.next)
	case !l.began:
		c.Unfinished += int64(sent)
	}
}
