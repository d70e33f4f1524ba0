package signalr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// once marks the context of a request that must not be sent again: net/http repeats a GET by itself when its connection breaks
// before the answer begins. For a poll that is silent loss, as the server may have put messages into the answer that broke.
type once struct{}

var errSentAgain = errors.New("the connection broke before the answer to a poll came: messages may be lost")

// send sends a request and waits for the begin of its answer. All of the answer must have come within RequestTimeout. Whoever
// gets it closes its body.
func (d *dialer) send(req *http.Request) (*http.Response, error) {
	outer := req.Context()
	ctx, cancel := context.WithCancelCause(outer)
	timer := time.AfterFunc(d.opts.RequestTimeout, func() {
		cancel(fmt.Errorf("no answer within %v: %w", d.opts.RequestTimeout, ErrServerTimeout))
	})
	end := func() {
		timer.Stop()
		cancel(nil)
	}
	why := func(err error) error {
		if cause := context.Cause(ctx); err != nil && err != io.EOF && cause != nil && outer.Err() == nil {
			return fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, cause)
		}
		return err
	}
	if outer.Value(once{}) != nil {
		ctx = onlyOnce(ctx, cancel)
	}
	res, err := d.http.Do(req.WithContext(ctx))
	if err != nil {
		err = why(err)
		end()
		return nil, err
	}
	res.Body = &boundBody{ReadCloser: res.Body, why: why, end: end}
	return res, nil
}

// onlyOnce cancels a request that was written and gets another connection.
func onlyOnce(ctx context.Context, cancel context.CancelCauseFunc) context.Context {
	var written atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { written.Store(true) },
		GotFirstResponseByte: func() { written.Store(false) }, // a redirection may follow
		GotConn: func(httptrace.GotConnInfo) {
			if written.Load() {
				cancel(errSentAgain)
			}
		},
	})
}

// boundBody is the body of an answer that has a time limit.
type boundBody struct {
	io.ReadCloser
	why func(error) error
	end func()
}

// Read implements io.Reader.
func (b *boundBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	return n, b.why(err)
}

// Close implements io.Closer.
func (b *boundBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
