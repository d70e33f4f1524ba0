// Package otlp sends the spans of the program to a collector, over OTLP/HTTP with JSON. It does without the exporters of OpenTelemetry,
// which link gRPC and switch the linker's dead-code elimination off.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Config says where spans go. Zero fields have the default of their comment.
type Config struct {
	// Endpoint of a collector, http://host:4318 or https://…; spans are posted to /v1/traces below it. Needed.
	Endpoint string
	// Header is sent with every request, such as Authorization.
	Header map[string]string
	// Service is the attribute service.name. Default hubbub.
	Service string
	// Version is the attribute service.version. Default: none.
	Version string
	// Ratio is how many of the traces that begin here are kept, more than 0 and at most 1. Those that a client has begun are kept if
	// it says so. Default 1.
	Ratio float64
	// Timeout bounds one sending with its tries. Default 10 s.
	Timeout time.Duration
	// Client sends. Default: one of its own.
	Client *http.Client
	// Logger hears of spans that could not be sent. Default slog.Default().
	Logger *slog.Logger

	name string // of the address that spans are posted to, without a password
}

func (c *Config) setDefaults() error {
	u, err := url.Parse(c.Endpoint)
	if err != nil { // which has the text, and so perhaps a password
		return errors.New("endpoint is no address, want http://host:port or https://host:port")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("endpoint %q, want http://host:port or https://host:port", u.Redacted())
	}
	c.name = strings.TrimSuffix(u.Redacted(), "/") + "/v1/traces"
	if c.Ratio < 0 || c.Ratio > 1 {
		return fmt.Errorf("ratio %v, want more than 0 and at most 1", c.Ratio)
	}
	if c.Service == "" {
		c.Service = "hubbub"
	}
	if c.Ratio == 0 {
		c.Ratio = 1
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// Provider returns a tracer provider that sends what ends, each second or as many as 512 spans together. It does not block for the
// collector: while that is away at most 2,048 spans wait, and newer ones are lost. Its Shutdown sends what is left, and blocks for that or
// until its context ends.
func Provider(c Config) (*sdk.TracerProvider, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	about := []attribute.KeyValue{attribute.String("service.name", c.Service)}
	if c.Version != "" {
		about = append(about, attribute.String("service.version", c.Version))
	}
	e := &exporter{config: c, url: strings.TrimSuffix(c.Endpoint, "/") + "/v1/traces", client: c.Client}
	if e.client == nil {
		e.own = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 2, IdleConnTimeout: time.Minute}
		e.client = &http.Client{Transport: e.own, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return sdk.NewTracerProvider(
		sdk.WithResource(resource.NewSchemaless(about...)),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Ratio))),
		sdk.WithBatcher(e, sdk.WithBatchTimeout(time.Second), sdk.WithExportTimeout(c.Timeout)),
	), nil
}

// Start makes a [Provider] the one of the whole process, which can be done once, with the headers of W3C Trace Context between processes. It
// returns the provider's Shutdown.
func Start(c Config) (stop func(context.Context) error, err error) {
	p, err := Provider(c)
	if err != nil {
		return nil, err
	}
	otel.SetTracerProvider(p)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return p.Shutdown, nil
}
