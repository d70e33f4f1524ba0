package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// rush is the load itself: purchase n belongs to player n modulo their number, is due at its share of the time, and has an id that ends
// with n.
type rush struct {
	shop   *shop
	prefix string // of the ids
	began  int64

	accepted []int64 // when the 202 came, by purchase; each is written by its player's poster
	pushed   []atomic.Int64
	faulted  []bool // written by its player's reader

	progress, doubled, strays, retried atomic.Int64
	arrived                            atomic.Int64
	all                                chan struct{} // every purchase was pushed
	reason                             atomic.Pointer[string]

	listeners []*conn
	stop      context.CancelFunc // of the pings
	reading   sync.WaitGroup
}

func newPrefix() string { return uuid.NewString()[:28] }

func newRush(s *shop) *rush {
	n := s.job.purchases()
	return &rush{shop: s, prefix: newPrefix(), accepted: make([]int64, n), pushed: make([]atomic.Int64, n), faulted: make([]bool, n), all: make(chan struct{})}
}

func (r *rush) because(text string) { r.reason.CompareAndSwap(nil, &text) }

// due is when a purchase is begun.
func (r *rush) due(n int) int64 { return r.began + int64(float64(n)/r.shop.job.Rate*1e9) }

// run begins all purchases and waits for their pushes.
func (r *rush) run(ctx context.Context, report *PurchaseReport) error {
	defer r.leave()
	if err := r.listen(ctx); err != nil {
		return err
	}
	posters, err := r.posters()
	if err != nil {
		return err
	}
	runtime.GC() // of what setting up has left
	job := r.shop.job
	var before usage
	if job.PID > 0 {
		if before, err = processUsage(job.PID); err != nil {
			return fmt.Errorf("server's process: %w", err)
		}
	}
	own, err := processUsage(os.Getpid())
	if err != nil {
		own = usage{}
	}
	var posting sync.WaitGroup
	for _, p := range posters {
		posting.Go(func() { p.run(ctx) })
	}
	r.began = now()
	r.pace(ctx, posters)
	posting.Wait()
	limit := time.NewTimer(job.Drain)
	defer limit.Stop()
	select {
	case <-r.all:
	case <-limit.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	f := &report.Figures
	if job.PID > 0 {
		after, err := processUsage(job.PID)
		if err != nil {
			return fmt.Errorf("server's process: %w", err)
		}
		f.CPUSeconds, f.RSSAfter = (after.CPU - before.CPU).Seconds(), float64(after.RSS)
		f.CPUPerPurchase = f.CPUSeconds * 1e6 / float64(len(r.pushed))
	}
	if after, err := processUsage(os.Getpid()); err == nil {
		f.LoadCPUSeconds = (after.CPU - own.CPU).Seconds()
	}
	return nil
}

// pace gives purchases to their players when they are due.
func (r *rush) pace(ctx context.Context, posters []*poster) {
	for n := range r.pushed {
		for wait := r.due(n) - now(); wait > 0; wait = r.due(n) - now() {
			t := time.NewTimer(max(time.Duration(wait), 200*time.Microsecond))
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
			}
			if ctx.Err() != nil {
				break
			}
		}
		posters[n%len(posters)].queue <- n
	}
	for _, p := range posters {
		close(p.queue)
	}
}

// listen connects every player to the hub.
func (r *rush) listen(ctx context.Context) error {
	s := r.shop
	a, err := newAddress(s.job.URL + "/trading-svc/messagehub")
	if err != nil {
		return err
	}
	r.listeners = make([]*conn, s.job.Players)
	if err := s.each(s.job.Players, func(i int) error {
		hub := &Job{Target: Target{URL: s.job.URL, Wire: wireHub}, Protocol: protocolJSON, Transport: transportWebSockets, Insecure: s.job.Insecure}
		d := &dialer{job: hub, target: a, header: http.Header{"Authorization": {"Bearer " + s.tokens[i]}}}
		c, err := d.dial(ctx, i)
		r.listeners[i] = c
		return err
	}); err != nil {
		return fmt.Errorf("connect to the hub: %w", err)
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.reading.Go(func() { r.ping(ctx) })
	for i, c := range r.listeners {
		r.reading.Go(func() {
			err := r.read(c, i)
			if !c.leaving.Load() {
				r.because(fmt.Sprintf("connection of player %d ended: %v", i, err))
			}
		})
	}
	return nil
}

// ping keeps the connections alive, as every client of a hub does.
func (r *rush) ping(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, c := range r.listeners {
			_ = c.write(c.format.ping()) // its reader sees that it is gone
		}
	}
}

func (r *rush) leave() {
	if r.stop != nil {
		r.stop()
	}
	for _, c := range r.listeners {
		if c != nil {
			c.reset()
		}
	}
	r.reading.Wait()
}

func (r *rush) read(c *conn, player int) error {
	for {
		err := c.fill()
		at := now()
		if err == nil {
			err = c.handle(func(record []byte) { r.hear(record, player, at) })
		}
		if err != nil {
			return err
		}
	}
}

var (
	statusTarget   = []byte(`"ReceivePurchaseStatus"`)
	progressTarget = []byte(`"ReceivePurchaseProgress"`)
	idField        = []byte(`"correlationId":"`)
	completedField = []byte(`"currentState":"Completed"`)
)

