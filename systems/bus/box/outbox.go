package box

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store"
)

const (
	pumpBatch  = 256              // rows that are published at once
	pumpPause  = time.Second      // after an error
	pumpTime   = 10 * time.Second // that reading may take
	pumpLook   = time.Second      // how often PostgreSQL's table is searched for rows whose commit was not known
	mostReady  = 16 << 10         // rows that wait in memory; more are found in the table
	removeTick = 100 * time.Millisecond
)

// row is a message that the outbox has.
type row struct {
	seq int64
	*bus.Message
}

// outbox publishes what transactions of this process have written, and removes it from the table when the bus keeps it. What it was
// given after a commit it need not read; the table is for what an earlier process has left, what was taken over, what is too much
// for the memory and what was committed although the commit failed.
type outbox struct {
	box    *Box
	settle time.Duration // how long the bus may still lose what it has taken
	kick   chan struct{}

	mu      sync.Mutex
	ready   []row              // to be published; the pump alone sorts and removes
	known   map[int64]struct{} // ready, or published and still in the table
	settled []published        // oldest first
	behind  bool               // the table has rows that are not known
	looked  int64              // up to which row it was searched
	begun   int                // searches of the table
}

// published is a row that the bus has taken.
type published struct {
	seq int64
	at  time.Time
}

func newOutbox(b *Box) *outbox {
	return &outbox{box: b, settle: b.config.Bus.Settle(), kick: make(chan struct{}, 1), known: make(map[int64]struct{}), behind: true}
}

// wake says that there is something to publish. It does not block.
func (o *outbox) wake() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// search says that the table may have rows that are not known.
func (o *outbox) search() {
	o.mu.Lock()
	o.searchAnew()
	o.mu.Unlock()
	o.wake()
}

// searchAnew begins the search of the table anew. The lock is held.
func (o *outbox) searchAnew() {
	o.behind, o.looked = true, 0
	o.begun++
}

// add takes rows that were committed.
func (o *outbox) add(rows []row) {
	if len(rows) == 0 {
		return
	}
	o.mu.Lock()
	if len(o.ready) > mostReady {
		o.searchAnew()
	} else {
		o.enter(rows)
	}
	o.mu.Unlock()
	o.wake()
}

// enter makes rows known and ready, those that are not known yet. The lock is held.
func (o *outbox) enter(rows []row) {
	for _, r := range rows {
		if _, known := o.known[r.seq]; !known {
			o.known[r.seq] = struct{}{}
			o.ready = append(o.ready, r)
		}
	}
}

// pump publishes rows, oldest first. Rows that were published and not removed when a process ended are published again by the next
// one, under the same id.
func (o *outbox) pump() {
	ctx := o.box.ctx
	look := time.NewTicker(pumpLook)
	defer look.Stop()
	for {
		n, err := o.publish(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			o.box.config.Logger.Warn("box: publish from the outbox", "error", err)
			t := time.NewTimer(pumpPause)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return
			}
			continue
		}
		if n > 0 {
			continue
		}
		select {
		case <-o.kick:
		case <-look.C:
			if o.box.config.Store.Database() != "sqlite" {
				o.search()
			}
		case <-ctx.Done():
			return
		}
	}
}

// take returns what is to be published next. It stays ready until it is published.
func (o *outbox) take(ctx context.Context) ([]row, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.ready) == 0 && o.behind {
		after, begun := o.looked, o.begun
		o.mu.Unlock()
		rows, err := o.load(ctx, after)
		o.mu.Lock()
		if err != nil {
			return nil, err
		}
		switch {
		case o.begun != begun: // what was read may lack what the new search is for
		case len(rows) == 0:
			o.behind = false
		default:
			o.looked = rows[len(rows)-1].seq
			o.enter(rows)
		}
	}
	// Those of one commit come from several goroutines.
	slices.SortFunc(o.ready, func(a, b row) int { return cmp.Compare(a.seq, b.seq) })
	return slices.Clone(o.ready[:min(len(o.ready), pumpBatch)]), nil
}

