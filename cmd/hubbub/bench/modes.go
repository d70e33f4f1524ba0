package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// prepare makes the connections that stand before the load begins.
func (l *load) prepare(ctx context.Context) error {
	if l.job.Mode == Connect {
		return nil
	}
	first, n := l.job.share()
	conns, err := l.connect(ctx, first, n)
	if err != nil {
		return err
	}
	l.conns = conns
	for _, c := range conns {
		c.sender = uint32(c.index)
		if l.job.Mode.fans() {
			c.sender = uint32(l.group(c.index))
		}
	}
	if l.job.Mode == Groups && l.job.Target.Wire == wireHub {
		if err := l.each(ctx, n, func(i int) error { return l.join(conns[i], groupName(l.group(conns[i].index))) }); err != nil {
			return err
		}
	}
	if l.job.Mode == Events {
		if err := l.each(ctx, n, func(i int) error { return l.subscribe(conns[i]) }); err != nil {
			return err
		}
	}
	if l.job.Stalled > 0 && l.job.Worker == 0 {
		if l.stalled, err = l.connect(ctx, l.job.Connections, l.job.Stalled); err != nil {
			return err
		}
		for _, c := range l.stalled {
			if t, ok := c.nc.(*net.TCPConn); ok {
				_ = t.SetReadBuffer(4096)
			}
		}
	}
	return nil
}

// group is that of a connection. A broadcast is one group of everybody.
func (l *load) group(index int) int {
	if l.job.Mode != Groups {
		return 0
	}
	return index * l.job.Groups / l.job.Connections
}

func groupName(g int) string { return fmt.Sprintf("bench-%d", g) }

// window is what a mode's run says of itself: how long the load lasted, what came within that time, and rates of single rounds.
type window struct {
	nanos  int64
	inside int64
	rounds []float64
}