// hear is one message to a player.
func (r *rush) hear(record []byte, player int, at int64) {
	if bytes.Contains(record, progressTarget) {
		r.progress.Add(1)
		return
	}
	if !bytes.Contains(record, statusTarget) {
		return
	}
	_, id, _ := bytes.Cut(record, idField)
	if len(id) < 36 || string(id[:28]) != r.prefix {
		return // of an earlier load
	}
	n, err := strconv.ParseUint(string(id[28:36]), 16, 32)
	switch {
	case err != nil || int(n) >= len(r.pushed) || int(n)%r.shop.job.Players != player:
		r.strays.Add(1)
		return
	case !r.pushed[n].CompareAndSwap(0, at):
		r.doubled.Add(1)
		return
	}
	r.faulted[n] = !bytes.Contains(record, completedField)
	if r.faulted[n] {
		r.because(fmt.Sprintf("a purchase ended with %.400s", record))
	}
	if r.arrived.Add(1) == int64(len(r.pushed)) {
		close(r.all)
	}
}

// poster is the HTTP connection of a player, who begins one purchase after the other.
type poster struct {
	rush   *rush
	target *address
	queue  chan int
	head   []byte
	nc     net.Conn
	read   *bufio.Reader
}

func (r *rush) posters() ([]*poster, error) {
	s := r.shop
	a, err := newAddress(s.job.URL + "/trading-svc/purchase")
	if err != nil {
		return nil, err
	}
	all := make([]*poster, s.job.Players)
	for i := range all {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: ", a.path, a.host, s.tokens[i])
		all[i] = &poster{rush: r, target: a, queue: make(chan int, len(r.pushed)/len(all)+1), head: []byte(head)}
	}
	return all, nil
}

// run posts until the queue is closed. A POST that fails is sent again, as the portal does.
func (p *poster) run(ctx context.Context) {
	defer func() {
		if p.nc != nil {
			p.nc.Close()
		}
	}()
	for n := range p.queue {
		for try := 1; ; try++ {
			err := p.post(ctx, n)
			if err == nil {
				p.rush.accepted[n] = now()
				break
			}
			if p.nc != nil {
				p.nc.Close()
				p.nc = nil
			}
			p.rush.because(err.Error())
			if try == 3 || ctx.Err() != nil {
				break
			}
			p.rush.retried.Add(1)
		}
	}
}

func (p *poster) post(ctx context.Context, n int) error {
	if p.nc == nil {
		nc, err := p.target.dial(ctx, &net.Dialer{Timeout: 10 * time.Second}, p.rush.shop.job.Insecure)
		if err != nil {
			return err
		}
		p.nc, p.read = nc, bufio.NewReaderSize(nc, 1<<10)
	}
	body := fmt.Appendf(nil, `{"itemId":%q,"quantity":1,"idempotencyId":"%s%08x"}`, p.rush.shop.item, p.rush.prefix, n)
	request := append(fmt.Appendf(slices.Clip(p.head), "%d\r\n\r\n", len(body)), body...)
	_ = p.nc.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := p.nc.Write(request); err != nil {
		return fmt.Errorf("POST: %w", err)
	}
	res, err := http.ReadResponse(p.read, nil)
	if err != nil {
		return fmt.Errorf("POST: %w", err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return fmt.Errorf("POST: %w", err)
	case res.StatusCode != http.StatusAccepted:
		return fmt.Errorf("POST was answered %q with %.200s, want 202", res.Status, said)
	case res.Close:
		return errors.Join(p.nc.Close(), func() error { p.nc = nil; return nil }())
	}
	return nil
}

// completed is how many purchases each player was told to be completed.
func (r *rush) completed() []int64 {
	n := make([]int64, r.shop.job.Players)
	for i := range r.pushed {
		if r.pushed[i].Load() > 0 && !r.faulted[i] {
			n[i%len(n)]++
		}
	}
	return n
}

// figures counts what came of it all.
func (r *rush) figures(report *PurchaseReport) {
	f := &report.Figures
	end := r.began + int64(r.shop.job.Duration)
	var accept, push []int64
	inTime, last := 0, int64(0)
	missing := 0
	for n := range r.pushed {
		if r.accepted[n] > 0 {
			accept = append(accept, r.accepted[n]-r.due(n))
		}
		at := r.pushed[n].Load()
		switch {
		case at > 0 && r.faulted[n]:
			f.Faulted++
		case at > 0:
			f.Completed++
		case r.accepted[n] > 0:
			missing++
		}
		if at > 0 {
			push = append(push, at-r.due(n))
			last = max(last, at)
			if at <= end {
				inTime++
			}
		}
	}
	f.Begun, f.Accepted, f.Retried, f.Progress = len(r.pushed), len(accept), int(r.retried.Load()), int(r.progress.Load())
	f.Rate = float64(inTime) / r.shop.job.Duration.Seconds()
	f.Late = max(float64(last-r.due(len(r.pushed)-1))/1e9, 0)
	f.AcceptP50, f.AcceptP99, f.AcceptLongest = quantile(accept, 0.5), quantile(accept, 0.99), quantile(accept, 1)
	f.PushP50, f.PushP90, f.PushP99, f.PushLongest = quantile(push, 0.5), quantile(push, 0.9), quantile(push, 0.99), quantile(push, 1)
	for _, one := range []struct {
		n    int
		what string
	}{
		{len(r.pushed) - len(accept), "purchases were not accepted"}, {missing, "purchases that were accepted were not pushed"},
		{f.Faulted, "purchases faulted"}, {int(r.doubled.Load()), "pushes came twice"}, {int(r.strays.Load()), "pushes came to others"},
	} {
		if one.n > 0 {
			why := ""
			if text := r.reason.Load(); text != nil {
				why = ": " + *text
			}
			report.fault("%d %s%s", one.n, one.what, why)
		}
	}
}

// quantile of latencies in nanoseconds, in microseconds. It sorts them.
func quantile(v []int64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return float64(v[min(int(q*float64(len(v))), len(v)-1)]) / 1000
}