// load reads rows of this process from the table.
func (o *outbox) load(ctx context.Context, after int64) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, pumpTime)
	defer cancel()
	found, err := o.box.config.Store.Query(ctx, "SELECT seq, id, key, topic, header, body FROM outbox WHERE owner = ? AND seq > ? ORDER BY seq LIMIT ?",
		o.box.owner, after, pumpBatch)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	defer found.Close()
	var all []row
	for found.Next() {
		var header string
		r := row{Message: &bus.Message{}}
		if err := found.Scan(&r.seq, &r.ID, &r.Key, &r.Topic, &header, &r.Body); err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		if header != "" {
			if err := json.Unmarshal([]byte(header), &r.Header); err != nil {
				return nil, fmt.Errorf("header of row %d: %w", r.seq, err)
			}
		}
		all = append(all, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return all, nil
}

// publish publishes some rows and returns how many.
func (o *outbox) publish(ctx context.Context) (int, error) {
	rows, err := o.take(ctx)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	messages := make([]*bus.Message, len(rows))
	for i, r := range rows {
		messages[i] = r.Message
	}
	if err := o.box.config.Bus.Publish(ctx, messages...); err != nil {
		return 0, err
	}
	o.box.config.Border("published")
	o.box.counts.published.Add(uint64(len(rows)))
	now := time.Now()
	o.mu.Lock()
	for _, r := range rows {
		o.settled = append(o.settled, published{r.seq, now})
	}
	o.ready = slices.Delete(o.ready, 0, len(rows)) // what has come meanwhile is behind them
	o.mu.Unlock()
	if o.settle == 0 {
		return len(rows), o.removeBefore(ctx, now)
	}
	return len(rows), nil
}

// remove removes rows when the bus cannot lose them any more.
func (o *outbox) remove() {
	ctx := o.box.ctx
	if o.settle == 0 {
		return // done at once
	}
	t := time.NewTicker(removeTick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := o.removeBefore(ctx, time.Now().Add(-o.settle)); err != nil && ctx.Err() == nil {
				o.box.config.Logger.Warn("box: remove from the outbox", "error", err) // and again soon
			}
		case <-ctx.Done():
			return
		}
	}
}

// removeBefore removes the rows that were published until then.
func (o *outbox) removeBefore(ctx context.Context, then time.Time) error {
	o.mu.Lock()
	n := 0
	for n < len(o.settled) && !o.settled[n].at.After(then) {
		n++
	}
	numbers := make([]int64, n)
	for i := range numbers {
		numbers[i] = o.settled[i].seq
	}
	o.mu.Unlock()
	if n == 0 {
		return nil
	}
	if err := o.box.config.Store.Tx(ctx, func(tx *store.Tx) error {
		for first, last := range runs(numbers) {
			if _, err := tx.Exec(ctx, "DELETE FROM outbox WHERE seq BETWEEN ? AND ?", first, last); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	o.box.config.Border("removed")
	o.mu.Lock()
	o.settled = slices.Delete(o.settled, 0, n)
	for _, seq := range numbers {
		delete(o.known, seq)
	}
	o.mu.Unlock()
	return nil
}

// runs yields the first and the last of numbers that follow one another: all that are between are among them, so that on PostgreSQL
// no row is removed that another process has committed meanwhile.
func runs(numbers []int64) func(yield func(first, last int64) bool) {
	return func(yield func(first, last int64) bool) {
		sorted := slices.Sorted(slices.Values(numbers))
		for i := 0; i < len(sorted); {
			j := i
			for j+1 < len(sorted) && sorted[j+1] <= sorted[j]+1 {
				j++
			}
			if !yield(sorted[i], sorted[j]) {
				return
			}
			i = j + 1
		}
	}
}

// write writes what the transaction sends into the table, several rows with one statement.
func (t *Tx) write(ctx context.Context) ([]row, error) {
	rows := make([]row, 0, len(t.sent))
	for rest := t.sent; len(rest) > 0; {
		n := chunk(len(rest))
		numbers, err := t.insert(ctx, rest[:n])
		if err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
		for i, m := range rest[:n] {
			rows = append(rows, row{numbers[i], m})
		}
		rest = rest[n:]
	}
	return rows, nil
}

// insert writes messages and returns their numbers.
func (t *Tx) insert(ctx context.Context, messages []*bus.Message) ([]int64, error) {
	args := make([]any, 0, 6*len(messages))
	for _, m := range messages {
		var header []byte
		if len(m.Header) > 0 {
			var err error
			if header, err = json.Marshal(m.Header); err != nil {
				return nil, err
			}
		}
		args = append(args, m.ID, m.Key, m.Topic, string(header), m.Body, t.box.owner)
	}
	numbers := make([]int64, 0, len(messages))
	found, err := t.Query(ctx, "INSERT INTO outbox (id, key, topic, header, body, owner) VALUES "+tuples(len(messages), 6)+" RETURNING seq", args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var seq int64
		if err := found.Scan(&seq); err != nil {
			return nil, err
		}
		numbers = append(numbers, seq)
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	if len(numbers) != len(messages) {
		return nil, fmt.Errorf("%d rows have %d numbers", len(messages), len(numbers))
	}
	slices.Sort(numbers) // in whatever order they are returned, they are given in that of the rows
	return numbers, nil
}

// Waiting returns how many messages are in the outbox and not published, of all processes of the database.
func (b *Box) Waiting(ctx context.Context) (int, error) {
	b.out.mu.Lock()
	settling := len(b.out.settled)
	b.out.mu.Unlock()
	var n int
	if err := b.config.Store.QueryRow(ctx, "SELECT count(*) FROM outbox").Scan(&n); err != nil {
		return 0, fmt.Errorf("box: count the outbox: %w", err)
	}
	return max(n-settling, 0), nil
}
