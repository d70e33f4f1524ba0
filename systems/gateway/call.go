package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/hubbub-go/hubbub"
)

// callError is why a call of a hub has failed, for those who wait for it.
type callError struct {
	status int // of HTTP
	text   string
	err    error
}

func (e *callError) Error() string { return e.text }
func (e *callError) Unwrap() error { return e.err }

// call calls the method of a route and counts it. Its error is a *callError.
func (h *hubEntry) call(ctx context.Context, r *hubRoute, args []json.RawMessage) (json.RawMessage, error) {
	result, err := h.invoke(ctx, r, args)
	if err == nil {
		h.g.metrics.calls.WithLabelValues(h.key, r.key, "200").Inc()
		return result, nil
	}
	if ctx.Err() != nil {
		h.g.metrics.calls.WithLabelValues(h.key, r.key, "canceled").Inc()
		return nil, failedCall(err)
	}
	failed := failedCall(err)
	h.g.metrics.calls.WithLabelValues(h.key, r.key, strconv.Itoa(failed.status)).Inc()
	h.g.config.Logger.WarnContext(ctx, "gateway: call of a hub failed", "hub", h.key, "route", r.key, "error", err)
	return nil, failed
}

// failedCall returns what those hear who wait for a call.
func failedCall(err error) *callError {
	answer, answered := errors.AsType[*hubbub.Error](err)
	switch {
	case answered:
		return &callError{502, answer.Message, err}
	case errors.Is(err, errNotStarted):
		return &callError{503, "The gateway has not been started.", err}
	case errors.Is(err, errGone):
		return &callError{503, "The hub or the route is gone.", err}
	case errors.Is(err, errBusy):
		return &callError{503, "Too many calls wait for the hub.", err}
	case errors.Is(err, errDown), errors.Is(err, hubbub.ErrNotConnected):
		return &callError{503, "The hub is not connected.", err}
	case errors.Is(err, context.DeadlineExceeded):
		return &callError{504, "The hub has not answered in time. Whether it runs the call is not known.", err}
	case errors.Is(err, hubbub.ErrConnectionLost), errors.Is(err, hubbub.ErrClosed):
		return &callError{502, "The connection to the hub was lost before its answer. Whether it has run the call is not known.", err}
	}
	return &callError{502, "The hub could not be called. The log says why.", err}
}

// invoke calls the method of a route. A call that has found its connection on its way out takes the one that came after.
func (h *hubEntry) invoke(ctx context.Context, r *hubRoute, args []json.RawMessage) (json.RawMessage, error) {
	for {
		if h.link == nil {
			return nil, errNotStarted
		}
		result, err := h.link.invoke(ctx, h, r.InvokeMethod, args)
		if !errors.Is(err, errGone) {
			return result, err
		}
		now := h.g.table().hubOf(h.key)
		if now == nil || now.link == h.link || now.route(r.key) == nil {
			return nil, err
		}
		h, r = now, now.route(r.key)
	}
}
