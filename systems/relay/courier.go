package relay

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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// HeaderSignature is the header of the signature of a webhook's call: the HMAC-SHA256 of the body under the secret, in
// hexadecimal. It is the one of the notification system, so that one receiver can serve both.
const HeaderSignature = "X-PORTOS-WEBHOOK-SIGNATURE"

// HeaderDelivery is the header with the number of a webhook's call, the same for every try.
const HeaderDelivery = "X-PORTOS-WEBHOOK-ID"

// Signature returns the signature of a webhook's body under a secret: the HMAC-SHA256 in lower-case hexadecimal. A receiver
// compares it with the header [HeaderSignature] by crypto/hmac.Equal.
func Signature(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// courier calls webhooks, a few at a time: each address for one event after the other, in the order of the triggers, and again
// until it takes the event or has been tried often enough. A lease in the store keeps other nodes from calling the same one.
type courier struct {
	s      *System
	client *http.Client
	slots  chan struct{}

	empty bool        // there were no webhooks when it was asked first; of wanted
	some  atomic.Bool // there may be one since

	mu    sync.Mutex
	lanes map[string]*lane // by address
	woken chan struct{}
}

// lane is an address with something to get.
type lane struct {
	busy  bool
	again bool // woken while busy
	due   time.Time
}

// lookAround is how often a courier looks for what other nodes have left, and afterError how soon something is tried again after
// an error of the database.
const (
	lookAround = 30 * time.Second
	afterError = time.Second
)

func newCourier(s *System) *courier {
	w := &s.config.Webhooks
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConns: w.Workers, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: w.Timeout, MaxResponseHeaderBytes: 64 << 10,
	}
	return &courier{
		s: s, lanes: make(map[string]*lane), woken: make(chan struct{}, 1), slots: make(chan struct{}, w.Workers),
		client: &http.Client{
			Transport: transport, Timeout: w.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// expect says that webhooks have something to get. It does not block.
func (c *courier) expect(posts []post) {
	if len(posts) == 0 {
		return
	}
	c.mu.Lock()
	for _, p := range posts {
		c.wake(p.url)
	}
	c.mu.Unlock()
	c.ring()
}

// wake needs c.mu.
func (c *courier) wake(address string) {
	switch l := c.lanes[address]; {
	case l == nil:
		c.lanes[address] = &lane{}
	case l.busy:
		l.again = true
	}
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
		timer.Reset(min(c.start(ctx, &calls), lookAround))
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
	list, err := scanTexts(c.s.store.Query(ctx, "SELECT DISTINCT url FROM delivery"))
	if err != nil {
		if ctx.Err() == nil {
			c.s.log.Error("relay: look for what webhooks have to get", "error", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, address := range list {
		c.wake(address)
	}
}

// start starts calls for what is due while there are slots, and returns how long nothing further is due.
func (c *courier) start(ctx context.Context, calls *sync.WaitGroup) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := lookAround
	now := time.Now()
	for address, l := range c.lanes {
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
			due, more := c.step(ctx, address)
			<-c.slots
			c.finish(address, due, more)
		})
	}
	return next
}

// finish notes when a lane has something to do next, or that it has not.
func (c *courier) finish(address string, due time.Time, more bool) {
	c.mu.Lock()
	if more || c.lanes[address].again {
		c.lanes[address] = &lane{due: due}
	} else {
		delete(c.lanes, address)
	}
	c.mu.Unlock()
	c.ring()
}

// parcel is a delivery at the head of the queue of its webhook.
type parcel struct {
	seq        int64
	url, body  string
	secret     sql.NullString // of the subscription; not valid if that has ended
	tries      int
	due, lease int64
}

// step does what the webhook needs next: at most one call. It returns when to go on, and false if there is nothing left.
func (c *courier) step(ctx context.Context, address string) (due time.Time, more bool) {
	p, err := c.head(ctx, address)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, false
	case err != nil:
		return c.later(ctx, address, err)
	}
	now := c.s.now()
	if wait := max(p.due, p.lease) - millis(now); wait > 0 {
		return time.Now().Add(time.Duration(wait) * time.Millisecond), true
	}
	until := millis(now.Add(c.s.config.Webhooks.Timeout + 5*time.Second))
	n, err := c.s.store.Exec(ctx, "UPDATE delivery SET lease = ? WHERE seq = ? AND lease <= ?", until, p.seq, millis(now))
	if err != nil {
		return c.later(ctx, address, err)
	}
	if n == 0 {
		return time.Now().Add(afterError), true // another node was faster
	}
	return c.note(ctx, p, c.call(ctx, p))
}

func (c *courier) later(ctx context.Context, address string, err error) (time.Time, bool) {
	if ctx.Err() == nil {
		c.s.log.Error("relay: webhook", "webhook", host(address), "error", err)
	}
	return time.Now().Add(afterError), true
}

func (c *courier) head(ctx context.Context, address string) (*parcel, error) {
	p := &parcel{url: address}
	err := c.s.store.QueryRow(ctx, `SELECT d.seq, d.body, d.tries, d.due, d.lease, w.secret FROM delivery d
		LEFT JOIN webhook w ON w.url = d.url AND w.guid = d.guid WHERE d.url = ? ORDER BY d.seq LIMIT 1`, address).
		Scan(&p.seq, &p.body, &p.tries, &p.due, &p.lease, &p.secret)
	return p, err
}

// call posts an event. Any answer but 2xx is an error.
func (c *courier) call(ctx context.Context, p *parcel) error {
	if !p.secret.Valid { // ended while the event was on its way
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(p.body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "hubbub")
	r.Header.Set(HeaderDelivery, strconv.FormatInt(p.seq, 10))
	if p.secret.String != "" {
		r.Header.Set(HeaderSignature, Signature(p.secret.String, []byte(p.body)))
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
	c.s.count.posted.Add(1)
	return nil
}

// host returns what the log may see of the address of a webhook: the rest of it may hold a secret.
func host(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// note stores how a call ended.
func (c *courier) note(ctx context.Context, p *parcel, failed error) (time.Time, bool) {
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
		c.s.log.Warn("relay: a webhook does not take an event", "webhook", host(p.url), "delivery", p.seq, "tries", tries, "error", failed)
		c.s.count.dropped.Add(1)
		_, err = c.s.store.Exec(ctx, "DELETE FROM delivery WHERE seq = ?", p.seq)
	default:
		due := c.s.now().Add(backoff(w, tries))
		_, err = c.s.store.Exec(ctx, "UPDATE delivery SET lease = 0, tries = ?, due = ? WHERE seq = ?", tries, millis(due), p.seq)
	}
	if err != nil {
		return c.later(ctx, p.url, err)
	}
	return time.Time{}, true
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

// trim removes the oldest of what webhooks have waiting beyond the limit.
func (c *courier) trim(ctx context.Context) error {
	most := c.s.config.Webhooks.MostQueued
	list, err := scanTexts(c.s.store.Query(ctx, "SELECT url FROM delivery GROUP BY url HAVING count(*) > ?", most))
	for _, address := range list {
		n, failed := c.s.store.Exec(ctx, `DELETE FROM delivery WHERE url = ? AND seq <=
			(SELECT seq FROM delivery WHERE url = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`, address, address, most)
		err = errors.Join(err, failed)
		if n > 0 {
			c.s.count.dropped.Add(uint64(n))
			c.s.log.Warn("relay: a webhook has too much waiting, the oldest goes", "webhook", host(address), "removed", n)
		}
	}
	return err
}
