package bench

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// events is what the load knows of a hub whose clients subscribe to events with cookies (the relay). A cookie is the same every time
// it comes back, so when an event was due is kept here, and each connection finds it by how often it has heard the event.
type events struct {
	mu   sync.Mutex
	due  map[uint32][]int64 // by the number of the event, for all triggers
	seen map[[2]uint32]int  // by connection and event
}

func newEvents() *events {
	return &events{due: make(map[uint32][]int64), seen: make(map[[2]uint32]int)}
}

// fire notes that an event is triggered.
func (e *events) fire(event uint32, due int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.due[event] = append(e.due[event], due)
}

// hear returns when the event that a connection hears was due; ok is false if it was not triggered so often.
func (e *events) hear(conn, event uint32) (due int64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := [2]uint32{conn, event}
	n := e.seen[key]
	if n >= len(e.due[event]) {
		return 0, false
	}
	e.seen[key]++
	return e.due[event][n], true
}

// eventsOf returns the numbers of the events that a connection subscribes to: some of its own, or one that it shares with others.
func (j *Job) eventsOf(index int) (first, n int) {
	if j.Groups < j.Connections {
		return index * j.Groups / j.Connections, 1
	}
	n = j.Groups / j.Connections
	return index * n, n
}

// listeners is the number of connections that hear one event.
func (j *Job) listeners(event int) int {
	if j.Groups >= j.Connections {
		return 1
	}
	n := 0
	for i := event * j.Connections / j.Groups; i < j.Connections && i*j.Groups/j.Connections <= event; i++ {
		if i*j.Groups/j.Connections == event {
			n++
		}
	}
	return n
}

func eventName(n int) string { return fmt.Sprintf("bench-%d", n) }

// subscribe lets a connection subscribe to its events and waits until it has.
func (l *load) subscribe(c *conn) error {
	first, n := l.job.eventsOf(c.index)
	_ = c.nc.SetDeadline(time.Now().Add(30 * time.Second))
	defer func() { _ = c.nc.SetDeadline(time.Time{}) }()
	var frames []byte
	cookie := []byte(mark + strings.Repeat("x", l.job.Size-len(mark)))
	for k := first; k < first+n; k++ {
		putStamp(cookie, c.sender, uint32(k), 0)
		frames = append(frames, c.format.frame(c.format.invocation(fmt.Sprint("s", k), l.job.Methods.Subscribe, eventName(k), string(cookie)))...)
	}
	if err := c.write(frames); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	left := n
	return c.await(func(r []byte) (bool, error) {
		if c.format.kind(r) != 3 {
			return false, nil
		}
		if c.format.failed(r) {
			return true, fmt.Errorf("subscribe was answered %q", r)
		}
		left--
		return left == 0, nil
	})
}

// trigger is one trigger on its way.
type trigger struct {
	event int
	due   int64
}

// fire triggers events over REST, in turn, and waits until everybody has heard.
func (l *load) fire(ctx context.Context) (window, error) {
	l.start(nil)
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: l.job.Pipeline, TLSClientConfig: &tls.Config{InsecureSkipVerify: l.job.Insecure}}}
	defer web.CloseIdleConnections()
	address, err := l.job.triggerURL()
	if err != nil {
		return window{}, err
	}
	queue := make(chan trigger, 1<<16)
	var posters sync.WaitGroup
	for range l.job.Pipeline {
		posters.Go(func() {
			for t := range queue {
				if err := l.post(ctx, web, address, t); err != nil && ctx.Err() == nil {
					l.because(err.Error())
					s := &l.board.shards[0]
					s.mu.Lock()
					s.counts.Errors++
					s.mu.Unlock()
				}
			}
		})
	}
	began := now()
	if l.job.Rate > 0 {
		rate := l.job.Rate * float64(l.job.Groups) / float64(max(l.job.Connections, l.job.Groups))
		l.pace(ctx, began, rate, int64(rate*l.job.Duration.Seconds()), func(k, due int64) {
			queue <- trigger{int(k) % l.job.Groups, due}
		}, nil)
	} else {
		for k := 0; now()-began < int64(l.job.Duration) && ctx.Err() == nil; k++ {
			select {
			case queue <- trigger{k % l.job.Groups, 0}:
			default:
				pause(ctx, time.Millisecond)
				k--
			}
			for len(queue) > l.job.Pipeline && now()-began < int64(l.job.Duration) && ctx.Err() == nil {
				pause(ctx, 50*time.Microsecond)
			}
		}
	}
	w := window{nanos: now() - began, inside: l.board.total.Load()}
	close(queue)
	posters.Wait()
	l.settle(ctx, l.sent.Load)
	return w, ctx.Err()
}

// triggerURL is where events are triggered, on the host of the hub.
func (j *Job) triggerURL() (string, error) {
	u, err := url.Parse(j.Target.URL)
	if err != nil {
		return "", err
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	u.Path, u.RawPath, u.RawQuery = j.Methods.Trigger, "", ""
	return u.String(), nil
}

// post triggers one event and checks how many listen. One without a time is due when it is sent.
func (l *load) post(ctx context.Context, web *http.Client, address string, t trigger) error {
	if t.due == 0 {
		t.due = now()
	}
	want := l.job.listeners(t.event)
	l.events.fire(uint32(t.event), t.due)
	l.sent.Add(int64(want))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"eventguid":"`+eventName(t.event)+`"}`))
	if err != nil {
		return err
	}
	r.Header = l.job.header()
	r.Header.Set("Content-Type", "application/json")
	res, err := web.Do(r)
	if err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	var answer struct{ Listeners int }
	if err := json.Unmarshal(text, &answer); res.StatusCode != http.StatusAccepted || err != nil || answer.Listeners != want {
		return fmt.Errorf("a trigger was answered %q with %.200s, want 202 and %d listeners", res.Status, text, want)
	}
	return nil
}
