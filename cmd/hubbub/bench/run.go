package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Run measures job on its target and on everything it is compared with, runs times in turns, and sums up. It blocks until that is
// done or ctx is. A line of progress a second goes to progress.
func Run(ctx context.Context, job Job, others []Target, limit bool, runs int, progress io.Writer) (*Report, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	targets := append([]Target{job.Target}, others...)
	if limit {
		t, stop, err := startLimit(ctx, &job)
		if err != nil {
			return nil, fmt.Errorf("start the raw server: %w", err)
		}
		defer stop()
		targets = append(targets, t)
	}
	r := &Report{Format: FormatVersion, Tool: "hubbub bench", When: time.Now().UTC(), Machine: thisMachine(), Job: job}
	latencies := make([]*hdrhistogram.Histogram, len(targets))
	for i, t := range targets {
		r.Targets = append(r.Targets, Result{Target: t})
		latencies[i] = newHistogram()
	}
	for run := range max(runs, 1) {
		for i := range targets {
			j := job
			j.Target = targets[i]
			if err := j.check(); err != nil {
				return nil, err
			}
			m := &meeting{job: &j, title: fmt.Sprintf("%s %s %d/%d", j.Mode, j.Target.Name, run+1, max(runs, 1)), progress: progress}
			if err := m.hold(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", j.Target.Name, err)
			}
			res := &r.Targets[i]
			res.Runs = append(res.Runs, m.figures)
			res.Series = m.series
			res.Notes = append(res.Notes, m.notes...)
			latencies[i].Merge(m.latency)
		}
	}
	for i := range r.Targets {
		r.Targets[i].Median = median(r.Targets[i].Runs)
		r.Targets[i].Latency = curve(latencies[i])
	}
	r.Ratios = ratios(r.Targets)
	return r, nil
}

// curve is the distribution at the shares that a plot and a reader want.
func curve(h *hdrhistogram.Histogram) []Point {
	points := []Point{}
	if h.TotalCount() == 0 {
		return points
	}
	for _, share := range []float64{0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100} {
		points = append(points, Point{X: share, Y: float64(h.ValueAtPercentile(share))})
	}
	return points
}

// meeting is one run on one target: the parent's side.
type meeting struct {
	job      *Job
	title    string
	progress io.Writer

	figures Figures
	latency *hdrhistogram.Histogram
	series  []Sample
	notes   []string
}

// peer is the parent's end of a worker.
type peer struct {
	enc  *json.Encoder
	dec  *json.Decoder
	last int64
	stop func()
}

func (m *meeting) hold(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.bound())
	defer cancel()
	before := m.usage()
	began := time.Now()
	peers, err := m.hire(ctx)
	defer func() {
		for _, p := range peers {
			p.stop()
		}
	}()
	if err != nil {
		return err
	}
	if _, err := gather(peers, nil, func(r report) bool { return r.Ready }); err != nil {
		return err
	}
	if m.job.Mode == Broadcast || m.job.Mode == Idle {
		pause(ctx, min(time.Second, m.job.Duration/4)) // let the server come to rest after so many connections
	}
	stand := m.usage()
	fmt.Fprintf(m.progress, "%s: ready after %v\n", m.title, time.Since(began).Round(time.Millisecond))
	for _, p := range peers {
		if err := p.enc.Encode(order{Go: true}); err != nil {
			return err
		}
	}
	parts, err := m.follow(peers)
	if err != nil {
		return err
	}
	after := m.usage()
	m.sum(parts, before, stand, after)
	for _, p := range peers {
		_ = p.enc.Encode(order{End: true}) // it has said everything
	}
	return nil
}

// bound is the longest that one run may take, whatever happens.
func (m *meeting) bound() time.Duration {
	perRound := 2 * time.Minute
	return m.job.Duration + m.job.Drain + time.Duration(m.job.Rounds)*perRound + 3*time.Minute
}

// hire starts the workers: one inside this process, or several processes.
func (m *meeting) hire(ctx context.Context) ([]*peer, error) {
	var peers []*peer
	for i := range m.job.Workers {
		p, err := m.worker(ctx)
		if err != nil {
			return peers, err
		}
		peers = append(peers, p)
		j := *m.job
		j.Worker = i
		if err := p.enc.Encode(order{Job: &j, Header: j.Header}); err != nil {
			return peers, err
		}
	}
	return peers, nil
}

