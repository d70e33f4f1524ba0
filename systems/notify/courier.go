package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// HeaderSignature is the header of the signature of a webhook's call: the HMAC-SHA256 of the body under the secret, in
// hexadecimal.
const HeaderSignature = "X-PORTOS-WEBHOOK-SIGNATURE"

// headerDelivery is the header with the id of the notification, the same for every try.
const headerDelivery = "X-PORTOS-WEBHOOK-ID"

// courier calls webhooks, a few at a time: for each one after the other, in the order of the notifications, and again until
// the webhook takes it or it is parked. A lease in the store keeps other nodes from calling the same one.
type courier struct {
	s      *System
	client *http.Client
	slots  chan struct{}

	mu    sync.Mutex
	lanes map[string]*lane
	woken chan struct{}
}

// lane is a webhook with something to get.
type lane struct {
	busy  bool
	again bool // woken while busy
	due   time.Time
}

// lookAround is how often a courier looks for what other nodes have left, and how soon it tries again after an error of the
// database.
const (
	lookAround = 30 * time.Second
	afterError = time.Second
)

func newCourier(s *System) *courier {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConns: s.config.Webhooks.Workers, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: s.config.Webhooks.Timeout, MaxResponseHeaderBytes: 64 << 10,
	}
	return &courier{
		s: s, lanes: make(map[string]*lane), woken: make(chan struct{}, 1), slots: make(chan struct{}, s.config.Webhooks.Workers),
		client: &http.Client{
			Transport: transport, Timeout: s.config.Webhooks.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// wake says that webhooks have something to get. It does not block.
func (c *courier) wake(ids ...string) {
	c.mu.Lock()
	for _, id := range ids {
		l := c.lanes[id]
		switch {
		case l == nil:
			c.lanes[id] = &lane{}
		case l.busy:
			l.again = true
		}
	}
	c.mu.Unlock()
	c.ring()
}

func (c *courier) ring() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// run works until the system stops, and waits for the calls that are under way.
func (c *courier) run() {
	defer c.client.CloseIdleConnections()
	var calls sync.WaitGroup
	defer calls.Wait()
	ctx := c.s.ctx
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked time.Time
	for {
		if time.Since(looked) >= lookAround {
			looked = time.Now()
			c.look(ctx)
		}
		next := c.start(ctx, &calls)
		timer.Reset(min(next, lookAround))
		select {
		case <-c.woken:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// look wakes all webhooks that have something in the store.
func (c *courier) look(ctx context.Context) {
	ids, err := texts(c.s.store.Query(ctx, "SELECT id FROM webhook WHERE EXISTS (SELECT 1 FROM delivery WHERE webhook = webhook.id AND NOT parked)"))
	if err != nil {
		if ctx.Err() == nil {
			c.s.log.Error("notify: look for deliveries", "error", err)
		}
		return
	}
	c.wake(ids...)
}

// start starts calls for what is due while there are slots, and returns how long nothing further is due.
func (c *courier) start(ctx context.Context, calls *sync.WaitGroup) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := lookAround
	now := time.Now()
	for id, l := range c.lanes {
		if l.busy {
			continue
		}
		if wait := l.due.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		select {
		case c.slots <- struct{}{}:
		default:
			return next // whoever frees a slot rings
		}
		l.busy = true
		calls.Go(func() {
			due, more := c.step(ctx, id)
			<-c.slots
			c.finish(id, due, more)
		})
	}
	return next
}

// finish notes when a lane has something to do next, or that it has not.
func (c *courier) finish(id string, due time.Time, more bool) {
	c.mu.Lock()
	l := c.lanes[id]
	switch {
	case l.again:
		*l = lane{due: due}
	case more:
		*l = lane{due: due}
	default:
		delete(c.lanes, id)
	}
	c.mu.Unlock()
	c.ring()
}

// parcel is a delivery at the head of the queue of its webhook.
type parcel struct {
	seq          int64
	notification string
	body         string
	expires      int64
	tries        int
	due, lease   int64
	url, secret  string
}

// step does what the webhook needs next: at most one call. It returns when to go on, and false if there is nothing left.
func (c *courier) step(ctx context.Context, id string) (due time.Time, more bool) {
	p, err := c.head(ctx, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, false
	case err != nil:
		return c.later(ctx, id, err)
	}
	now := c.s.now()
	if p.expires != 0 && p.expires <= millis(now) {
		_, err := c.s.store.Exec(ctx, "DELETE FROM delivery WHERE seq = ?", p.seq)
		if err != nil {
			return c.later(ctx, id, err)
		}
		return time.Time{}, true
	}
	if wait := max(p.due, p.lease) - millis(now); wait > 0 {
		return time.Now().Add(time.Duration(wait) * time.Millisecond), true
	}
	until := millis(now.Add(c.s.config.Webhooks.Timeout + 5*time.Second))
	n, err := c.s.store.Exec(ctx, "UPDATE delivery SET lease = ? WHERE seq = ? AND lease <= ? AND NOT parked", until, p.seq, millis(now))
	if err != nil {
		return c.later(ctx, id, err)
	}
	if n == 0 {
		return time.Now().Add(afterError), true // another node was faster
	}
	return c.note(ctx, id, p, c.call(ctx, p))
}

func (c *courier) later(ctx context.Context, id string, err error) (time.Time, bool) {
	if ctx.Err() == nil {
		c.s.log.Error("notify: webhook", "webhook", id, "error", err)
	}
	return time.Now().Add(afterError), true
}

func (c *courier) head(ctx context.Context, id string) (*parcel, error) {
	p := new(parcel)
	err := c.s.store.QueryRow(ctx, `SELECT d.seq, d.notification, d.body, d.expires, d.tries, d.due, d.lease, w.url, w.secret
		FROM delivery d JOIN webhook w ON w.id = d.webhook WHERE d.webhook = ? AND d.parked = FALSE ORDER BY d.seq LIMIT 1`, id).
		Scan(&p.seq, &p.notification, &p.body, &p.expires, &p.tries, &p.due, &p.lease, &p.url, &p.secret)
	return p, err
}

// call posts a notification. Any answer but 2xx is an error.
func (c *courier) call(ctx context.Context, p *parcel) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(p.body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "hubbub")
	r.Header.Set(headerDelivery, p.notification)
	if p.secret != "" {
		r.Header.Set(HeaderSignature, Signature(p.secret, []byte(p.body)))
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 64<<10) // a short answer lets the connection be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("status %d, want 2xx", resp.StatusCode)
	}
	return nil
}

// Signature returns the signature of a webhook's body under a secret: the HMAC-SHA256 in lower-case hexadecimal. A receiver
// compares it with the header [HeaderSignature] by crypto/hmac.Equal.
func Signature(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// note stores how a call ended.
func (c *courier) note(ctx context.Context, id string, p *parcel, failed error) (time.Time, bool) {
	stopping := ctx.Err() != nil
	// The end of the system cuts calls; what became of them is stored all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var err error
	w := &c.s.config.Webhooks
	tries := p.tries + 1
	switch {
	case failed == nil:
		_, err = c.s.store.Exec(ctx, "DELETE FROM delivery WHERE seq = ?", p.seq)
	case stopping:
		_, err = c.s.store.Exec(ctx, "UPDATE delivery SET lease = 0 WHERE seq = ?", p.seq)
	case tries >= w.Tries:
		c.s.log.Warn("notify: webhook parked", "webhook", id, "notification", p.notification, "tries", tries, "error", failed)
		_, err = c.s.store.Exec(ctx, "UPDATE delivery SET lease = 0, tries = ?, parked = TRUE, error = ? WHERE seq = ?", tries, short(failed), p.seq)
	default:
		due := c.s.now().Add(backoff(w, tries))
		_, err = c.s.store.Exec(ctx, "UPDATE delivery SET lease = 0, tries = ?, due = ?, error = ? WHERE seq = ?", tries, millis(due), short(failed), p.seq)
	}
	if err != nil {
		return c.later(ctx, id, err)
	}
	return time.Time{}, true
}

func short(err error) string {
	s := strings.ToValidUTF8(err.Error(), "")
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "")
	}
	return s
}

// backoff returns the pause after so many tries: doubled each time, a quarter more or less.
func backoff(w *Webhooks, tries int) time.Duration {
	d := w.FirstDelay
	for range tries - 1 {
		if d *= 2; d >= w.MaxDelay {
			break
		}
	}
	d = min(d, w.MaxDelay)
	return d*3/4 + rand.N(d/2+1)
}
