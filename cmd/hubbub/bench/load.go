package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load is the share of a job that one worker carries.
type load struct {
	job    *Job
	dialer *dialer
	board  *board
	setup  *hdrhistogram.Histogram // of connections, guarded by setupMu

	events *events // of the mode of that name

	setupMu sync.Mutex
	conns   []*conn // the steady ones
	stalled []*conn
	readers sync.WaitGroup

	ended  atomic.Bool // no new message is to be sent
	sent   atomic.Int64
	trades atomic.Int64 // connections that came and went, and their errors
	failed atomic.Int64
	reason atomic.Pointer[string] // of the first connection that was lost
}

func newLoad(job *Job) (*load, error) {
	a, err := newAddress(job.Target.URL)
	if err != nil {
		return nil, err
	}
	return &load{
		job: job, board: newBoard(), setup: newHistogram(), events: newEvents(),
		dialer: &dialer{job: job, target: a, header: job.header()},
	}, nil
}

// each calls f for 0 to n-1, at most the job's number at a time, and returns the first error.
func (l *load) each(ctx context.Context, n int, f func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(l.job.Parallel, n) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// connect makes n connections and keeps them.
func (l *load) connect(ctx context.Context, first, n int) ([]*conn, error) {
	conns := make([]*conn, n)
	err := l.each(ctx, n, func(i int) error {
		c, err := l.dial(ctx, first+i)
		if err != nil {
			return fmt.Errorf("connection %d: %w", first+i, err)
		}
		conns[i] = c
		return nil
	})
	if err != nil {
		for _, c := range conns {
			if c != nil {
				c.close()
			}
		}
		return nil, err
	}
	return conns, nil
}

// dial makes one connection and counts how long that took.
func (l *load) dial(ctx context.Context, index int) (*conn, error) {
	began := now()
	c, err := l.dialer.dial(ctx, index)
	if err != nil {
		return nil, err
	}
	l.setupMu.Lock()
	record(l.setup, now()-began)
	l.setupMu.Unlock()
	c.shard = &l.board.shards[index%len(l.board.shards)]
	return c, nil
}

// read counts what comes over c until it ends. After every read with stamped records it calls next with their number.
func (l *load) read(c *conn, next func(n int)) {
	for {
		err := c.fill()
		at, n := now(), int64(0)
		if err == nil {
			c.shard.mu.Lock()
			err = c.handle(func(r []byte) { n += l.record(c, r, at) })
			c.shard.mu.Unlock()
		}
		l.board.got(n)
		if n > 0 && next != nil {
			next(int(n))
		}
		if err != nil {
			l.lost(c, err)
			return
		}
	}
}

// record counts one record and returns how many messages it is. The shard is locked.
func (l *load) record(c *conn, r []byte, at int64) int64 {
	sender, seq, due, ok := stamp(r)
	counts := &c.shard.counts
	switch {
	case !ok:
		switch kind := c.format.kind(r); {
		case kind == 3 && c.format.failed(r):
			counts.Errors++
			l.because("an answer was " + string(r))
		case kind == 7:
			l.because("the server said " + string(r))
		}
		return 0
	case sender != c.sender:
		counts.Strays++
		return 0
	}
	if l.job.Mode == Events {
		if due, ok = l.events.hear(sender, seq); !ok {
			counts.Doubled++
			return 0
		}
	} else {
		c.ledger.see(seq, counts)
	}
	counts.Received++
	record(c.shard.latency, at-due)
	return 1
}

func (l *load) because(text string) {
	text = text[:min(len(text), 300)]
	l.reason.CompareAndSwap(nil, &text)
}

// lost counts the end of a connection that the load did not want.
func (l *load) lost(c *conn, err error) {
	if c.leaving.Load() || errors.Is(err, net.ErrClosed) {
		return
	}
	l.because("a connection ended: " + err.Error())
	c.shard.mu.Lock()
	c.shard.counts.Closed++
	c.shard.mu.Unlock()
	c.nc.Close()
}

// start reads all steady connections.
func (l *load) start(next func(c *conn) func(int)) {
	for _, c := range l.conns {
		var f func(int)
		if next != nil {
			f = next(c)
		}
		l.readers.Go(func() { l.read(c, f) })
	}
}

// join puts c into a group and waits until it is in.
func (l *load) join(c *conn, group string) error {
	frame := c.format.frame(c.format.invocation("join", l.job.Methods.Join, group))
	_ = c.nc.SetDeadline(time.Now().Add(30 * time.Second))
	defer func() { _ = c.nc.SetDeadline(time.Time{}) }()
	if err := c.write(frame); err != nil {
		return fmt.Errorf("join a group: %w", err)
	}
	return c.await(func(r []byte) (bool, error) {
		if c.format.kind(r) != 3 {
			return false, nil
		}
		if c.format.failed(r) {
			return true, fmt.Errorf("join a group was answered %q", r)
		}
		return true, nil
	})
}

// await reads until a record is the one.
func (c *conn) await(is func(record []byte) (bool, error)) error {
	var found bool
	var problem error
	for {
		err := c.handle(func(r []byte) {
			if !found {
				found, problem = is(r)
			}
		})
		if found {
			return problem
		}
		if err == nil {
			err = c.fill()
		}
		if err != nil {
			return err
		}
	}
}

// keepAlive pings for all connections, as every client of a hub does, so that the server keeps them.
func (l *load) keepAlive(ctx context.Context) {
	if l.job.Target.Wire != wireHub {
		return
	}
	ping := l.job.format().ping()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, c := range l.conns {
			if ctx.Err() != nil {
				return
			}
			_ = c.write(ping) // its reader sees that it is gone
		}
	}
}

// settle waits until as many messages have come as expected says, at most the job's time, and gives up early when nothing comes.
func (l *load) settle(ctx context.Context, expected func() int64) {
	limit := time.NewTimer(l.job.Drain)
	defer limit.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	quiet, last := 0, int64(-1)
	for {
		want := expected()
		l.board.goal.Store(max(want, 1))
		total := l.board.total.Load()
		if total >= want {
			return
		}
		if quiet++; total != last {
			quiet, last = 0, total
		}
		if quiet > 20 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			return
		case <-l.board.hit:
		case <-tick.C:
		}
	}
}

// letGo closes everything.
func (l *load) letGo() {
	for _, c := range l.conns {
		c.reset()
	}
	for _, c := range l.stalled {
		c.reset()
	}
	l.readers.Wait()
}
