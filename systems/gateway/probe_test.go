package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// hosts is a transport to services that exist in name only.
type hosts struct {
	mu     sync.Mutex
	status map[string]int // of each host; 0 does not answer, -1 breaks off
	checks map[string]int
	asked  http.Header // of the last check
}

func (h *hosts) set(host string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status[host] = status
}

// checked returns how often a host was checked.
func (h *hosts) checked(host string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.checks[host]
}

func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	status := h.status[r.URL.Host]
	if strings.HasPrefix(r.URL.Path, "/v1/health") {
		h.checks[r.URL.Host]++
		h.asked = r.Header
	} else {
		status = 200 // only checks tell
	}
	h.mu.Unlock()
	switch status {
	case 0:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case -1:
		return nil, errors.New("reset")
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(r.URL.Host)), Request: r}, nil
}

// TestChecks: an address that fails its checks is passed over, however the service is balanced, and comes back when enough are good.
func TestChecks(t *testing.T) {
	t.Parallel()
	for _, how := range []gateway.Balance{gateway.Random, gateway.RoundRobin, gateway.LeastPending} {
		for name, broken := range map[string]int{"status": 500, "redirect": 302, "silent": 0, "reset": -1} {
			t.Run(fmt.Sprint(how, " ", name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { testChecks(t, how, broken) })
			})
		}
	}
}

func testChecks(t *testing.T, how gateway.Balance, broken int) {
	h := &hosts{status: map[string]int{"a.example": 200, "b.example": 204}, checks: make(map[string]int)}
	g := gateway.New(gateway.Config{NoGatewayHub: true, Logger: slog.New(slog.DiscardHandler)})
	g.AddAPI("s", gateway.API{BaseURLs: []string{"http://a.example/v1", "http://b.example/v1/"}, Transport: h, Balance: how, Header: http.Header{"X-Key": {"k"}},
		Check: gateway.HealthCheck{Path: "/health?deep=1", Interval: time.Second, Timeout: 100 * time.Millisecond}}).AddRoute("r", gateway.Route{})
	spread := func() map[string]int {
		n := make(map[string]int)
		for range 40 {
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/api/gateway/s/r", nil))
			n[w.Body.String()]++
		}
		return n
	}
	if synctest.Wait(); h.checked("a.example") != 0 {
		t.Errorf("before the start: %d checks", h.checked("a.example"))
	}
	if err := g.Start(); err != nil {
		t.Fatal(err)
	}
	up := func() [2]bool {
		b := g.APIHealth()[0].Backends
		return [2]bool{b[0].Up, b[1].Up}
	}
	synctest.Wait()
	if h.checked("a.example") != 1 || h.checked("b.example") != 1 || h.asked.Get("X-Key") != "k" {
		t.Errorf("at once: %d and %d checks with headers %v", h.checked("a.example"), h.checked("b.example"), h.asked)
	}
	after := func(n time.Duration) { // n checks later
		time.Sleep(n * time.Second)
		synctest.Wait()
	}
	h.set("a.example", broken)
	after(2)
	time.Sleep(500 * time.Millisecond) // past the silent ones
	if up() != [2]bool{true, true} {
		t.Errorf("after two of three failures: %v, want both up", up())
	}
	after(1)
	if b := g.APIHealth()[0].Backends[0]; up() != [2]bool{false, true} || b.Err == nil || b.URL != "http://a.example/v1" {
		t.Errorf("after three failures: %v, %+v, want the first down and why", up(), b)
	}
	if n := spread(); n["b.example"] != 40 {
		t.Errorf("with one down: %v, want all at the other", n)
	}
	h.set("a.example", 200)
	after(1)
	if up() != [2]bool{false, true} {
		t.Errorf("after one of two successes: %v, want the first down", up())
	}
	after(1)
	if b := g.APIHealth()[0].Backends[0]; up() != [2]bool{true, true} || b.Err != nil {
		t.Errorf("after two successes: %v, error %v, want both up", up(), b.Err)
	}
	if n := spread(); n["a.example"] == 0 || n["b.example"] == 0 {
		t.Errorf("with both up again: %v", n)
	}
	h.set("a.example", broken)
	h.set("b.example", broken)
	after(4)
	if n := spread(); up() != [2]bool{} || n["a.example"] == 0 || n["b.example"] == 0 {
		t.Errorf("with none up: %v, %v, want both tried", up(), n)
	}
	if err := g.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	n := h.checked("a.example")
	after(10)
	if got := h.checked("a.example"); got != n {
		t.Errorf("%d checks after Close", got-n)
	}
}

// TestChecksAndReload: checks go on over a reload that changes nothing of them, with what they know; others end with their service.
func TestChecksAndReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hosts{status: map[string]int{"a.example": 500}, checks: make(map[string]int)}
		g := gateway.New(gateway.Config{NoGatewayHub: true, Logger: slog.New(slog.DiscardHandler)})
		defer g.Close(context.Background())
		api := gateway.API{BaseURLs: []string{"http://a.example/v1"}, Transport: h, Check: gateway.HealthCheck{Path: "health", Interval: time.Second, Failures: 2}}
		g.AddAPI("s", api).AddRoute("r", gateway.Route{})
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		reload := func(api gateway.API) {
			var next gateway.Routes
			next.AddAPI("s", api).AddRoute("other", gateway.Route{})
			if err := g.Reload(&next); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(1500 * time.Millisecond)
		reload(api)
		synctest.Wait()
		if n := h.checked("a.example"); n != 2 || g.APIHealth()[0].Backends[0].Up {
			t.Errorf("after the reload: %d checks, health %+v, want 2 and not up", n, g.APIHealth())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := h.checked("a.example"); n != 3 {
			t.Errorf("a second later: %d checks, want 3", n)
		}
		api.Check = gateway.HealthCheck{}
		reload(api)
		time.Sleep(time.Minute)
		if n := h.checked("a.example"); n != 3 || !g.APIHealth()[0].Backends[0].Up {
			t.Errorf("without checks: %d checks, health %+v, want 3 and up", n, g.APIHealth())
		}
	})
}

// TestChecksAreMeasured: the metrics tell which addresses are up.
func TestChecksAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hosts{status: map[string]int{"a.example": 500, "b.example": 200}, checks: make(map[string]int)}
		g := gateway.New(gateway.Config{NoGatewayHub: true, Logger: slog.New(slog.DiscardHandler)})
		defer g.Close(context.Background())
		g.AddAPI("s", gateway.API{BaseURLs: []string{"http://me:secret@a.example/v1", "http://b.example/v1", "http://b.example/v1/"}, Transport: h,
			Check: gateway.HealthCheck{Path: "health", Failures: 1}})
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		registry := prometheus.NewRegistry()
		if err := registry.Register(g); err != nil {
			t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, f := range families {
			if f.GetName() == "hubbub_gateway_backend_up" {
				for _, m := range f.GetMetric() {
					got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
		if len(got) != 2 || got["http://b.example/v1"] != 1 || got["http://me:xxxxx@a.example/v1"] != 0 {
			t.Errorf("up: %v, want two addresses without the password", got)
		}
	})
}
