package viewmodel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// subscribe is the action realtimesubscribetoevent. No column realtimehub, and one that is null, mean this server.
func (s *Set) subscribe(ctx context.Context, r *Run) error {
	guid, err := r.Text("eventguid")
	if err != nil {
		return err
	}
	if guid == "" {
		return errEmptyGUID
	}
	cookie, err := r.Text("eventcookie")
	if err != nil {
		return err
	}
	hub := ""
	if v, found := r.Column("realtimehub"); found && v != nil {
		if hub, err = r.Text("realtimehub"); err != nil {
			return err
		}
	}
	return s.events.Subscribe(ctx, hub, guid, cookie)
}

var errEmptyGUID = errors.New("column eventguid: is empty")

// trigger is the action RealtimeTriggerEvent. No listeners are no error.
func (s *Set) trigger(ctx context.Context, r *Run) error {
	guid, err := r.Text("eventguid")
	if err != nil {
		return err
	}
	if guid == "" {
		return errEmptyGUID
	}
	_, err = s.events.Trigger(ctx, guid)
	return err
}

// caller calls webhooks.
type caller struct{ client *http.Client }

// HeaderTicket is the header of a webhook's call with the id of its ticket, by which the other side knows a call that comes
// again because a process died. HeaderAttempt counts the runs of the ticket.
const (
	HeaderTicket  = "X-Hubbub-Ticket"
	HeaderAttempt = "X-Hubbub-Attempt"
)

func newCaller(transport http.RoundTripper, timeout time.Duration) *caller {
	return &caller{&http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// call is the action webhook: it posts the columns and the external id. Redirections are not followed.
func (c *caller) call(ctx context.Context, r *Run) error {
	address, err := r.Text("url")
	if err != nil {
		return err
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("column url: %q, want http://… or https://…", clip(address))
	}
	body := map[string]any{"externalid": r.Object.ID}
	for i, column := range r.model.columns {
		body[column.name] = r.values[i]
	}
	p, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the columns: %w", err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(p))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	if r.Ticket != "" {
		q.Header.Set(HeaderTicket, r.Ticket)
		q.Header.Set(HeaderAttempt, strconv.Itoa(r.Attempt))
	}
	resp, err := c.client.Do(q)
	if err != nil {
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil {
			return fmt.Errorf("no answer within %v", c.client.Timeout)
		}
		var failed *url.Error // its text has the whole address
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return fmt.Errorf("call: %w", err)
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the answer has status %d, want 2xx", resp.StatusCode)
	}
	return nil
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
