package ticket

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
)

// dispatcher is the one goroutine that claims tickets and stores what came of them; each ticket runs in a goroutine of its own.
// It claims as many as there are free workers, so that whatever is claimed runs at once: the order is that of the queue, and
// attempts count runs. What has finished meanwhile is stored together, and on SQLite with the next claim in one transaction.
type dispatcher struct {
	q        *Queue
	running  map[int64]*job
	finished chan *job
	pending  []*job // finished, to be stored
	claims   int64
	look     bool // there may be ready tickets
	failures int  // of the database, in a row: then wait for the timer
	timer    *time.Timer
}

// job is one run of a ticket.
type job struct {
	taken
	run    viewmodel.Run
	cancel context.CancelFunc
	ending ending
	err    error
	lost   bool // another process has it
	took   time.Duration
}

// ending is what a run has come to.
type ending int

const (
	endDone ending = iota
	endFailed
	endReleased // the queue closes: to be run again
	endAway     // the objects cannot be reached: to be run again, later
)

const (
	afterError = time.Second // between tries, when the database fails
	lastTries  = 3           // of a queue that closes
	linger     = 300 * time.Microsecond
)

func newDispatcher(q *Queue) *dispatcher {
	return &dispatcher{q: q, running: make(map[int64]*job), finished: make(chan *job, q.config.Workers), look: true,
		timer: time.NewTimer(0)}
}

func (d *dispatcher) run() {
	defer d.timer.Stop()
	beat := time.NewTicker(d.q.config.Lease / 3)
	defer beat.Stop()
	poll := time.NewTicker(d.q.config.Poll)
	defer poll.Stop()
	stop := d.q.stop
	for {
		if d.failures == 0 {
			d.cycle(stop != nil)
		}
		if stop == nil && len(d.running) == 0 && (len(d.pending) == 0 || d.failures >= lastTries) {
			return
		}
		select {
		case j := <-d.finished:
			d.collect(j)
		case <-d.q.wake:
			d.look = true
		case <-poll.C:
			d.promote()
		case <-d.timer.C:
			d.promote()
			if d.failures > 0 {
				d.cycle(stop != nil)
			}
		case <-beat.C:
			d.beat()
		case <-stop:
			stop = nil
		}
	}
}

// collect takes what has finished. Where other runs are about to finish too it waits for them for a moment, so that their ends
// and the next claims share a transaction.
func (d *dispatcher) collect(j *job) {
	d.take(j)
	if len(d.running) == 0 {
		return
	}
	moment := time.NewTimer(linger)
	defer moment.Stop()
	for len(d.running) > 0 {
		select {
		case j := <-d.finished:
			d.take(j)
		case <-moment.C:
			return
		}
	}
}

func (d *dispatcher) take(j *job) {
	if d.running[j.seq] == j {
		delete(d.running, j.seq)
	}
	if j.lost {
		d.q.counts.lost.Add(1)
		return
	}
	d.pending = append(d.pending, j)
}

// cycle stores what has finished and claims for the free workers.
func (d *dispatcher) cycle(take bool) {
	free := d.q.config.Workers - len(d.running)
	take = take && d.look && free > 0
	if len(d.pending) == 0 && !take {
		return
	}
	ctx, cancel := background()
	defer cancel()
	list, err := d.store(ctx, take, free)
	if away, ok := errors.AsType[*awayError](err); ok { // its tickets must not keep the others from being stored
		for _, j := range d.pending {
			if j.changes() && j.ticket.RootID == away.id {
				j.ending, j.err = endAway, away.error
			}
		}
		d.cycle(take)
		return
	}
	if err != nil {
		d.fail("store and claim tickets", err)
		return
	}
	d.failures = 0
	for _, t := range list {
		d.begin(t)
	}
	if take && len(list) < free {
		d.look = false
		d.timer.Reset(d.pause(ctx))
	}
}

