package signalr

import (
	"net/http"
	"strconv"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/sse"
)

// pollBytes is about how much one poll carries.
const pollBytes = 64 << 10

// poll is one running GET of Long Polling.
type poll struct {
	superseded chan struct{} // closed by a newer poll
	done       chan struct{} // closed when it has answered
}

// servePoll answers a GET of Long Polling (TransportProtocols.md, "Long Polling").
func (e *endpoint) servePoll(w http.ResponseWriter, r *http.Request) {
	noCache(w)
	tok := connectionTokenOf(r)
	var c *connection
	if tok != "" && e.opts.Transports&LongPolling != 0 {
		c, _, _ = e.lookup(tok, endpointPath(r.URL.Path))
	}
	if c == nil || c.transport != LongPolling {
		e.firstPoll(w, r)
		return
	}
	user := hubbub.UserFrom(r.Context())
	if !e.opts.AllowUserChanges && !c.currentUser().Same(user) {
		if e.opts.EnableAuthenticationRefresh {
			answerJSON(w, http.StatusConflict, []byte(`{"error":"authentication_refresh_required"}`))
		} else {
			answer(w, http.StatusForbidden, textUserChanged)
		}
		return
	}
	if !c.renew(w, r, user) {
		return
	}
	p := c.startPoll()
	if p == nil {
		answer(w, http.StatusConflict, "")
		return
	}
	defer c.endPoll(p)
	c.carry(w, r, p)
}

// firstPoll binds the transport and answers at once, so that the client knows that it works.
func (e *endpoint) firstPoll(w http.ResponseWriter, r *http.Request) {
	c := e.bindTransport(w, r, LongPolling)
	if c == nil {
		return
	}
	c.mu.Lock()
	c.inactive = time.Now()
	c.mu.Unlock()
	c.app.start()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// renew takes the expiry, and with authentication refresh the claims, that a poll brings along. It reports false if it has
// answered the poll.
func (c *connection) renew(w http.ResponseWriter, r *http.Request, user *hubbub.User) bool {
	change, ok := c.weigh(user)
	if !ok {
		return true
	}
	refresh := c.ep.opts.EnableAuthenticationRefresh
	if refresh {
		if accepted, err := c.ep.decide(r, c, change); !accepted {
			refuseRefresh(w, err)
			c.app.lost(nil)
			c.finish(1000, true)
			c.remove()
			return false
		}
	}
	c.apply(change, refresh)
	return true
}

// startPoll makes this the running poll, after the one before has ended. It returns nil if yet another was faster.
func (c *connection) startPoll() *poll {
	p := &poll{superseded: make(chan struct{}), done: make(chan struct{})}
	c.mu.Lock()
	if old := c.poll; old != nil {
		select {
		case <-old.superseded:
			c.mu.Unlock()
			return nil // somebody waits for its end already
		default:
			close(old.superseded)
		}
		c.mu.Unlock()
		<-old.done
		c.mu.Lock()
		if c.poll != nil {
			c.mu.Unlock()
			return nil
		}
	}
	defer c.mu.Unlock()
	c.poll = p
	c.inactive = time.Time{}
	return p
}

func (c *connection) endPoll(p *poll) {
	c.mu.Lock()
	c.poll = nil
	c.inactive = time.Now()
	c.mu.Unlock()
	close(p.done)
}

// cutPoll ends a running poll of a connection that was given up.
func (c *connection) cutPoll() { c.wake() }

// carry waits for something to say, or a reason to end the poll.
func (c *connection) carry(w http.ResponseWriter, r *http.Request, p *poll) {
	timeout := time.NewTimer(c.ep.opts.PollTimeout)
	defer timeout.Stop()
	out := sse.NewWriter(w, c.sendTimeout())
	for {
		over := c.out.Closed() // before looking, or the last words could come in between
		body, _ := fill(c.out, nil, pollBytes)
		if len(body) > 0 {
			h := w.Header()
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Content-Length", strconv.Itoa(len(body)))
			if err := out.Send(body); err != nil {
				c.app.lost(nil)
				c.finish(1000, true)
				c.remove()
			}
			return
		}
		if over {
			answer(w, http.StatusNoContent, "")
			c.remove()
			return
		}
		select {
		case <-c.wakeup:
		case <-timeout.C:
			answer(w, http.StatusOK, "")
			return
		case <-p.superseded:
			answer(w, http.StatusNoContent, "")
			return
		case <-r.Context().Done():
			return
		}
	}
}
