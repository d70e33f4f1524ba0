package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/systems/dial"
)

// run connects, and connects again, until the listener is closed.
func (l *Listener) run() {
	failed, lost := 0, time.Now()
	for l.ctx.Err() == nil {
		connected, err := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		if connected {
			failed, lost = 0, time.Now()
			l.log.Warn("relay: hub lost", "hub", l.url, "error", err)
		} else {
			failed++
			l.log.Debug("relay: hub not connected", "hub", l.url, "attempt", failed, "error", err)
		}
		wait, again := l.o.Reconnect(hubbub.Retry{Attempt: failed, Elapsed: time.Since(lost), Reason: err})
		if !again {
			l.log.Error("relay: hub given up", "hub", l.url, "error", err)
			<-l.ctx.Done()
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			timer.Stop()
		}
	}
}

// connect makes one attempt, and returns when the connection has ended. connected says whether it was of use.
func (l *Listener) connect() (connected bool, err error) {
	after, tag := l.attempt()
	if l.ctx.Err() != nil {
		return false, l.ctx.Err()
	}
	closed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(l.ctx, l.o.ConnectTimeout)
	conn, err := dial.Connect(ctx, l.target(after, tag, closed))
	cancel()
	if err != nil {
		l.turnAway(err)
		return false, err
	}
	l.mu.Lock()
	l.conn = conn
	l.health.Dialect = conn.Dialect()
	number, dropped := l.number, l.dropped
	l.mu.Unlock()
	connected = l.tellAll(conn, number) == nil
	err = l.stay(conn, closed, dropped)
	l.turnAway(err)
	if err := conn.Close(); err != nil {
		l.log.Warn("relay: close the connection to a hub", "hub", l.url, "error", err)
	}
	return connected, err
}

// stay waits for the end of a connection, and tells the hub now and then what it has refused: it may have had no database.
func (l *Listener) stay(conn *dial.Conn, closed <-chan error, dropped <-chan struct{}) error {
	t := time.NewTicker(l.o.RetryRefused)
	defer t.Stop()
	for {
		select {
		case err := <-closed:
			return err
		case <-dropped:
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.health.Err
		case <-l.ctx.Done():
			return nil
		case <-t.C:
			if refused, number := l.refused(); len(refused) > 0 {
				if err := l.tellMany(conn, number, refused); err != nil {
					l.log.Debug("relay: subscribe again", "hub", l.url, "error", err)
				}
			}
		}
	}
}

// attempt begins an attempt, and returns how far events are: those of connections before that wait still are not taken any more, if
// the hub sends them again.
func (l *Listener) attempt() (after string, tag uint64) {
	l.mu.Lock()
	l.trying = true
	l.mu.Unlock()
	l.busy.Lock()
	defer l.busy.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	l.tag++
	l.ids, l.dropped = false, make(chan struct{})
	return l.last, l.tag
}

// turn says that something has changed. It needs l.mu.
func (l *Listener) turn() {
	close(l.turned)
	l.turned = make(chan struct{})
}

// turnAway notes that there is no connection and none is tried.
func (l *Listener) turnAway(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.healthy, l.trying = nil, false, false
	if err == nil {
		err = errors.New("the hub has closed the connection")
	}
	l.health.Err = err
	l.turn()
}

// lose ends a connection that is of no more use, unless it is another one by now.
func (l *Listener) lose(number uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number == l.number {
		l.drop(err)
	}
}

// drop needs l.mu.
func (l *Listener) drop(err error) {
	l.healthy, l.health.Err = false, err
	l.number++
	l.turn()
	select {
	case <-l.dropped:
	default:
		close(l.dropped)
	}
}

// target describes the hub as it is to be dialled.
func (l *Listener) target(after string, tag uint64, closed chan<- error) dial.Hub {
	h := l.o.Hub
	h.URL = l.address(after)
	h.Handlers = maps.Clone(h.Handlers)
	if h.Handlers == nil {
		h.Handlers = make(map[string]hubbub.Method)
	}
	h.Handlers["ReceiveEvent"] = hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) {
		return nil, l.receive(ctx, tag, args)
	})
	h.OnClosed = func(err error) { closed <- err }
	h.OnReconnecting = func(err error) { l.away(tag, err) }
	h.OnReconnected = func(string) { l.back(tag) }
	h.CoreOptions.Reconnect = nil
	positive(&h.CoreOptions.MaximumReceiveMessageSize, mostMessage)
	if h.ClassicOptions.Reconnect == nil { // a classic connection gets what it has missed; after that a new one is better
		h.ClassicOptions.Reconnect = hubbub.Jitter(hubbub.RetryDelays(300*time.Millisecond, time.Second, 2*time.Second), 0.5)
	}
	h.ClassicOptions.Reconnect = unlessRefused(h.ClassicOptions.Reconnect)
	return h
}

// unlessRefused gives up when a server answers that it does not know the connection: it has restarted with other keys, or a token has
// ended, and both need a new connection.
func unlessRefused(p hubbub.RetryPolicy) hubbub.RetryPolicy {
	return func(r hubbub.Retry) (time.Duration, bool) {
		if answer, ok := errors.AsType[*classic.HTTPError](r.Reason); ok && answer.Status/100 == 4 {
			return 0, false
		}
		return p(r)
	}
}

// address is that of the hub, with what a hub that retains events has to know.
func (l *Listener) address(after string) string {
	u, err := url.Parse(l.url)
	if err != nil || l.o.Name == "" {
		return l.url
	}
	q := "listener=" + url.QueryEscape(l.o.Name) + "&after=" + url.QueryEscape(after)
	if u.RawQuery != "" {
		q = u.RawQuery + "&" + q
	}
	u.RawQuery = q
	return u.String()
}

