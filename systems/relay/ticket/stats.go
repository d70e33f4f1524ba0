package ticket

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// RunBuckets are the upper bounds of the histogram of run times, in seconds.
var RunBuckets = []float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120}

// Stats are counters of this process since its start.
type Stats struct {
	// Created tickets; those of [Queue.Create] that found a ticket with their key do not count.
	Created int64
	// Runs that have begun, and the Repeated ones among them: those of tickets that had run before.
	Runs, Repeated int64
	// Done and Failed tickets.
	Done, Failed int64
	// Released are runs that this process ended because it closed, or that did not reach their object; their tickets run again.
	Released int64
	// Recovered are tickets that were taken from processes that had died or given no sign of life.
	Recovered int64
	// Lost are runs whose ticket another process had taken, so that nothing of them was stored.
	Lost int64
	// RunTimes counts the ended runs by their time: RunTimes[i] those of at most RunBuckets[i] seconds that are in no earlier
	// one, the last element those that took longer. RunSeconds is the sum of all times.
	RunTimes   []int64
	RunSeconds float64
}

type counters struct {
	created, runs, repeated, done, failed, released, recovered, lost atomic.Int64

	mu    sync.Mutex
	times []int64
	sum   time.Duration
}

func (c *counters) begin(attempt int) {
	c.runs.Add(1)
	if attempt > 1 {
		c.repeated.Add(1)
	}
}

func (c *counters) end(o outcome) {
	switch o.ending {
	case endDone:
		c.done.Add(1)
	case endFailed:
		c.failed.Add(1)
	default:
		c.released.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = make([]int64, len(RunBuckets)+1)
	}
	i := 0
	for i < len(RunBuckets) && o.took.Seconds() > RunBuckets[i] {
		i++
	}
	c.times[i]++
	c.sum += o.took
}

// Stats returns the counters of this process.
func (q *Queue) Stats() Stats {
	c := &q.counts
	s := Stats{Created: c.created.Load(), Runs: c.runs.Load(), Repeated: c.repeated.Load(), Done: c.done.Load(), Failed: c.failed.Load(),
		Released: c.released.Load(), Recovered: c.recovered.Load(), Lost: c.lost.Load(), RunTimes: make([]int64, len(RunBuckets)+1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	copy(s.RunTimes, c.times)
	s.RunSeconds = c.sum.Seconds()
	return s
}

// Count returns how many tickets of all processes are in each state; every state is there. It reads all tickets.
func (q *Queue) Count(ctx context.Context) (map[State]int64, error) {
	counts := map[State]int64{Waiting: 0, Ready: 0, Running: 0, Done: 0, Failed: 0}
	now := millis(q.now())
	rows, err := q.store.Query(ctx, `SELECT CASE WHEN state = 0 AND earliest <= ? THEN 1 ELSE state END AS current, count(*) FROM ticket
		WHERE state <> 3 OR delete_at > ? GROUP BY current`, now, now)
	if err != nil {
		return nil, fmt.Errorf("ticket: count: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s State
		var n int64
		if err := rows.Scan(&s, &n); err != nil {
			return nil, fmt.Errorf("ticket: count: %w", err)
		}
		counts[s] += n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ticket: count: %w", err)
	}
	return counts, nil
}
