package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/dial"
)

// minRetry is the shortest time between two attempts to connect to a hub.
const minRetry = 500 * time.Millisecond

var (
	errNotStarted = errors.New("the gateway has not been started")
	errGone       = errors.New("the hub is gone")
	errBusy       = errors.New("too many calls wait for the hub")
	errDown       = errors.New("the hub is not connected")
)

// downstream is the one connection to a hub. run keeps it; it is safe for concurrent use.
type downstream struct {
	g      *Gateway
	key    string    // of the hub
	hub    Hub       // as it was when the connection was made
	state  *hubState // of the hub
	ctx    context.Context
	cancel context.CancelFunc
	kick   chan struct{} // a call wants the connection now
	closed chan error    // the connection has ended

	mu      sync.Mutex
	conn    *dial.Conn // nil while there is none
	dialect Dialect    // of the last connection
	err     error
	tried   chan struct{}   // closed after the attempt that runs, or that comes next
	methods map[string]bool // that the hub calls
	pending int             // calls that wait for their end
	retired bool            // no further calls; run ends with the last
}

func newDownstream(h *hubEntry) *downstream {
	d := &downstream{g: h.g, key: h.key, hub: h.hub, state: h.state, kick: make(chan struct{}, 1), closed: make(chan error, 1),
		dialect: h.hub.Dialect, err: errDown, tried: make(chan struct{}), methods: make(map[string]bool)}
	d.ctx, d.cancel = context.WithCancel(h.g.ctx)
	d.hear(h)
	return d
}

// hear adds handlers for the methods of h that are new. Those that are gone stay and find no route.
func (d *downstream) hear(h *hubEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for method := range h.heard {
		if d.methods[method] {
			continue
		}
		d.methods[method] = true
		if d.conn != nil {
			d.conn.On(method, d.handler(method))
		}
	}
}

// handler relays what the hub calls, as the routes in force say.
func (d *downstream) handler(method string) hubbub.Method {
	return hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) {
		if h := d.g.table().hubOf(d.key); h != nil && h.link == d {
			return nil, h.relay(ctx, method, args)
		}
		return nil, nil
	})
}

// retire ends the connection when the last call that waits has its answer, and lets no further calls begin.
func (d *downstream) retire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.retired = true
	if d.pending == 0 {
		d.cancel()
	}
}

// begin counts a call until end, or says why there can be none.
func (d *downstream) begin(most int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.retired:
		return errGone
	case d.pending >= most:
		return errBusy
	}
	d.pending++
	return nil
}

func (d *downstream) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending--
	if d.retired && d.pending == 0 {
		d.cancel()
	}
}

// run connects, and connects again, until the gateway closes.
func (d *downstream) run() {
	defer d.cancel()
	failed, lost := 0, time.Now()
	for d.ctx.Err() == nil {
		began := time.Now()
		c, handled, err := d.connect()
		d.mu.Lock()
		d.conn, d.err = c, err
		if err == nil {
			d.dialect = c.Dialect()
			for method := range d.methods { // those that have come meanwhile
				if !handled[method] {
					c.On(method, d.handler(method))
				}
			}
		}
		close(d.tried)
		d.tried = make(chan struct{})
		d.mu.Unlock()
		if err == nil {
			d.state.connects.Add(1)
			err = d.stay(c)
			failed, lost = 0, time.Now()
		} else {
			failed++
			d.g.config.Logger.Debug("gateway: hub not connected", "hub", d.key, "attempt", failed, "error", err)
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
		d.g.config.Logger.Warn("gateway: close the connection to a hub", "hub", d.key, "error", err)
	}
	if d.ctx.Err() == nil {
		d.g.config.Logger.Warn("gateway: hub lost", "hub", d.key, "error", err)
	}
	return err
}

// pause waits as the policy says, or until a call wants the connection and the attempt before is long enough ago.
func (d *downstream) pause(began time.Time, r hubbub.Retry) {
	var due <-chan time.Time
	if wait, again := d.hub.Reconnect(r); again {
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

// connect makes one attempt, in the dialect of the hub or in both. What a server speaks may change when it comes back. It returns
// the methods that have a handler, too.
func (d *downstream) connect() (*dial.Conn, map[string]bool, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.hub.ConnectTimeout)
	defer cancel()
	select { // the end of a connection before, told late
	case <-d.closed:
	default:
	}
	d.mu.Lock()
	handled, handlers := maps.Clone(d.methods), make(map[string]hubbub.Method, len(d.methods))
	d.mu.Unlock()
	for method := range handled {
		handlers[method] = d.handler(method)
	}
	o := d.hub.dial()
	o.Handlers, o.OnClosed, o.Logger = handlers, d.onClosed, d.g.config.Logger
	c, err := dial.Connect(ctx, o)
	return c, handled, err
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
	ctx, cancel := context.WithTimeout(ctx, d.hub.ConnectTimeout)
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
func (d *downstream) invoke(ctx context.Context, h *hubEntry, method string, args []json.RawMessage) (result json.RawMessage, err error) {
	if err := d.begin(h.hub.MaxPending); err != nil {
		if err == errBusy {
			d.state.refused.Add(1)
		}
		return nil, err
	}
	defer d.end()
	defer func() {
		if err != nil {
			d.state.failed.Add(1)
			return
		}
		d.state.invoked.Add(1)
	}()
	c, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.hub.InvokeTimeout)
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