func (d *dispatcher) store(ctx context.Context, take bool, free int) ([]taken, error) {
	q := d.q
	d.claims++
	if !q.sqlite || !q.own && slices.ContainsFunc(d.pending, (*job).changes) {
		if err := d.end(ctx); err != nil || !take {
			return nil, err
		}
		if !q.sqlite {
			return q.take(ctx, q.store, d.claims, free)
		}
	}
	var list []taken
	var outcomes []outcome
	err := q.store.Tx(ctx, func(tx *store.Tx) error {
		var err error
		if outcomes, err = q.end(ctx, tx, d.pending); err != nil || !take {
			return err
		}
		list, err = q.take(ctx, tx, d.claims, free)
		return err
	})
	if err != nil {
		return nil, err
	}
	q.report(outcomes)
	d.pending = nil
	return list, nil
}

// end stores what has finished. A transaction is needed only where objects change. Objects that are kept elsewhere change one at
// a time: what the transaction of several would take back stays changed.
func (d *dispatcher) end(ctx context.Context) error {
	var plain, changing []*job
	for _, j := range d.pending {
		if j.changes() {
			changing = append(changing, j)
		} else {
			plain = append(plain, j)
		}
	}
	if len(plain) > 0 {
		outcomes, err := d.q.end(ctx, d.q.store, plain)
		if err != nil {
			return err
		}
		d.q.report(outcomes)
		d.pending = changing
	}
	for len(changing) > 0 {
		together := changing
		if !d.q.own {
			together = changing[:1]
		}
		var outcomes []outcome
		err := d.q.store.Tx(ctx, func(tx *store.Tx) (err error) {
			outcomes, err = d.q.end(ctx, tx, together)
			return err
		})
		if err != nil {
			return err
		}
		d.q.report(outcomes)
		changing = changing[len(together):]
		d.pending = changing
	}
	return nil
}

// changes reports whether the end of a run changes its object.
func (j *job) changes() bool { return j.ending == endDone && j.run.Changes() }

// begin runs a ticket.
func (d *dispatcher) begin(t taken) {
	if old := d.running[t.seq]; old != nil { // this process was silent for so long that it has taken its own ticket
		old.lost = true
		old.cancel()
	}
	ctx, cancel := context.WithCancel(d.q.ctx)
	j := &job{taken: t, cancel: cancel}
	d.running[t.seq] = j
	d.q.counts.begin(t.ticket.Attempts)
	d.q.work.Go(func() {
		defer cancel()
		d.q.execute(ctx, j)
		d.finished <- j
	})
}

// pause is how long nobody needs to look for waiting tickets.
func (d *dispatcher) pause(ctx context.Context) time.Duration {
	at, waiting, err := d.q.due(ctx)
	if err != nil || !waiting {
		return d.q.config.Poll
	}
	return min(max(at.Sub(d.q.config.Clock()), time.Millisecond), d.q.config.Poll)
}

// promote looks for tickets that have become ready.
func (d *dispatcher) promote() {
	ctx, cancel := background()
	defer cancel()
	if err := d.q.promote(ctx); err != nil {
		d.fail("look for ready tickets", err)
		return
	}
	d.look = true
}

// beat says that this process is alive, and gives up what it has lost.
func (d *dispatcher) beat() {
	if len(d.running) == 0 {
		return
	}
	ctx, cancel := background()
	defer cancel()
	lost, err := d.q.beat(ctx, slices.Collect(maps.Keys(d.running)))
	if err != nil {
		d.fail("keep running tickets", err)
		return
	}
	for _, seq := range lost {
		d.q.log.Warn("ticket: another process has taken a running ticket", "ticket", seq)
		d.running[seq].lost = true
		d.running[seq].cancel()
	}
}

// fail says what failed and waits before the next try.
func (d *dispatcher) fail(what string, err error) {
	d.failures++
	d.q.log.Error("ticket: "+what, "error", err)
	d.timer.Reset(afterError)
}
