package otlp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter is an [sdk.SpanExporter].
type exporter struct {
	config Config
	url    string
	client *http.Client
	own    *http.Transport // nil for a client of somebody else
}

// The pauses between tries, and how much of an answer is read.
const (
	firstPause    = 200 * time.Millisecond
	maximumAnswer = 64 << 10
)

// ExportSpans sends spans. It blocks until they are taken or refused, or ctx ends. It logs what is lost and returns no error, which would
// be logged a second time.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	if err := e.send(ctx, spans); err != nil {
		e.config.Logger.Warn("otlp: spans are lost", "spans", len(spans), "error", err)
	}
	return nil
}

// send posts spans until they are taken or refused, or the time is over.
func (e *exporter) send(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	body, err := encode(spans)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		wait, err := e.post(ctx, body)
		if err == nil || wait < 0 {
			return err
		}
		t := time.NewTimer(max(pause, wait))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// post sends once. With an error it returns how long to wait before another try, negative if none would help.
func (e *exporter) post(ctx context.Context, body []byte) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range e.config.Header {
		r.Header.Set(name, value)
	}
	res, err := e.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maximumAnswer))
	switch res.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		e.heed(answer)
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return time.Duration(max(seconds, 0)) * time.Second, fmt.Errorf("post %s: status %d", e.config.name, res.StatusCode)
	}
	if err != nil {
		return 0, fmt.Errorf("post %s: %w", e.config.name, err)
	}
	return -1, fmt.Errorf("post %s: status %d, want 200: %.200q", e.config.name, res.StatusCode, answer)
}

// heed logs what a collector says about spans that it did not take; sending them again would not help.
func (e *exporter) heed(answer []byte) {
	var said struct {
		PartialSuccess struct {
			RejectedSpans json.Number `json:"rejectedSpans"`
			ErrorMessage  string      `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return // in another form than ours
	}
	p := said.PartialSuccess
	if refused, err := p.RejectedSpans.Int64(); err == nil && refused > 0 || p.ErrorMessage != "" {
		e.config.Logger.Warn("otlp: the collector refused spans", "spans", refused, "because", p.ErrorMessage)
	}
}

// Shutdown closes idle connections.
func (e *exporter) Shutdown(context.Context) error {
	if e.own != nil {
		e.own.CloseIdleConnections()
	}
	return nil
}
