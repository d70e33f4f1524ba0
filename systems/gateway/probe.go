package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HealthCheck asks each address of a service from time to time whether it is well, so that one that is not is passed over before a
// request has to find out. Zero fields, but Path, have the default of their comment.
type HealthCheck struct {
	// Path is what is asked for, with GET, below each address; it may have a query. An answer with a status from 200 to 299 is good,
	// redirects are not followed. Default none, which means that there are no checks: an address that cannot be reached is passed over
	// for 5 s.
	Path string
	// Interval is the time from one check of an address to the next. Default 10 s.
	Interval time.Duration
	// Timeout bounds one check. Default 2 s.
	Timeout time.Duration
	// Failures is how many checks have to fail, one after the other, until the address is passed over. Default 3.
	Failures int
	// Successes is how many have to be good, one after the other, until it is not any more. Default 2.
	Successes int
}

func (c *HealthCheck) check() error {
	if c.Path == "" {
		if *c != (HealthCheck{}) {
			return errors.New("a health check has no Path, want one")
		}
		return nil
	}
	if _, err := url.Parse("/" + strings.TrimLeft(c.Path, "/")); err != nil || strings.Contains(c.Path, "#") {
		return fmt.Errorf("path %q of the health check, want one below the address", c.Path)
	}
	return nil
}

func (c *HealthCheck) setDefaults() {
	positive(&c.Interval, 10*time.Second)
	positive(&c.Timeout, 2*time.Second)
	positive(&c.Failures, 3)
	positive(&c.Successes, 2)
}

// prober runs the checks of a service.
type prober struct {
	key       string
	check     HealthCheck
	header    http.Header
	transport http.RoundTripper
	balancer  *balancer
	log       *slog.Logger
}

// run checks one address until ctx ends.
func (p *prober) run(ctx context.Context, x *backend) {
	tick := time.NewTicker(p.check.Interval)
	defer tick.Stop()
	down, same := false, 0 // checks in a row that speak against down
	for {
		err := p.ask(ctx, x.url)
		if ctx.Err() != nil {
			return
		}
		if (err == nil) == down {
			same++
		} else {
			same = 0
		}
		if (down && same >= p.check.Successes) || (!down && same >= p.check.Failures) {
			down, same = !down, 0
		}
		if p.balancer.checked(x, err, down) {
			if down {
				p.log.Warn("gateway: address fails its checks", "api", p.key, "address", redacted(x.url), "error", err)
			} else {
				p.log.Info("gateway: address is well again", "api", p.key, "address", redacted(x.url))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// ask makes one check. Its error is what is wrong with the address.
func (p *prober) ask(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, p.check.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+strings.TrimLeft(p.check.Path, "/"), nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "hubbub-gateway")
	for name, values := range p.header {
		r.Header[name] = values
	}
	res, err := p.transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	defer res.Body.Close()
	if _, err := io.CopyN(io.Discard, res.Body, 64<<10); err != nil && !errors.Is(err, io.EOF) { // to the end, for the connection's sake
		return fmt.Errorf("check: read the answer: %w", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("check: status %d, want 200 to 299", res.StatusCode)
	}
	return nil
}

// begin starts the checks of a service, if it wants some and they do not run. The gateway calls it for each table in which the
// state is, with its lock held.
func (s *apiState) begin(g *Gateway, key string, a *API) {
	if a.Check.Path == "" || s.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(g.ctx)
	s.stop = cancel
	p := &prober{key: key, check: a.Check, header: a.Header, transport: s.transport, balancer: s.balancer, log: g.config.Logger}
	p.check.setDefaults()
	for _, x := range s.balancer.backends {
		g.links.Go(func() { p.run(ctx, x) })
	}
}

// collectBackends tells how the addresses of the services are. Two of a service that are the same count as one.
func (g *Gateway) collectBackends(out chan<- prometheus.Metric) {
	for _, a := range g.APIHealth() {
		seen := make(map[string]int)
		var each []BackendHealth
		for _, b := range a.Backends {
			if i, again := seen[b.URL]; again {
				each[i].Up, each[i].Pending = each[i].Up || b.Up, each[i].Pending+b.Pending
				continue
			}
			seen[b.URL] = len(each)
			each = append(each, b)
		}
		for _, b := range each {
			up := 0.0
			if b.Up {
				up = 1
			}
			out <- prometheus.MustNewConstMetric(backendUp, prometheus.GaugeValue, up, a.Key, b.URL)
			out <- prometheus.MustNewConstMetric(backendWait, prometheus.GaugeValue, float64(b.Pending), a.Key, b.URL)
		}
	}
}
