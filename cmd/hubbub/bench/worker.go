package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// order is what the parent says to a worker: first the job, then go, then end.
type order struct {
	Job    *Job              `json:"job,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Go     bool              `json:"go,omitempty"`
	End    bool              `json:"end,omitempty"`
}

// report is what a worker says to the parent: ready, progress, and at last done or an error.
type report struct {
	Ready    bool   `json:"ready,omitempty"`
	Received int64  `json:"received,omitempty"`
	Done     *part  `json:"done,omitempty"`
	Error    string `json:"error,omitempty"`
}

// part is the result of one worker.
type part struct {
	Counts     Counts    `json:"counts"`
	Sent       int64     `json:"sent"`
	Nanos      int64     `json:"nanos"`
	Inside     int64     `json:"inside"`
	Rounds     []float64 `json:"rounds,omitempty"`
	Latency    string    `json:"latency"`
	Setup      string    `json:"setup"`
	Visits     int64     `json:"visits,omitempty"`
	Failed     int64     `json:"failed,omitempty"`
	CutOff     int       `json:"cutOff,omitempty"`
	CPUSeconds float64   `json:"cpuSeconds"`
	Reason     string    `json:"reason,omitempty"`
}

func pack(h *hdrhistogram.Histogram) string {
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return "" // to memory: does not fail
	}
	return base64.StdEncoding.EncodeToString(b)
}

func unpack(s string) (*hdrhistogram.Histogram, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	return hdrhistogram.Decode(b)
}

// Worker carries one share of a job that comes over in, and reports to out. It blocks until the job is over, and ends early when in
// ends, because then the parent is gone.
func Worker(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	orders := make(chan order)
	go func() {
		defer cancel()
		defer close(orders)
		d := json.NewDecoder(in)
		for {
			var o order
			if d.Decode(&o) != nil {
				return
			}
			select {
			case orders <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	enc := json.NewEncoder(out)
	err := work(ctx, orders, enc)
	if err != nil {
		_ = enc.Encode(report{Error: err.Error()}) // the parent may be gone
	}
	return err
}

func work(ctx context.Context, orders <-chan order, enc *json.Encoder) error {
	first := <-orders
	if first.Job == nil {
		return errors.New("the first order has no job")
	}
	first.Job.Header = first.Header
	l, err := newLoad(first.Job)
	if err != nil {
		return err
	}
	defer l.letGo()
	if err := l.prepare(ctx); err != nil {
		return err
	}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	go l.keepAlive(alive)
	if err := enc.Encode(report{Ready: true}); err != nil {
		return err
	}
	if o := <-orders; !o.Go {
		return errors.New("the parent ended before the load began")
	}
	p, err := l.measure(ctx, enc)
	if err != nil {
		return err
	}
	if err := enc.Encode(report{Done: p}); err != nil {
		return err
	}
	<-orders // connections stand until the parent has looked at the server
	return nil
}

// measure runs the load and reports progress meanwhile.
func (l *load) measure(ctx context.Context, enc *json.Encoder) (*part, error) {
	type outcome struct {
		w   window
		err error
	}
	done := make(chan outcome, 1)
	before := ownCPU()
	go func() {
		w, err := l.run(ctx)
		done <- outcome{w, err}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := enc.Encode(report{Received: l.board.total.Load()}); err != nil {
				return nil, err
			}
		case o := <-done:
			if o.err != nil {
				return nil, fmt.Errorf("%s: %w", l.job.Mode, o.err)
			}
			return l.part(o.w, ownCPU()-before), nil
		}
	}
}

// part sums up. Readers may still be running, but count nothing that matters any more.
func (l *load) part(w window, cpu float64) *part {
	p := &part{Sent: l.sent.Load(), Nanos: w.nanos, Inside: w.inside, Rounds: w.rounds, Visits: l.trades.Load(), Failed: l.failed.Load(), CPUSeconds: cpu}
	if len(l.stalled) > 0 {
		p.CutOff = l.cutOff()
	}
	sent := uint32(0) // by the sender that a connection hears
	switch {
	case l.job.Mode.fans() && l.job.Burst > 0:
		sent = uint32(l.sent.Load())
	case l.job.Mode.fans():
		sent = uint32(l.planned())
	}
	for _, c := range l.conns {
		c.shard.mu.Lock()
		c.ledger.close(sent, &c.shard.counts)
		c.shard.mu.Unlock()
	}
	counts, latency := l.board.sum()
	if l.job.Mode == Echo || l.job.Mode == Invoke {
		counts.Unfinished = max(0, p.Sent-counts.Received-counts.Errors-counts.Lost)
	}
	if l.job.Mode == Events {
		counts.Unfinished = max(0, p.Sent-counts.Received)
	}
	if l.job.Mode == Connect {
		counts.Received = w.inside
		latency = l.setup
	}
	p.Counts, p.Latency = counts, pack(latency)
	l.setupMu.Lock()
	p.Setup = pack(l.setup)
	l.setupMu.Unlock()
	if r := l.reason.Load(); r != nil {
		p.Reason = *r
	}
	return p
}
