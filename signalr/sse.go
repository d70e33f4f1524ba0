package signalr

import (
	"net/http"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/sse"
)

// serveEvents carries a connection to the client as an event stream, until one of the two ends
// (TransportProtocols.md, "Server-Sent Events").
func (e *endpoint) serveEvents(w http.ResponseWriter, r *http.Request) {
	c := e.bindTransport(w, r, ServerSentEvents)
	if c == nil {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache,no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Encoding", "identity")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	c.app.start()
	defer c.remove()
	out := sse.NewWriter(w, c.sendTimeout())
	err := out.Send([]byte(sse.Comment))
	var buf []byte
	for err == nil {
		var more bool
		over := c.out.Closed() // before looking, or the last words could come in between
		buf, more = fill(c.out, buf[:0], 16<<10)
		if len(buf) > 0 {
			err = out.Send(buf)
			if cap(buf) > 64<<10 {
				buf = nil
			}
			continue
		}
		if !more && over {
			return // everything has been said
		}
		buf = nil
		select {
		case <-c.wakeup:
		case <-r.Context().Done():
			err = r.Context().Err()
		}
	}
	reason := error(nil)
	if sse.Late(err) {
		reason = hubbub.ErrSlow
	}
	c.app.lost(reason)
	c.finish(1000, true)
}

// bindTransport finds or makes the connection for the GET of an event stream or the first poll, or answers why not. The
// result belongs to this request alone.
func (e *endpoint) bindTransport(w http.ResponseWriter, r *http.Request, t Transport) *connection {
	tok, path := connectionTokenOf(r), endpointPath(r.URL.Path)
	if tok == "" {
		answer(w, http.StatusBadRequest, textIDRequired)
		return nil
	}
	c, tk, pending := e.lookup(tok, path)
	if c == nil && !pending {
		answer(w, http.StatusNotFound, textNoConnection)
		return nil
	}
	if e.opts.Transports&t == 0 {
		answer(w, http.StatusNotFound, t.String()+textNoTransport)
		return nil
	}
	if c != nil {
		if c.transport != t {
			answer(w, http.StatusBadRequest, textOtherTranport)
		} else {
			answer(w, http.StatusConflict, "")
		}
		return nil
	}
	user := hubbub.UserFrom(r.Context())
	if !e.opts.AllowUserChanges && userHash(user) != tk.user {
		answer(w, http.StatusForbidden, textUserChanged)
		return nil
	}
	if e.stopping() {
		answer(w, http.StatusServiceUnavailable, "")
		return nil
	}
	c = e.newConnection(t, snapshot(r, t), user)
	c.bind(tok, path, &tk)
	c.begin()
	if !e.add(c) {
		answer(w, http.StatusConflict, "") // another request with the same token was faster
		return nil
	}
	return c
}
