package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/cmd/hubbub/bench"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/store"
)

// newEconomy is Play Economy, behind a handler that a test may put before it.
func newEconomy(t testing.TB, before func(h http.Handler) http.Handler) (url, data string) {
	data = t.TempDir()
	srv := httptest.NewUnstartedServer(nil)
	url = "http://" + srv.Listener.Addr().String()
	quiet := slog.New(slog.DiscardHandler)
	s, err := economy.Open(t.Context(), economy.Config{
		URL: url, Database: store.Config{Dir: data}, Bus: bus.Config{SyncInterval: time.Minute}, NoPortal: true, Logger: quiet,
		Identity: identity.Config{PasswordCost: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	if err := s.Mount(mux); err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = before(mux)
	srv.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, h := range s.Hubs() {
			_ = h.Shutdown(ctx, 0)
		}
		srv.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return url, data
}

func unchanged(h http.Handler) http.Handler { return h }

// bought runs the load and returns its report, which must have exactly the fields of the type.
func bought(t testing.TB, args ...string) (*bench.PurchaseReport, error) {
	t.Helper()
	out, log, err := command(t, append(append([]string{"purchases"}, args...), "--json")...)
	if out == "" {
		t.Fatalf("bench purchases %v: %v\n%s", args, err, log)
	}
	var r bench.PurchaseReport
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if problem := d.Decode(&r); problem != nil {
		t.Fatalf("bench purchases %v: report %v\n%s", args, problem, out)
	}
	return &r, err
}

// All purchases are completed and told once, and the books are right; a second load finds the players of the first.
func TestPurchases(t *testing.T) {
	t.Parallel()
	url, data := newEconomy(t, unchanged)
	for range 2 {
		r, err := bought(t, url, "--data", data, "--players", "7", "--rate", "40", "-d", "1s", "--drain", "60s", "--price", "1.25")
		if err != nil {
			t.Fatal(err)
		}
		f := r.Figures
		if f.Begun != 40 || f.Accepted != 40 || f.Completed != 40 || f.Faulted != 0 || len(r.Faults) != 0 {
			t.Errorf("figures %+v with faults %v, want 40 purchases and no fault", f, r.Faults)
		}
		if f.Spent != 40*1.25 || f.GilBefore != f.GilAfter+f.Spent || f.PushP50 <= 0 || f.PushP99 < f.PushP50 || f.PushLongest < f.PushP99 || f.AcceptP50 <= 0 {
			t.Errorf("figures %+v do not add up", f)
		}
	}
	out, _, err := command(t, "purchases", url, "--data", data, "--players", "3", "--rate", "10", "-d", "500ms", "--drain", "60s")
	if err != nil || !strings.Contains(out, "POST to push") {
		t.Errorf("without --json: %v\n%s", err, out)
	}
}

// A server that accepts what it does not do, sends nobody what it should, or takes too much, is found out.
func TestPurchasesFaults(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	url, data := newEconomy(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/purchase") {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
				switch id := string(body); {
				case strings.Contains(id, `00000003"`): // accepted and forgotten
					w.WriteHeader(http.StatusAccepted)
					return
				case strings.Contains(id, `00000005"`): // refused, and good the next time
					if n.Add(1) == 1 {
						http.Error(w, "not now", http.StatusServiceUnavailable)
						return
					}
				case strings.Contains(id, `00000007"`): // done, and another one than was told
					r.Body = io.NopCloser(strings.NewReader(strings.Replace(id, `"quantity":1`, `"quantity":2`, 1)))
					r.ContentLength = -1
				}
			}
			h.ServeHTTP(w, r)
		})
	})
	r, err := bought(t, url, "--data", data, "--players", "4", "--rate", "40", "-d", "500ms", "--drain", "3s")
	if err == nil {
		t.Error("the load ended without an error")
	}
	all := strings.Join(r.Faults, "\n")
	for _, want := range []string{"1 purchases that were accepted were not pushed", "player 3 was told of"} {
		if !strings.Contains(all, want) {
			t.Errorf("faults %q, want %q among them", all, want)
		}
	}
	if f := r.Figures; f.Begun != 20 || f.Accepted != 20 || f.Retried != 1 || f.Completed > 19 {
		t.Errorf("figures %+v, want 20 purchases, one POST again, and at least one not told of", f)
	}
}

// What cannot be is said before anything is done.
func TestPurchasesRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"ftp://127.0.0.1"}, {"http://127.0.0.1:1", "--players", "0"}, {"http://127.0.0.1:1", "--rate", "0"}, {"http://127.0.0.1:1", "-d", "-1s"},
		{"http://127.0.0.1:1", "--price", "0"}, {"http://127.0.0.1:1", "--rate", "1", "-d", "100ms"}, {"http://127.0.0.1:1", "--data", t.TempDir()},
	} {
		if _, _, err := command(t, append([]string{"purchases"}, args...)...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
