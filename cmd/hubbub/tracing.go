package main

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"github.com/hubbub-go/hubbub/cmd/hubbub/otlp"
)

// TracingConfig says where spans go.
type TracingConfig struct {
	Endpoint string            `yaml:"endpoint" secret:"url" doc:"Collector of OpenTelemetry that takes OTLP over HTTP as JSON, such as http://localhost:4318. Spans are posted to /v1/traces there. Empty: none are made."`
	Headers  map[string]string `yaml:"headers" secret:"true" doc:"Headers of those requests, such as Authorization."`
	Ratio    float64           `yaml:"ratio" doc:"How many of the traces that begin here are kept, more than 0 and at most 1. Those that a client begins are as it says."`
}

func (l *loaded) checkTracing() {
	c := &l.Tracing
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "") {
		l.set.Fault("tracing.endpoint", "is no address, want http://host:4318 or https://host:4318")
	}
	if c.Ratio <= 0 || c.Ratio > 1 {
		l.set.Fault("tracing.ratio", "is %v, want more than 0 and at most 1", c.Ratio)
	}
}

// traceSpans begins to send spans, if there is somebody to send them to. The function that it returns sends what is left.
func (s *server) traceSpans() (stop func(), err error) {
	c := &s.config.Tracing
	if c.Endpoint == "" {
		return func() {}, nil
	}
	end, err := otlp.Start(otlp.Config{
		Endpoint: c.Endpoint, Header: c.Headers, Service: cmp.Or(s.config.Economy.Only, "hubbub"), Version: version, Ratio: c.Ratio, Logger: s.log,
	})
	if err != nil {
		return nil, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := end(ctx); err != nil {
			s.log.Warn("tracing: send the last spans", "error", err)
		}
	}, nil
}