// away hears that a classic connection looks for its way back. If its events have ids, a new connection that says how far they are is
// the better way.
func (l *Listener) away(tag uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case tag != l.tag:
	case l.ids:
		l.drop(err)
	default:
		l.healthy, l.trying, l.health.Err = false, false, err
		l.number++
		l.turn()
	}
}

// back hears that a classic connection has come back, perhaps to a server that has forgotten everything.
func (l *Listener) back(tag uint64) {
	l.mu.Lock()
	conn, number := l.conn, l.number
	if tag != l.tag {
		l.mu.Unlock()
		return
	}
	if conn == nil { // connect has not noted it yet
		l.drop(errors.New("the connection was lost at once"))
		l.mu.Unlock()
		return
	}
	l.trying = true
	l.mu.Unlock()
	if err := l.tellAll(conn, number); err != nil {
		l.log.Debug("relay: subscribe again", "hub", l.url, "error", err)
	}
}

// arrival is an event that has come over a connection.
type arrival struct {
	Event
	tag uint64
}

// mostMessage bounds a message of a Core hub, in bytes, unless the options say otherwise.
const mostMessage = 1 << 20

// mostID bounds the id of an event, in bytes.
const mostID = 256

// receive is the client's method ReceiveEvent. It waits while too many events wait.
func (l *Listener) receive(ctx context.Context, tag uint64, args hubbub.Args) error {
	a := arrival{tag: tag}
	var values [3]string
	want := 2
	if l.o.Name != "" && args.Len() > 2 {
		want = 3
	}
	err := args.Err()
	if err == nil && args.Len() < want {
		err = fmt.Errorf("ReceiveEvent has %d arguments, want eventguid and clientcookie", args.Len())
	}
	for i := 0; i < want && err == nil; i++ {
		var v any
		if err = args.Decode(i, &v); err != nil {
			break
		}
		var ok bool
		if values[i], ok = v.(string); !ok && i < 2 {
			err = fmt.Errorf("argument %d of ReceiveEvent is no text", i)
		}
	}
	if err != nil {
		l.mu.Lock()
		l.health.Malformed++
		n := l.health.Malformed
		l.mu.Unlock()
		if n&(n-1) == 0 { // the first, the second, the fourth and so on: a hub does not fill the log
			l.log.WarnContext(ctx, "relay: a call of a hub is no event", "hub", l.url, "error", err, "calls", n)
		}
		return nil
	}
	a.Guid, a.Cookie, a.ID = values[0], values[1], values[2]
	if len(a.ID) > mostID || !utf8.ValidString(a.ID) || strings.ContainsFunc(a.ID, unicode.IsControl) {
		a.ID = ""
	}
	var gone <-chan struct{}
	if a.ID != "" { // it comes again over the next connection
		gone = ctx.Done()
		l.mu.Lock()
		l.ids = l.ids || tag == l.tag
		l.mu.Unlock()
	}
	select {
	case l.queue <- a:
	case <-gone:
	case <-l.ctx.Done():
	}
	return nil
}

// mostTaken is how many events are taken at a time.
const mostTaken = 256

// give hands events over until the listener is closed.
func (l *Listener) give() {
	most := 1
	if l.o.OnEvent == nil {
		most = mostTaken
	}
	for {
		var list []arrival
		select {
		case a := <-l.queue:
			list = append(list, a)
		case <-l.ctx.Done():
			return
		}
	more:
		for len(list) < most {
			select {
			case a := <-l.queue:
				list = append(list, a)
			default:
				break more
			}
		}
		l.busy.Lock()
		l.hand(list)
		l.busy.Unlock()
	}
}

// hand hands over those events that are to be taken, and notes how far they are. It needs l.busy.
func (l *Listener) hand(list []arrival) {
	var wanted []Event
	last := l.last
	l.mu.Lock()
	for _, a := range list {
		switch w := l.wishes[a.Guid]; {
		case a.ID != "" && a.tag != l.tag: // comes again
			continue
		case a.ID != "" && a.ID == last:
			l.health.Doubles++
			continue
		case !l.o.any && (w == nil || ends(w.cookie)):
			l.health.Unwanted++
		default:
			wanted = append(wanted, a.Event)
		}
		if a.ID != "" {
			last = a.ID
		}
	}
	l.mu.Unlock()
	if len(wanted) > 0 && !l.insist(wanted) {
		return
	}
	l.last = last
	l.mu.Lock()
	l.health.Events += uint64(len(wanted))
	l.mu.Unlock()
}

// insist gives events until they are taken. It reports false if the listener was closed before.
func (l *Listener) insist(list []Event) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		n, err := l.o.take(l.ctx, list)
		if err == nil {
			return true
		}
		list = list[n:]
		if l.ctx.Err() != nil {
			return false
		}
		l.log.Error("relay: events of a hub not taken, they are given again", "hub", l.url, "events", len(list), "after", wait, "error", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// each gives events one after the other to a function of a user, which must not take the listener with it.
func each(f func(context.Context, Event) error, log *slog.Logger) func(context.Context, []Event) (int, error) {
	one := func(ctx context.Context, e Event) (err error) {
		defer func() {
			if p := recover(); p != nil {
				log.Error("panic in OnEvent", "eventguid", clip(e.Guid), "panic", p, "stack", string(debug.Stack()))
			}
		}()
		return f(ctx, e)
	}
	return func(ctx context.Context, list []Event) (int, error) {
		for i, e := range list {
			if err := one(ctx, e); err != nil {
				return i, err
			}
		}
		return len(list), nil
	}
}