func (m *meeting) worker(ctx context.Context) (*peer, error) {
	if m.job.Workers == 1 {
		theirs, ours := io.Pipe()
		mine, yours := io.Pipe()
		var running sync.WaitGroup
		running.Go(func() {
			_ = Worker(ctx, theirs, yours) // its error came over the pipe
			yours.Close()
		})
		return &peer{enc: json.NewEncoder(ours), dec: json.NewDecoder(mine), stop: func() {
			ours.Close()
			mine.Close()
			running.Wait()
		}}, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, "bench", "worker")
	cmd.WaitDelay = 5 * time.Second
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	return &peer{enc: json.NewEncoder(in), dec: json.NewDecoder(bufio.NewReader(out)), stop: func() {
		in.Close()
		_ = cmd.Wait() // its error came over the pipe
	}}, nil
}

// gather reads from every worker until is says that it has said it.
func gather(peers []*peer, each func(*peer, report), is func(report) bool) ([]report, error) {
	all := make([]report, len(peers))
	errs := make([]error, len(peers))
	var wait sync.WaitGroup
	for i, p := range peers {
		wait.Go(func() {
			for {
				var r report
				if err := p.dec.Decode(&r); err != nil {
					errs[i] = fmt.Errorf("worker %d ended without a result: %w", i, err)
					return
				}
				if r.Error != "" {
					errs[i] = errors.New(r.Error)
					return
				}
				if each != nil {
					each(p, r)
				}
				if is(r) {
					all[i] = r
					return
				}
			}
		})
	}
	wait.Wait()
	return all, errors.Join(errs...)
}

// follow shows progress until all workers are done.
func (m *meeting) follow(peers []*peer) ([]report, error) {
	var mu sync.Mutex
	began := time.Now()
	var lastTotal int64
	last, lastUsage := began, m.usage()
	return gather(peers, func(p *peer, r report) {
		mu.Lock()
		defer mu.Unlock()
		if r.Done != nil {
			return
		}
		p.last = r.Received
		if p != peers[0] {
			return
		}
		var total int64
		for _, q := range peers {
			total += q.last
		}
		u, at := m.usage(), time.Now()
		s := Sample{
			Seconds: at.Sub(began).Seconds(), Rate: float64(total-lastTotal) / at.Sub(last).Seconds(),
			CPU: (u.CPU - lastUsage.CPU).Seconds() / at.Sub(last).Seconds(), RSSBytes: u.RSS,
		}
		m.series = append(m.series, s)
		lastTotal, last, lastUsage = total, at, u
		line := fmt.Sprintf("%s: %3.0f s  %s received  %s/s", m.title, s.Seconds, number(float64(total)), number(s.Rate))
		if m.job.Target.PID != 0 {
			line += fmt.Sprintf("  %.2f cores  %s B", s.CPU, number(float64(u.RSS)))
		}
		fmt.Fprintln(m.progress, line)
	}, func(r report) bool { return r.Done != nil })
}

// usage is that of the server, or nothing where it is not known.
func (m *meeting) usage() usage {
	if m.job.Target.PID == 0 {
		return usage{}
	}
	u, err := processUsage(m.job.Target.PID)
	if err != nil {
		m.note("the server's process could not be sampled: " + err.Error())
	}
	return u
}

func (m *meeting) note(text string) {
	for _, n := range m.notes {
		if n == text {
			return
		}
	}
	m.notes = append(m.notes, text)
}

