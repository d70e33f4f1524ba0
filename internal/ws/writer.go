package ws

import (
	"os"
	"syscall"
)

// rawWriter makes non-blocking writes. It belongs to the owner of its buffer and keeps its
// closure, so that a write does not allocate.
type rawWriter struct {
	p    []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

// write offers p to the socket once and returns how much of it was taken: less than all,
// or nothing, without an error when the socket is full.
func (w *rawWriter) write(raw syscall.RawConn, p []byte) (int, error) {
	if w.once == nil {
		w.once = w.attempt
	}
	w.p, w.n, w.err = p, 0, nil
	err := raw.Write(w.once)
	w.p = nil
	if err != nil {
		return 0, err
	}
	return w.n, w.err
}

// attempt always reports true: a flusher does not wait.
func (w *rawWriter) attempt(fd uintptr) bool {
	n, again, err := sysWrite(fd, w.p)
	if again {
		return true
	}
	w.n = max(n, 0)
	if err != nil {
		w.err = os.NewSyscallError("write", err)
	}
	return true
}