// run puts the load on. The connections stand.
func (l *load) run(ctx context.Context) (window, error) {
	switch l.job.Mode {
	case Echo, Invoke:
		if l.job.Rate > 0 {
			return l.callAtRate(ctx)
		}
		return l.callClosed(ctx)
	case Idle:
		l.start(nil)
		began := now()
		pause(ctx, l.job.Duration)
		return window{nanos: now() - began}, ctx.Err()
	case Connect:
		return l.connectAll(ctx)
	case Storm:
		return l.storm(ctx)
	case Broadcast, Groups, Churn, Slow, Soak:
		return l.fan(ctx)
	case Events:
		return l.fire(ctx)
	}
	return window{}, fmt.Errorf("mode %q is not known", l.job.Mode)
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// callClosed keeps a fixed number of calls under way on every connection.
func (l *load) callClosed(ctx context.Context) (window, error) {
	tmpl := newTemplate(l.job.Target.Wire, l.job.format(), l.job.Methods.Echo, "", l.job.Size, true)
	next := func(c *conn) func(int) {
		var seq uint32
		var frames []byte
		return func(n int) {
			if l.ended.Load() {
				return
			}
			l.sent.Add(int64(n))
			frames = frames[:0]
			at := now()
			for range n {
				frames = tmpl.appendTo(frames, c.sender, seq, at)
				seq++
			}
			_ = c.write(frames) // its reader sees that it is gone
		}
	}
	begin := make([]func(int), 0, len(l.conns))
	began := now()
	for _, c := range l.conns {
		f := next(c)
		begin = append(begin, f)
		f(l.job.Pipeline) // before the reader starts, so the two never meet
	}
	for i, c := range l.conns {
		l.readers.Go(func() { l.read(c, begin[i]) })
	}
	pause(ctx, l.job.Duration)
	l.ended.Store(true)
	w := window{nanos: now() - began, inside: l.board.total.Load()}
	l.settle(ctx, l.sent.Load)
	return w, ctx.Err()
}

// callAtRate sends calls when they are due, whatever has been answered.
func (l *load) callAtRate(ctx context.Context) (window, error) {
	tmpl := newTemplate(l.job.Target.Wire, l.job.format(), l.job.Methods.Echo, "", l.job.Size, true)
	l.start(nil)
	n := len(l.conns)
	rate := l.job.Rate * float64(n) / float64(l.job.Connections)
	frames := make([]byte, 0, 2*len(tmpl.frame))
	began := now()
	l.pace(ctx, began, rate, int64(rate*l.job.Duration.Seconds()), func(k, due int64) {
		c := l.conns[k%int64(n)]
		frames = tmpl.appendTo(frames[:0], c.sender, uint32(k/int64(n)), due)
		l.sent.Add(1)
		_ = c.write(frames) // its reader sees that it is gone
	}, nil)
	w := window{nanos: now() - began, inside: l.board.total.Load()}
	l.settle(ctx, l.sent.Load)
	return w, ctx.Err()
}

// pace calls send for message 0 to n-1 when each is due, and flush after all that were due at a time. It ends a second after the
// last was due at the latest, and then that many were not sent.
func (l *load) pace(ctx context.Context, began int64, rate float64, n int64, send func(k, due int64), flush func()) {
	if rate <= 0 {
		return
	}
	gap := 1e9 / rate
	last := began + int64(gap*float64(n)) + int64(time.Second)
	for k := int64(0); k < n && ctx.Err() == nil; {
		at := now()
		if at > last {
			return
		}
		for k < n {
			due := began + int64(gap*float64(k))
			if due > at {
				break
			}
			send(k, due)
			k++
		}
		if flush != nil {
			flush()
		}
		if k < n {
			pause(ctx, time.Duration(began+int64(gap*float64(k))-now()))
		}
	}
	pause(ctx, time.Duration(began+int64(gap*float64(n))-now()))
}

// sender is a connection whose messages others hear.
type sender struct {
	conn   *conn
	tmpl   *template
	number uint32
	frames []byte
	seq    uint32
}

func (l *load) senders() []*sender {
	var all []*sender
	for _, c := range l.conns {
		g := l.group(c.index)
		if c.index > 0 && l.group(c.index-1) == g {
			continue
		}
		s := &sender{conn: c, number: uint32(g), tmpl: newTemplate(l.job.Target.Wire, l.job.format(), l.job.Methods.All, "", l.job.Size, false)}
		if l.job.Mode == Groups && l.job.Target.Wire == wireHub {
			s.tmpl = newTemplate(wireHub, l.job.format(), l.job.Methods.Group, groupName(g), l.job.Size, false)
		}
		all = append(all, s)
	}
	return all
}

// planned is the number of messages of each sender.
func (l *load) planned() int64 {
	return int64(l.job.Rate / float64(l.job.Connections) * l.job.Duration.Seconds())
}

// fan lets senders send to everybody or to groups, with visitors beside them when the mode has any.
func (l *load) fan(ctx context.Context) (window, error) {
	l.start(nil)
	visits, stop := context.WithCancel(ctx)
	defer stop()
	var visitors sync.WaitGroup
	if l.job.ChurnRate > 0 {
		visitors.Go(func() { l.visit(visits) })
	}
	var w window
	began := now()
	if l.job.Burst > 0 {
		w.rounds = l.bursts(ctx, began)
	} else if all := l.senders(); len(all) > 0 {
		rate := l.job.Rate / float64(l.job.Connections) * float64(len(all))
		if l.job.Target.Post != "" {
			l.postAtRate(ctx, began, rate)
		} else {
			l.sendAtRate(ctx, began, rate, all)
		}
	} else {
		pause(ctx, l.job.Duration)
	}
	w.nanos, w.inside = now()-began, l.board.total.Load()
	stop()
	visitors.Wait()
	l.settle(ctx, func() int64 {
		if l.job.Burst > 0 {
			return l.sent.Load() * int64(len(l.conns))
		}
		return l.planned() * int64(len(l.conns))
	})
	return w, ctx.Err()
}

// sendAtRate lets senders send messages over their connections when they are due, in turns.
func (l *load) sendAtRate(ctx context.Context, began int64, rate float64, all []*sender) {
	l.pace(ctx, began, rate, l.planned()*int64(len(all)), func(k, due int64) {
		s := all[k%int64(len(all))]
		s.frames = s.tmpl.appendTo(s.frames, s.number, s.seq, due)
		s.seq++
		l.sent.Add(1)
	}, func() {
		for _, s := range all {
			if len(s.frames) > 0 {
				_ = s.conn.write(s.frames) // its reader sees that it is gone
				s.frames = s.frames[:0]
			}
		}
	})
}

// bursts sends many messages at once, waits until everybody has all of them, and does it again. It returns deliveries a second.
func (l *load) bursts(ctx context.Context, began int64) []float64 {
	var rates []float64
	s := l.senders()[0]
	for now()-began < int64(l.job.Duration) && ctx.Err() == nil {
		at := now()
		s.frames = s.frames[:0]
		for range l.job.Burst {
			s.frames = s.tmpl.appendTo(s.frames, s.number, s.seq, at)
			s.seq++
		}
		goal := l.sent.Add(int64(l.job.Burst)) * int64(len(l.conns))
		if s.conn.write(s.frames) != nil {
			return rates
		}
		l.settle(ctx, func() int64 { return goal })
		if l.board.total.Load() < goal {
			return rates
		}
		rates = append(rates, float64(l.job.Burst*len(l.conns))*1e9/float64(now()-at))
		pause(ctx, 20*time.Millisecond)
	}
	return rates
}

// visit lets other connections come, call something, and go, at the job's rate.
func (l *load) visit(ctx context.Context) {
	rate := l.job.ChurnRate / float64(l.job.Workers)
	calls := 1
	if l.job.Mode == Soak {
		calls = 20
	}
	room := make(chan struct{}, max(l.job.Parallel, 1))
	var under sync.WaitGroup
	l.pace(ctx, now(), rate, int64(rate*l.job.Duration.Seconds()), func(k, _ int64) {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		under.Go(func() {
			defer func() { <-room }()
			if err := l.visitor(ctx, l.job.Connections+int(k), calls); err == nil {
				l.trades.Add(1)
			} else if ctx.Err() == nil {
				l.failed.Add(1)
				l.because("a visitor failed: " + err.Error())
			}
		})
	}, nil)
	under.Wait()
}

const visitorNumber = 1 << 31

// visitor is one connection that calls a method and leaves.
func (l *load) visitor(ctx context.Context, index, calls int) error {
	c, err := l.dial(ctx, index)
	if err != nil {
		return err
	}
	defer c.reset()
	tmpl := newTemplate(l.job.Target.Wire, l.job.format(), l.job.Methods.Echo, "", l.job.Size, true)
	_ = c.nc.SetDeadline(time.Now().Add(30 * time.Second))
	for k := range calls {
		if err := c.write(tmpl.appendTo(nil, visitorNumber, uint32(k), now())); err != nil {
			return err
		}
		err := c.await(func(r []byte) (bool, error) {
			from, seq, _, ok := stamp(r)
			return ok && from == visitorNumber && seq == uint32(k), nil
		})
		if err != nil {
			return err
		}
	}
	if l.job.Mode == Soak && l.job.Methods.Sequence != "" && c.wire == wireHub {
		return l.sequence(c, 100)
	}
	return nil
}

// sequence lets the server send numbers to c and checks their order.
func (l *load) sequence(c *conn, n int) error {
	call := c.format.invocation("", l.job.Methods.Sequence, n)
	if err := c.write(c.format.frame(call)); err != nil {
		return err
	}
	next := 0
	return c.await(func(r []byte) (bool, error) {
		got, ok := c.format.item(r)
		if !ok {
			return false, nil
		}
		if got != next {
			return true, fmt.Errorf("item %d of a sequence is %q", next, r)
		}
		next++
		return next == n, nil
	})
}

// connectAll sets connections up and keeps them until the end of the job.
func (l *load) connectAll(ctx context.Context) (window, error) {
	first, n := l.job.share()
	began := now()
	conns, err := l.connect(ctx, first, n)
	w := window{nanos: now() - began, inside: int64(len(conns))}
	l.conns = conns
	l.board.got(int64(len(conns)))
	l.sent.Add(int64(n))
	return w, err
}

// storm cuts all connections at once, as often as the job says, and lets them come back.
func (l *load) storm(ctx context.Context) (window, error) {
	l.start(nil)
	var w window
	first, n := l.job.share()
	for range l.job.Rounds {
		for _, c := range l.conns {
			c.reset()
		}
		l.readers.Wait()
		cut := now()
		err := l.each(ctx, n, func(i int) error {
			c, err := l.dial(ctx, first+i)
			if err != nil {
				return fmt.Errorf("connection %d did not come back: %w", first+i, err)
			}
			c.sender = uint32(c.index)
			l.conns[i] = c
			c.shard.mu.Lock()
			c.shard.counts.Received++
			record(c.shard.latency, now()-cut) // every one of them has waited since the cut
			c.shard.mu.Unlock()
			l.board.got(1)
			return nil
		})
		took := now() - cut
		if err != nil {
			return w, err
		}
		w.nanos += took
		w.inside += int64(n)
		w.rounds = append(w.rounds, float64(n)*1e9/float64(took))
		l.sent.Add(int64(n))
		l.start(nil)
	}
	return w, nil
}

// cutOff counts the stalled clients whose connection the server has ended.
func (l *load) cutOff() int {
	n := 0
	buf := make([]byte, 64<<10)
	for _, c := range l.stalled {
		_ = c.nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		for {
			if _, err := c.nc.Read(buf); err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					n++
				}
				break
			}
		}
	}
	return n
}