// sum makes the figures of the run.
func (m *meeting) sum(parts []report, before, stand, after usage) {
	f := &m.figures
	m.latency = newHistogram()
	setup := newHistogram()
	var counts Counts
	var rounds []float64
	var inside int64
	for _, r := range parts {
		p := r.Done
		counts.add(p.Counts)
		rounds = append(rounds, p.Rounds...)
		inside += p.Inside
		f.Sent += float64(p.Sent)
		f.Visits += float64(p.Visits)
		f.FailedVisits += float64(p.Failed)
		f.StalledCutOff += float64(p.CutOff)
		f.LoadCPUSeconds += p.CPUSeconds
		f.Seconds = max(f.Seconds, float64(p.Nanos)/1e9)
		for _, h := range []struct {
			packed string
			into   *hdrhistogram.Histogram
		}{{p.Latency, m.latency}, {p.Setup, setup}} {
			if one, err := unpack(h.packed); err == nil {
				h.into.Merge(one)
			} else {
				m.note("the latencies of a worker could not be read: " + err.Error())
			}
		}
		if p.Reason != "" {
			m.note(p.Reason)
		}
	}
	m.count(counts)
	f.Expected = f.Sent
	if m.job.Mode.fans() {
		// A broadcast reaches everybody, a group's message its members; over all groups that is the same sum.
		f.Expected = f.Sent * f.Connections / float64(m.senders())
	}
	if f.Seconds > 0 {
		f.Rate = float64(inside) / f.Seconds
	}
	f.Offered = m.job.Rate
	if m.job.Burst > 0 {
		f.Rate = middle(rounds)
	}
	if m.latency.TotalCount() > 0 {
		for share, into := range map[float64]*float64{50: &f.P50, 90: &f.P90, 99: &f.P99, 99.9: &f.P999, 100: &f.Longest} {
			*into = float64(m.latency.ValueAtPercentile(share))
		}
	}
	if setup.TotalCount() > 0 {
		f.SetupP50, f.SetupP99 = float64(setup.ValueAtPercentile(50)), float64(setup.ValueAtPercentile(99))
	}
	m.cost(before, stand, after)
}

// senders is the number of them among all workers.
func (m *meeting) senders() int {
	if m.job.Mode == Groups {
		return m.job.Groups
	}
	return 1
}

func (m *meeting) count(c Counts) {
	f := &m.figures
	f.Connections = float64(m.job.Connections)
	f.Received, f.Lost, f.Unfinished = float64(c.Received), float64(c.Lost), float64(c.Unfinished)
	f.Doubled, f.OutOfOrder, f.Strays = float64(c.Doubled), float64(c.OutOfOrder), float64(c.Strays)
	f.Errors, f.Closed = float64(c.Errors), float64(c.Closed)
}

// cost is what the server has used.
func (m *meeting) cost(before, stand, after usage) {
	f := &m.figures
	if after.RSS == 0 {
		return
	}
	f.CPUSeconds = (after.CPU - stand.CPU).Seconds()
	if f.Received > 0 {
		f.CPUPerMessage = f.CPUSeconds * 1e6 / f.Received
	}
	if m.job.Mode == Connect {
		f.CPUPerSetup, f.CPUPerMessage = f.CPUPerMessage, 0
	} else {
		f.CPUPerSetup = (stand.CPU - before.CPU).Seconds() * 1e6 / f.Connections
	}
	f.RSSBefore, f.RSSAfter = float64(before.RSS), float64(after.RSS)
	f.RSSPerConn = max(0, (f.RSSAfter-f.RSSBefore)/f.Connections)
}

// startLimit starts the raw server as a process of its own, on the processors of the server.
func startLimit(ctx context.Context, job *Job) (Target, func(), error) {
	exe, err := os.Executable()
	if err != nil {
		return Target{}, nil, err
	}
	cmd := exec.CommandContext(ctx, exe, "bench", "raw", "serve", "--listen", "127.0.0.1:0", "--leashed")
	in, err1 := cmd.StdinPipe() // it ends with this pipe
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return Target{}, nil, err
	}
	if err := startBeside(cmd, job.Target.PID); err != nil {
		return Target{}, nil, err
	}
	stop := func() {
		in.Close()
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	}
	t := Target{Name: "limit", Wire: wireRaw, PID: cmd.Process.Pid}
	if job.Mode == Connect || job.Mode == Idle || job.Mode == Storm {
		t.Wire = wirePlain
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		url, ok := strings.CutPrefix(lines.Text(), "listening on ")
		if ok && strings.HasPrefix(url, "tcp:") == (t.Wire == wireRaw) {
			t.URL = url
			return t, stop, nil
		}
	}
	stop()
	return Target{}, nil, errors.New("it did not say where it listens")
}
