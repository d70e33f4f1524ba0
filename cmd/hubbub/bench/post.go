package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// checkPost is about messages that go to the server by POST instead of over a connection of the hub, as a gateway takes them.
func (j *Job) checkPost() error {
	if j.Target.Post == "" {
		return nil
	}
	u, err := url.Parse(j.Target.Post)
	switch {
	case err != nil:
		return fmt.Errorf("address %q to post to: %w", j.Target.Post, err)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("address %q to post to: want http:// or https://", j.Target.Post)
	case j.Mode != Broadcast || j.Burst > 0 || j.Target.Wire != wireHub:
		return errors.New("only a broadcast at a rate can be posted")
	}
	return nil
}

// note is a message that waits to be posted.
type note struct {
	seq uint32
	due int64
}

// postAtRate posts messages when they are due, as many at a time as the job's pipeline, one by default, which keeps their order.
func (l *load) postAtRate(ctx context.Context, began int64, rate float64) {
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: l.job.Pipeline, TLSClientConfig: &tls.Config{InsecureSkipVerify: l.job.Insecure}}}
	defer web.CloseIdleConnections()
	n := l.planned()
	queue := make(chan note, n)
	var posters sync.WaitGroup
	for range l.job.Pipeline {
		posters.Go(func() {
			for m := range queue {
				if ctx.Err() != nil {
					continue
				}
				if err := l.postNote(ctx, web, m); err != nil {
					l.because(err.Error())
					s := &l.board.shards[0]
					s.mu.Lock()
					s.counts.Errors++
					s.mu.Unlock()
				}
			}
		})
	}
	l.pace(ctx, began, rate, n, func(k, due int64) {
		l.sent.Add(1)
		queue <- note{uint32(k), due}
	}, nil)
	close(queue)
	posters.Wait()
}

// postNote posts one message, the only element of an array.
func (l *load) postNote(ctx context.Context, web *http.Client, m note) error {
	text := []byte(mark + strings.Repeat("x", l.job.Size-len(mark)))
	putStamp(text, 0, m.seq, m.due)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.job.Target.Post, strings.NewReader(`["`+string(text)+`"]`))
	if err != nil {
		return err
	}
	r.Header = l.job.header()
	r.Header.Set("Content-Type", "application/json")
	res, err := web.Do(r)
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("a post was answered %q with %.200s, want 200", res.Status, said)
	}
	return nil
}
