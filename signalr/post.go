package signalr

import (
	"io"
	"net/http"

	"github.com/hubbub-go/hubbub"
)

// existing finds the connection that a POST or DELETE is for, or answers why there is none. pending is true for a token whose
// connection has no transport yet.
func (e *endpoint) existing(w http.ResponseWriter, r *http.Request) (c *connection, pending bool) {
	tok := connectionTokenOf(r)
	if tok == "" {
		answer(w, http.StatusBadRequest, textIDRequired)
		return nil, false
	}
	c, t, pending := e.lookup(tok, endpointPath(r.URL.Path))
	if c == nil && !pending {
		answer(w, http.StatusNotFound, textNoConnection)
		return nil, false
	}
	if e.opts.AllowUserChanges {
		return c, pending
	}
	user := hubbub.UserFrom(r.Context())
	if (pending && userHash(user) != t.user) || (c != nil && !c.currentUser().Same(user)) {
		answer(w, http.StatusForbidden, textUserChanged)
		return nil, false
	}
	return c, pending
}

// servePost takes what a client of an event stream or Long Polling says. It answers when the bytes have been taken, not when
// the methods have run. A body is taken whole or not at all.
func (e *endpoint) servePost(w http.ResponseWriter, r *http.Request) {
	c, pending := e.existing(w, r)
	switch {
	case pending:
		answer(w, http.StatusBadRequest, "") // nobody there to hear it
		return
	case c == nil:
		return
	case c.transport == WebSockets:
		answer(w, http.StatusMethodNotAllowed, textPostWebSocket)
		return
	}
	c.feed.Lock()
	defer c.feed.Unlock()
	if c.isFinished() {
		answer(w, http.StatusNotFound, "")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, e.opts.MaximumPostSize))
	if err != nil {
		answer(w, http.StatusBadRequest, "")
		return
	}
	if c.isFinished() {
		answer(w, http.StatusNotFound, "")
		return
	}
	if err := c.app.receive(body); err != nil {
		c.app.fail(err)
	}
	answer(w, http.StatusOK, "")
}

// serveDelete ends a connection of Long Polling.
func (e *endpoint) serveDelete(w http.ResponseWriter, r *http.Request) {
	c, pending := e.existing(w, r)
	switch {
	case c == nil && !pending:
		return
	case pending || c.transport != LongPolling:
		answer(w, http.StatusBadRequest, textDelete)
		return
	}
	c.remove()
	c.app.gone()
	answer(w, http.StatusAccepted, "")
}
