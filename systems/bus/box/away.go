package box

import (
	"context"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store"
)

const (
	pingTime    = 3 * time.Second        // how long the database may take to say that it is there
	firstPing   = 50 * time.Millisecond  // pause between two questions, doubled each time
	lastPing    = 500 * time.Millisecond // and at most
	holdTime    = 10 * time.Second       // how long messages wait here for it, before another process may have them
	passingTime = time.Second            // pause after a fault that passes
	mostPassing = 100                    // such faults of one message
	mostFaulty  = 10_000                 // messages whose faults are remembered
)

// faults are how often this process has failed to handle a message. Deliveries do not count: they grow with crashes and shutdowns,
// which are not the message's fault, as a database that is away is not.
type faults struct{ real, passing int }

// note counts a fault of a message.
func (c *consumer) note(d *bus.Delivery, fault error) faults {
	if len(c.faulty) >= mostFaulty { // those that have gone elsewhere
		clear(c.faulty)
	}
	name := d.Topic + " " + d.ID
	n := c.faulty[name]
	if store.IsPassing(fault) {
		n.passing++
	} else {
		n.real++
	}
	c.faulty[name] = n
	return n
}

func (c *consumer) forget(d *bus.Delivery) {
	if len(c.faulty) > 0 {
		delete(c.faulty, d.Topic+" "+d.ID)
	}
}

// away reports whether the database does not answer, and whether it does again after at most so long as messages wait for it here.
func (c *consumer) away(ctx context.Context) (away, back bool) {
	if err := c.ping(ctx); err == nil {
		return false, true
	} else if ctx.Err() == nil {
		c.box.config.Logger.WarnContext(ctx, "box: database is away, so messages wait", "queue", c.queue, "error", err)
	}
	begun := time.Now()
	for pause := firstPing; ctx.Err() == nil && time.Since(begun) < holdTime; pause = min(2*pause, lastPing) {
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return true, false
		}
		if c.ping(ctx) == nil {
			return true, true
		}
	}
	return true, false
}

func (c *consumer) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return c.box.config.Store.Ping(ctx)
}
