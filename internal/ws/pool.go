package ws

import "sync"

const (
	readBytes  = 8 << 10  // one read
	turnBytes  = 16 << 10 // asked of a Source in one turn
	spareBytes = 4 << 10  // room for the frame that crosses turnBytes
	keepBytes  = 64 << 10 // a larger write buffer is left to the garbage collector
)

type readBuffer [readBytes]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

// writeBuffer holds the frames of one turn. Its owner is whoever writes it.
type writeBuffer struct {
	b []byte
	w rawWriter
}

var writeBuffers = sync.Pool{New: func() any {
	return &writeBuffer{b: make([]byte, 0, turnBytes+spareBytes)}
}}

func borrow() *writeBuffer { return writeBuffers.Get().(*writeBuffer) }

// free gives w back, unless one large frame has made it grow for good.
func (w *writeBuffer) free() {
	if cap(w.b) <= keepBytes {
		writeBuffers.Put(w)
	}
}
