package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// minRetry is the shortest time between two attempts to connect to a hub.
const minRetry = 500 * time.Millisecond

var (
	errNotStarted = errors.New("the gateway has not been started")
	errBusy       = errors.New("too many calls wait for the hub")
	errDown       = errors.New("the hub is not connected")
)

// client is what both dialects have.
type client interface {
	hubbub.Invoker
	Start(ctx context.Context) error
	Close() error
}

// proxyClient is a classic client with one hub on it.
type proxyClient struct {
	*classic.Client
	*classic.HubProxy
}

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
	client  client  // nil while there is none
	dialect Dialect // of the last connection
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
		d.client, d.err = c, err
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
func (d *downstream) stay(c client) error {
	var err error
	select {
	case err = <-d.closed:
	case <-d.ctx.Done():
	}
	d.mu.Lock()
	d.client, d.err = nil, errDown
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

// connect makes one attempt, in the dialect of the hub or in both. What a server speaks may change when it comes back.
func (d *downstream) connect() (client, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.h.hub.ConnectTimeout)
	defer cancel()
	select { // the end of a connection before, told late
	case <-d.closed:
	default:
	}
	dialect, exact := d.h.hub.Dialect, d.h.hub.ClassicOptions.ExactURL
	if dialect == Auto || dialect == Core {
		c := d.newCore()
		err := c.Start(ctx)
		if err == nil {
			d.learn(Core)
			return c, nil
		}
		answer, refused := errors.AsType[*signalr.HTTPError](err)
		isClassic, none := errors.Is(err, signalr.ErrClassicServer), refused && answer.Status == http.StatusNotFound
		if dialect == Core || (!isClassic && !none) {
			return nil, err
		}
		if d.h.hub.HubName == "" {
			return nil, errors.Join(err, errors.New("no HubName, want the name of the hub on a classic server"))
		}
		exact = exact || isClassic
	}
	c := d.newClassic(exact)
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	d.learn(Classic)
	return c, nil
}

// learn keeps what the server speaks, for those who ask.
func (d *downstream) learn(dialect Dialect) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialect = dialect
}

// onClosed tells run that a connection has ended. Only the last matters: run makes the next one after it.
func (d *downstream) onClosed(err error) {
	select {
	case d.closed <- err:
	default:
	}
}

func (d *downstream) newCore() client {
	h := &d.h.hub
	o := h.CoreOptions
	o.Reconnect, o.OnReconnecting, o.OnReconnected, o.OnClosed = nil, nil, nil, d.onClosed
	o.Header, o.Token = h.Header, h.Token
	if o.Logger == nil {
		o.Logger = d.h.g.config.Logger
	}
	c := signalr.NewClient(h.URL, &o)
	for method, routes := range d.h.heard() {
		c.On(method, hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) {
			return nil, d.h.g.relay(ctx, d.h, method, routes, args)
		}))
	}
	return c
}

func (d *downstream) newClassic(exact bool) client {
	h := &d.h.hub
	o := h.ClassicOptions
	o.OnReconnecting, o.OnReconnected, o.OnClosed = nil, nil, d.onClosed
	if o.Reconnect == nil { // a classic connection gets what it has missed; after that a new one is better
		o.Reconnect = hubbub.RetryDelays(0, minRetry, 2*minRetry)
	}
	o.Header, o.Token, o.ExactURL = h.Header, h.Token, exact
	if o.Logger == nil {
		o.Logger = d.h.g.config.Logger
	}
	c := classic.NewClient(h.URL, &o)
	p := c.Hub(h.HubName)
	for method, routes := range d.h.heard() {
		p.On(method, hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) {
			return nil, d.h.g.relay(ctx, d.h, method, routes, args)
		}))
	}
	return proxyClient{c, p}
}

// health tells whether there is a connection, of which dialect, and why there is none.
func (d *downstream) health() (bool, Dialect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client == nil {
		return false, d.dialect, d.err
	}
	return true, d.dialect, nil
}

// connected returns the connection. Without one it waits for an attempt, which it may bring forward.
func (d *downstream) connected(ctx context.Context) (client, error) {
	ctx, cancel := context.WithTimeout(ctx, d.h.hub.ConnectTimeout)
	defer cancel()
	d.mu.Lock()
	c, tried := d.client, d.tried
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
	if d.client == nil {
		return nil, errors.Join(errDown, d.err)
	}
	return d.client, nil
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
