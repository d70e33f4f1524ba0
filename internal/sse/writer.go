package sse

import (
	"net/http"
	"time"
)

// Writer writes to the response of a request that lasts: at once, and not longer than a time limit. It is for one goroutine.
type Writer struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

// NewWriter returns a writer whose writes take timeout at most. It lifts the read deadline of the host, which is for ordinary
// requests.
func NewWriter(w http.ResponseWriter, timeout time.Duration) *Writer {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	return &Writer{w, rc, timeout}
}

// Send writes b, and blocks until it is out or the time is over.
func (o *Writer) Send(b []byte) error {
	_ = o.rc.SetWriteDeadline(time.Now().Add(o.timeout))
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	return o.flush()
}

// Flush sends what the response has so far, such as its header.
func (o *Writer) Flush() error {
	_ = o.rc.SetWriteDeadline(time.Now().Add(o.timeout))
	return o.flush()
}

func (o *Writer) flush() error {
	if err := o.rc.Flush(); err != nil {
		return err
	}
	_ = o.rc.SetWriteDeadline(time.Time{})
	return nil
}

// Late reports whether err says that a write took too long.
func Late(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
