package signalr

import (
	"io"
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub"
)

// Limits of the POSTs to one connection: how many may wait for each other, since clients send one at a time, and how long a body
// may take.
const (
	maximumPosts = 64
	postTimeout  = time.Minute
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
	defer c.posts.Add(-1)
	if c.posts.Add(1) > maximumPosts {
		answer(w, http.StatusServiceUnavailable, "")
		return
	}
	c.feed.Lock()
	defer c.feed.Unlock()
	if c.isFinished() {
		answer(w, http.StatusNotFound, "")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(postTimeout)) // net/http takes it back for the next request
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
