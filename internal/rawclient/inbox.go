package rawclient

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// End is how a connection ended, as its client sees it.
type End struct {
	Code   int   // of a WebSocket: the code of the close frame, 1006 without one. Others: the status of the last answer
	Err    error // what the reader ran into
	Broken bool  // the server broke a rule; Err says which
}

// String is for messages of tests.
func (e End) String() string { return fmt.Sprintf("end %d (%v)", e.Code, e.Err) }

type item struct {
	record string
	binary bool
}

// inbox is what has come and was not read by the test yet.
type inbox struct {
	mu       sync.Mutex
	protocol string // "" for chunks as they come
	shook    bool
	items    []item
	end      *End
	changed  chan struct{}
}

func newInbox(protocol string) *inbox {
	return &inbox{protocol: protocol, changed: make(chan struct{})}
}

// signal needs mu.
func (b *inbox) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// chunk takes what one WebSocket message, event or answer to a poll carried.
func (b *inbox) chunk(p []byte, binary bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.signal()
	if b.protocol == "" {
		b.items = append(b.items, item{string(p), binary})
		return
	}
	if !b.shook {
		i := bytes.IndexByte(p, Separator[0])
		if i < 0 {
			b.broken(fmt.Errorf("handshake answer without its end: %q", p))
			return
		}
		b.shook = true
		b.items = append(b.items, item{string(p[:i]), binary})
		p = p[i+1:]
	}
	records, err := split(b.protocol, p)
	for _, r := range records {
		text, err := Decode(b.protocol, r)
		if err != nil {
			b.broken(err)
			return
		}
		b.items = append(b.items, item{text, binary})
	}
	if err != nil {
		b.broken(err)
	}
}

// broken needs mu.
func (b *inbox) broken(err error) {
	if b.end == nil || !b.end.Broken {
		b.end = &End{Err: err, Broken: true}
	}
}

func (b *inbox) finish(e End) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end == nil {
		b.end = &e
		b.signal()
	}
}

// next waits for a record or the end.
func (b *inbox) next(wait time.Duration) (it item, end *End, late bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		b.mu.Lock()
		if b.end != nil && b.end.Broken {
			defer b.mu.Unlock()
			return item{}, b.end, false
		}
		if len(b.items) > 0 {
			it = b.items[0]
			b.items[0] = item{}
			b.items = b.items[1:]
			b.mu.Unlock()
			return it, nil, false
		}
		end, changed := b.end, b.changed
		b.mu.Unlock()
		if end != nil {
			return item{}, end, false
		}
		select {
		case <-changed:
		case <-timer.C:
			return item{}, nil, true
		}
	}
}
