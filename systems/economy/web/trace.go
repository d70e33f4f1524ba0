package web

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var (
	tracer       = otel.Tracer("github.com/hubbub-go/hubbub/systems/economy/web")
	traceContext propagation.TraceContext
)

// traced serves requests of a pattern in a span: of the trace that the client's header traceparent names, or of a new one. Names
// are those of OpenTelemetry's conventions for HTTP.
func traced(pattern string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(traceContext.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), pattern, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		if span.SpanContext().IsValid() {
			r = r.WithContext(ctx)
		}
		if !span.IsRecording() {
			h(w, r)
			return
		}
		_, route, _ := strings.Cut(pattern, " ")
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", route),
			attribute.String("url.path", r.URL.Path), attribute.String("url.scheme", scheme))
		status := &statusWriter{ResponseWriter: w, code: http.StatusOK}
		h(status, r)
		span.SetAttributes(attribute.Int("http.response.status_code", status.code))
		if status.code >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	}
}

// statusWriter notes the status of a response.
type statusWriter struct {
	http.ResponseWriter
	code    int
	written bool
}

// WriteHeader notes the first final status.
func (w *statusWriter) WriteHeader(code int) {
	if !w.written && code >= http.StatusOK {
		w.code, w.written = code, true
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write begins the response.
func (w *statusWriter) Write(p []byte) (int, error) {
	w.written = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
