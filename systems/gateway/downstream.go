package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/dial"
)

// minRetry is the shortest time between two attempts to connect to a hub.
const minRetry = 500 * time.Millisecond

var (
	errNotStarted = errors.New("the gateway has not been started")
	errBusy       = errors.New("too many calls wait for the hub")
	errDown       = errors.New("the hub is not connected")
)

// downstream is the one connection to a hub. run keeps it; it is safe for concurrent use.
type downstream struct {
	h      *HubRoutes
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	kick   chan struct{} // a call wants the connection now
	closed chan error    // the connection has ended
	slots  chan struct{} // calls that wait

	mu      sync.Mutex
	conn    *dial.Conn // nil while there is none
	dialect Dialect    // of the last connection
	err     error
	tried   chan struct{} // closed after the attempt that runs, or that comes next
}

func newDownstream(h *HubRoutes) *downstream {
	d := &downstream{h: h, done: make(chan struct{}), kick: make(chan struct{}, 1), closed: make(chan error, 1),
		slots: make(chan struct{}, h.hub.MaxPending), dialect: h.hub.Dialect, err: errDown,
		tried: make(chan struct{})}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// run connects, and connects again, until the gateway closes.
func (d *downstream) run() {
	defer close(d.done)
	failed, lost := 0, time.Now()
	for d.ctx.Err() == nil {
		began := time.Now()
		c, err := d.connect()
		d.mu.Lock()
		d.conn, d.err = c, err
		close(d.tried)
		d.tried = make(chan struct{})
		d.mu.Unlock()
		if err == nil {
			d.h.count.connects.Add(1)
			err = d.stay(c)
			failed, lost = 0, time.Now()
		} else {
			failed++
			d.h.g.config.Logger.Debug("gateway: hub not connected", "hub", d.h.key, "attempt", failed, "error", err)
		}
		d.pause(began, hubbub.Retry{Attempt: failed, Elapsed: time.Since(lost), Reason: err})
	}
	d.mu.Lock()
	close(d.tried)
	d.tried = nil
	d.mu.Unlock()
}

// stay waits for the end of a connection and returns why it ended.
func (d *downstream) stay(c *dial.Conn) error {
	var err error
	select {
	case err = <-d.closed:
	case <-d.ctx.Done():
	}
	d.mu.Lock()
	d.conn, d.err = nil, errDown
	if err != nil {
		d.err = err
	}
	d.mu.Unlock()
	if err := c.Close(); err != nil {
		d.h.g.config.Logger.Warn("gateway: close the connection to a hub", "hub", d.h.key, "error", err)
	}
	if d.ctx.Err() == nil {
		d.h.g.config.Logger.Warn("gateway: hub lost", "hub", d.h.key, "error", err)
	}
	return err
}

// pause waits as the policy says, or until a call wants the connection and the attempt before is long enough ago.
func (d *downstream) pause(began time.Time, r hubbub.Retry) {
	var due <-chan time.Time
	if wait, again := d.h.hub.Reconnect(r); again {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
		return
	case <-d.ctx.Done():
		return
	case <-d.kick:
	}
	timer := time.NewTimer(minRetry - time.Since(began))
	defer timer.Stop()
	select {
	case <-due:
	case <-timer.C:
	case <-d.ctx.Done():
	}
}

// connect makes one attempt. What a server speaks may change when it comes back.
func (d *downstream) connect() (*dial.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.h.hub.ConnectTimeout)
	defer cancel()
	select { // the end of a connection before, told late
	case <-d.closed:
	default:
	}
	c, err := dial.Connect(ctx, d.target())
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialect = c.Dialect()
	return c, nil
}

// target describes the hub as it is to be dialled.
func (d *downstream) target() dial.Hub {
	h := &d.h.hub
	t := dial.Hub{
		URL: h.URL, Dialect: h.Dialect, HubName: h.HubName, Header: h.Header, Token: h.Token,
		OnClosed: d.onClosed, CoreOptions: h.CoreOptions, ClassicOptions: h.ClassicOptions, Logger: d.h.g.config.Logger,
		Handlers: make(map[string]hubbub.Method),
	}
	t.CoreOptions.Reconnect = nil
	if t.ClassicOptions.Reconnect == nil { // a classic connection gets what it has missed; after that a new one is better
		t.ClassicOptions.Reconnect = hubbub.RetryDelays(0, minRetry, 2*minRetry)
	}
	for method, routes := range d.h.heard() {
		t.Handlers[method] = hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) {
			return nil, d.h.g.relay(ctx, d.h, method, routes, args)
		})
	}
	return t
}

// onClosed tells run that a connection has ended. Only the last matters: run makes the next one after it.
func (d *downstream) onClosed(err error) {
	select {
	case d.closed <- err:
	default:
	}
}

// health tells whether there is a connection, of which dialect, and why there is none.
func (d *downstream) health() (bool, Dialect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return false, d.dialect, d.err
	}
	return true, d.dialect, nil
}

// connected returns the connection. Without one it waits for an attempt, which it may bring forward.
func (d *downstream) connected(ctx context.Context) (*dial.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.h.hub.ConnectTimeout)
	defer cancel()
	d.mu.Lock()
	c, tried := d.conn, d.tried
	d.mu.Unlock()
	if c != nil {
		return c, nil
	}
	if tried == nil {
		return nil, errDown
	}
	select {
	case d.kick <- struct{}{}:
	default:
	}
	select {
	case <-tried:
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return nil, errors.Join(errDown, d.err)
	}
	return d.conn, nil
}

// invoke calls a method of the hub and returns its result, null if it has none. It waits for a connection and for the answer.
func (d *downstream) invoke(ctx context.Context, method string, args []json.RawMessage) (result json.RawMessage, err error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		d.h.count.refused.Add(1)
		return nil, errBusy
	}
	defer func() {
		if err != nil {
			d.h.count.failed.Add(1)
			return
		}
		d.h.count.invoked.Add(1)
	}()
	c, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.h.hub.InvokeTimeout)
	defer cancel()
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	if err := c.Invoke(ctx, &result, method, values...); err != nil {
		return nil, err
	}
	if result == nil {
		result = json.RawMessage("null")
	}
	return result, nil
}
