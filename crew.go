package hubbub

import "sync"

// maximumIdle is how many goroutines a hub keeps between calls.
const maximumIdle = 32

// crew runs the calls of a hub. A goroutine that has run one waits for the next: a new one would first have to grow its stack,
// call after call. They wait only while the hub has connections, so a hub that is forgotten leaves none behind.
type crew struct {
	mu    sync.Mutex
	links int
	idle  []chan *call // the one that waited least is the last
}

// start runs c and what its permit lets through behind it. It does not block.
func (w *crew) start(c *call) {
	w.mu.Lock()
	n := len(w.idle) - 1
	if n < 0 {
		w.mu.Unlock()
		go w.work(c)
		return
	}
	next := w.idle[n]
	w.idle[n] = nil
	w.idle = w.idle[:n]
	w.mu.Unlock()
	next <- c // has room for one
}

func (w *crew) work(c *call) {
	var next chan *call
	for c != nil {
		c.link.work(c)
		if next == nil {
			next = make(chan *call, 1)
		}
		if !w.rest(next) {
			return
		}
		c = <-next
	}
}

// rest puts a goroutine among those that wait, if it may.
func (w *crew) rest(next chan *call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.links == 0 || len(w.idle) >= maximumIdle {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// enter counts a connection.
func (w *crew) enter() {
	w.mu.Lock()
	w.links++
	w.mu.Unlock()
}

// leave counts a connection off; with the last one those go who wait.
func (w *crew) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.links--; w.links > 0 {
		return
	}
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
}
