package signalr

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/hubbub-go/hubbub"
)

// change is a credential that may replace that of a connection: what it found there, and what would stand there.
type change struct {
	before  *hubbub.User
	until   time.Time
	user    *hubbub.User
	expires time.Time
}

// weigh compares a credential that came with a request with that of the connection. ok is false if there is nothing new, or
// if it ends earlier than the one that is there.
func (c *connection) weigh(user *hubbub.User) (ch change, ok bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	ch = change{before: c.user, until: c.expires, user: user, expires: c.ep.expiry(user, now)}
	if c.user == nil || user == nil {
		return ch, false
	}
	if ch.stale() {
		return ch, false
	}
	// A cap moves with every request; only the credential itself says whether anything is new.
	same := c.user.Expires.Equal(user.Expires) && reflect.DeepEqual(c.user.Claims, user.Claims)
	return ch, !same
}

// stale reports whether the new credential ends before the old one.
func (ch change) stale() bool {
	return !ch.until.IsZero() && !ch.expires.IsZero() && ch.expires.Before(ch.until)
}

// decide asks the application about a change.
func (e *endpoint) decide(r *http.Request, c *connection, ch change) (accepted bool, err error) {
	id := ""
	if c != nil {
		id = c.id
	}
	return e.ask(r, id, ch)
}

func (e *endpoint) ask(r *http.Request, id string, ch change) (accepted bool, err error) {
	if e.opts.OnAuthenticationRefresh == nil {
		return true, nil
	}
	defer func() {
		if v := recover(); v != nil {
			accepted, err = false, fmt.Errorf("panic in OnAuthenticationRefresh: %v", v)
		}
	}()
	accepted, err = e.opts.OnAuthenticationRefresh(context.WithoutCancel(r.Context()), Refresh{
		Request: r, ConnectionID: id, Previous: ch.before, New: ch.user, Expires: ch.expires,
	})
	return accepted && err == nil, err
}

// apply replaces the credential, unless it has changed since it was weighed. With event the hub hears of it, otherwise only
// the expiry counts.
func (c *connection) apply(ch change, event bool) bool {
	c.mu.Lock()
	if c.user != ch.before || !c.expires.Equal(ch.until) {
		c.mu.Unlock()
		return false
	}
	c.expires = ch.expires
	if event {
		c.user = ch.user
	}
	c.mu.Unlock()
	if event {
		c.app.refreshed(ch.user)
	}
	return true
}

// refuseRefresh answers a request whose change was refused.
func refuseRefresh(w http.ResponseWriter, err error) {
	if err != nil {
		answerBare(w, http.StatusInternalServerError, "")
		return
	}
	refreshError(w, http.StatusForbidden, "permission_change_rejected")
}

func refreshError(w http.ResponseWriter, status int, code string) {
	answerJSON(w, status, []byte(`{"error":"`+code+`"}`))
}

// tokenHeader carries the connection token of a refresh.
const tokenHeader = "X-SignalR-Connection-Token"

// serveRefresh answers POST {path}/refresh: the credential of the request replaces that of the connection (.NET 11).
func (e *endpoint) serveRefresh(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		answer(w, http.StatusMethodNotAllowed, "")
		return
	}
	tok := r.Header.Get(tokenHeader)
	if tok == "" {
		refreshError(w, http.StatusBadRequest, "missing_connection_token")
		return
	}
	c, t, pending := e.lookup(tok, endpointPath(r.URL.Path))
	user := hubbub.UserFrom(r.Context())
	switch {
	case c == nil && !pending, c != nil && c.isFinished():
		refreshError(w, http.StatusNotFound, "connection_not_found")
		return
	case pending && t.version < 1, c != nil && c.version < 1:
		refreshError(w, http.StatusBadRequest, "unsupported_negotiate_version")
		return
	case pending && userHash(user) != t.user, c != nil && !c.currentUser().Same(user):
		refreshError(w, http.StatusForbidden, "user_changed")
		return
	case pending:
		e.refreshPending(w, r, &t, user)
		return
	}
	now := time.Now()
	c.mu.Lock()
	ch := change{before: c.user, until: c.expires, user: user, expires: e.expiry(user, now)}
	c.mu.Unlock()
	if !ch.stale() {
		if accepted, err := e.decide(r, c, ch); !accepted {
			refuseRefresh(w, err)
			return
		}
		c.apply(ch, true)
	}
	answerLifetime(w, lifetimeSeconds(ch.expires, now)) // its own, even if it ends before the one that stays
}

// refreshPending answers for a connection that has no transport yet: there is nothing to replace, since the credential of the
// first request of the transport becomes that of the connection.
func (e *endpoint) refreshPending(w http.ResponseWriter, r *http.Request, t *token, user *hubbub.User) {
	now := time.Now()
	ch := change{before: user, user: user, expires: e.expiry(user, now)}
	if accepted, err := e.ask(r, t.connectionID(), ch); !accepted {
		refuseRefresh(w, err)
		return
	}
	answerLifetime(w, lifetimeSeconds(ch.expires, now))
}

func answerLifetime(w http.ResponseWriter, seconds int64) {
	body := "{}"
	if seconds > 0 {
		body = fmt.Sprintf(`{"tokenLifetimeSeconds":%d}`, seconds)
	}
	answerJSON(w, http.StatusOK, []byte(body))
}
