package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrTooLarge says that an event is larger than the reader takes.
var ErrTooLarge = errors.New("event of the stream is too large")

// Reader reads the events of a stream. It is for one goroutine.
type Reader struct {
	r   *bufio.Reader
	max int
	cr  bool // the last line ended with CR: an LF that follows belongs to it
}

// NewReader returns a reader of events with at most max bytes of data; 0 is no limit.
func NewReader(r io.Reader, max int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 4096), max: max}
}

// Next waits for the next event that has data and returns it, its lines joined by LF. Comments and all other fields are
// skipped. The data belongs to the caller. An event that the end of the stream cuts off is dropped, with the error of the end.
func (r *Reader) Next() ([]byte, error) {
	var data []byte
	has := false
	for {
		line, err := r.line(len(data))
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if has {
				return data, nil
			}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte{':'})
		if string(field) != "data" {
			continue
		}
		if has {
			data = append(data, '\n')
		}
		has = true
		data = append(data, bytes.TrimPrefix(value, []byte{' '})...)
	}
}

// line reads up to LF, CR LF or CR. have is how much of the event is there already.
func (r *Reader) line(have int) ([]byte, error) {
	var line []byte
	for {
		if r.r.Buffered() == 0 {
			if _, err := r.r.Peek(1); err != nil {
				return nil, err
			}
		}
		p, _ := r.r.Peek(r.r.Buffered())
		if r.cr {
			r.cr = false
			if p[0] == '\n' {
				r.r.Discard(1)
				continue
			}
		}
		if i := bytes.IndexAny(p, "\r\n"); i >= 0 {
			line = append(line, p[:i]...)
			r.cr = p[i] == '\r'
			r.r.Discard(i + 1)
			return line, r.check(have + len(line))
		}
		line = append(line, p...)
		r.r.Discard(len(p))
		if err := r.check(have + len(line)); err != nil {
			return nil, err
		}
	}
}

func (r *Reader) check(n int) error {
	if r.max > 0 && n > r.max+64 { // a field name and what stands around a message
		return ErrTooLarge
	}
	return nil
}
