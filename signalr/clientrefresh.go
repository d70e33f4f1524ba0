package signalr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"time"
)

// RefreshAuthentication replaces the credential of the connection by a new one of [ClientOptions.Token] (.NET 11), and returns
// the new lifetime, 0 if the server told none. It blocks until the server has answered.
func (c *Client) RefreshAuthentication(ctx context.Context) (time.Duration, error) {
	c.d.mu.Lock()
	conn := c.d.current
	c.d.mu.Unlock()
	if conn == nil || conn.ctx.Err() != nil {
		return 0, errors.New("refresh authentication: the connection is not active")
	}
	lifetime, err := conn.refresh(ctx)
	if err == nil {
		conn.scheduleRefresh(lifetime)
	}
	conn.tell(lifetime, err)
	return lifetime, err
}

// tell says to the application how a refresh went.
func (c *clientConn) tell(lifetime time.Duration, err error) {
	switch o := &c.d.opts; {
	case err != nil && o.OnAuthenticationRefreshFailed != nil:
		o.OnAuthenticationRefreshFailed(err)
	case err == nil && o.OnAuthenticationRefreshed != nil:
		o.OnAuthenticationRefreshed(lifetime)
	}
}

// refresh does one refresh. The address is the one that the user gave, also after a redirection.
func (c *clientConn) refresh(ctx context.Context) (time.Duration, error) {
	if c.d.opts.SkipNegotiation {
		return 0, errors.New("refresh authentication: the connection was not negotiated")
	}
	fresh := &negotiation{url: c.d.url}
	if err := c.d.authorize(ctx, fresh); err != nil {
		return 0, fmt.Errorf("refresh authentication: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, below(c.d.url, "/refresh").String(), nil)
	if err != nil {
		return 0, err
	}
	req.Header = c.d.header(fresh)
	req.Header.Set(tokenHeader, c.n.token)
	res, err := c.d.send(req)
	if err != nil {
		return 0, fmt.Errorf("refresh authentication: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return 0, fmt.Errorf("refresh authentication: %w", httpError("refresh", res))
	}
	var a struct {
		TokenLifetimeSeconds json.RawMessage `json:"tokenLifetimeSeconds"`
		AccessToken          string          `json:"accessToken"`
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		return 0, fmt.Errorf("refresh authentication: invalid answer: %w", err)
	}
	if a.AccessToken != "" {
		c.n.setCredential(a.AccessToken, true)
	} else {
		c.n.setCredential(fresh.credential(), false)
	}
	var seconds float64
	_ = json.Unmarshal(a.TokenLifetimeSeconds, &seconds) // anything else counts as missing
	if seconds <= 0 || seconds != math.Trunc(seconds) || seconds > math.MaxInt32 {
		return 0, nil
	}
	return time.Duration(seconds) * time.Second, nil
}

// refreshAfter is when a credential of that lifetime is refreshed: before its end, or half-way if it is short, and a little
// earlier for some than for others.
func refreshAfter(lifetime, before time.Duration) time.Duration {
	wait := lifetime / 2
	if lifetime > 2*before {
		wait = lifetime - before
	}
	return wait - time.Duration(rand.Float64()*0.1*float64(wait))
}

// scheduleRefresh refreshes the credential by itself, again and again, until the connection ends. It replaces what was scheduled
// before; a lifetime of 0 schedules nothing.
func (c *clientConn) scheduleRefresh(lifetime time.Duration) {
	c.freshMu.Lock()
	defer c.freshMu.Unlock()
	if c.stopFresh != nil {
		c.stopFresh()
	}
	if c.ctx.Err() != nil || lifetime <= 0 || c.d.opts.DisableAuthenticationRefresh || c.d.opts.SkipNegotiation {
		return
	}
	ctx, stop := context.WithCancel(c.ctx)
	c.stopFresh = stop
	c.fresh.Go(func() {
		defer stop()
		c.keepFresh(ctx, lifetime)
	})
}

// awaitFresh waits for what was scheduled before the end of the connection. After it nothing is.
func (c *clientConn) awaitFresh() {
	c.freshMu.Lock()
	stop := c.stopFresh
	c.freshMu.Unlock()
	if stop != nil {
		stop()
	}
	c.fresh.Wait()
}

func (c *clientConn) keepFresh(ctx context.Context, lifetime time.Duration) {
	expires := time.Now().Add(lifetime)
	wait := refreshAfter(lifetime, c.d.opts.RefreshBeforeExpiration)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		next, err := c.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		c.tell(next, err)
		var refused *HTTPError
		switch {
		case err == nil && next <= 0:
			return
		case err == nil:
			expires = time.Now().Add(next)
			wait = refreshAfter(next, c.d.opts.RefreshBeforeExpiration)
		case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
			return // the server does not do it
		default: // what is left is shared by a few more attempts
			if wait = time.Until(expires) / 4; wait < 100*time.Millisecond {
				return
			}
		}
	}
}
