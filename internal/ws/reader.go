package ws

import (
	"io"
	"os"
)

// reader reads the socket of one connection. On a raw socket it waits without a buffer.
type reader struct {
	c    *Conn
	buf  *readBuffer // borrowed between read and done
	n    int
	err  error // of the last attempt, or one that came together with bytes
	once func(fd uintptr) bool
}

func newReader(c *Conn) *reader {
	r := &reader{c: c}
	r.once = r.attempt
	return r
}

// read waits for bytes. They are valid until done, which must be called after each read,
// also after one that failed.
func (r *reader) read() ([]byte, error) {
	switch {
	case r.err != nil:
		return nil, r.err
	case r.c.raw != nil:
		if err := r.c.raw.Read(r.once); err != nil {
			return nil, err
		}
	default:
		r.buf = readBuffers.Get().(*readBuffer)
		r.n, r.err = r.c.nc.Read(r.buf[:])
	}
	if r.n > 0 {
		return r.buf[:r.n], nil
	}
	return nil, r.err
}

func (r *reader) done() {
	if r.buf != nil {
		readBuffers.Put(r.buf)
		r.buf = nil
	}
}

// attempt is called when the socket may be readable and reports false to wait for more.
func (r *reader) attempt(fd uintptr) bool {
	buf := readBuffers.Get().(*readBuffer)
	n, again, err := sysRead(fd, buf[:])
	if again {
		readBuffers.Put(buf)
		return false
	}
	r.buf, r.n = buf, max(n, 0)
	switch {
	case err != nil:
		r.err = os.NewSyscallError("read", err)
	case n == 0:
		r.err = io.EOF
	}
	return true
}
