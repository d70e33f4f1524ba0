package classic

import (
	"sync"
	"time"
)

// watch ends a stream over which the server was silent for longer than it promised. A nil watch does nothing.
type watch struct {
	stream clientStream
	limit  time.Duration
	onSlow func()
	quit   chan struct{}
	gone   chan struct{}

	mu     sync.Mutex
	last   time.Time
	paused bool // a message is being worked on
	warned bool
	lost   bool
}

// newWatch watches a stream; long polling, which has no keep-alive that must come, is not watched.
func newWatch(s *session, stream clientStream) *watch {
	limit := s.agreed().keepAlive()
	if limit <= 0 || s.transport == LongPolling {
		return nil
	}
	w := &watch{
		stream: stream, limit: limit, onSlow: s.slow, last: time.Now(),
		quit: make(chan struct{}), gone: make(chan struct{}),
	}
	go w.run()
	return w
}

// slow tells that the server is silent.
func (s *session) slow() {
	if f := s.c.opts.OnSlow; f != nil {
		s.hook("OnSlow", f)
	}
}

// run looks nine times in the time that the server may be silent, as the .NET client does.
func (w *watch) run() {
	defer close(w.gone)
	tick := time.NewTicker(max(w.limit/9, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
			w.look()
		}
	}
}

func (w *watch) look() {
	w.mu.Lock()
	silent := time.Since(w.last)
	warn := !w.paused && !w.warned && silent >= w.limit*2/3
	lost := !w.paused && silent >= w.limit
	w.warned = w.warned || warn
	w.lost = w.lost || lost
	w.mu.Unlock()
	if warn {
		w.onSlow()
	}
	if lost {
		w.stream.cut()
	}
}

// pause says that a message has come, on which the client works.
func (w *watch) pause() { w.set(true) }

// resume says that the client waits for the server again.
func (w *watch) resume() { w.set(false) }

func (w *watch) set(paused bool) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.paused, w.warned = time.Now(), paused, false
}

// reason is why a stream has ended: err, unless the watch has ended it.
func (w *watch) reason(err error) error {
	if w == nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return errSilent
	}
	return err
}

func (w *watch) stop() {
	if w == nil {
		return
	}
	close(w.quit)
	<-w.gone
}
