package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// up serves s at an address, "" for any, until down is called.
func up(t *testing.T, address string, s *server, err error) (url string, down func()) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	h := &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	h.Start()
	return h.URL, func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
		h.Close()
	}
}

// An order is shipped when its invoice is paid, also if the orders are away at that moment.
func TestRelay(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	do := func(method, url string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: status %d, %s (%v)", method, url, res.StatusCode, text, err)
		}
		return string(text)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited for %s", what)
			}
		}
	}
	dir := t.TempDir()
	p, err := payments(t.Context(), dir)
	pay, downPayments := up(t, "", p, err)
	defer downPayments()
	o, err := orders(t.Context(), dir, pay)
	order, downOrders := up(t, "", o, err)

	for _, id := range []string{"1", "2"} {
		do("POST", order+"/orders/"+id+"?invoice=70"+id)
		if text := do("GET", order+"/orders/"+id); !strings.Contains(text, "placed") {
			t.Errorf("order %s is %s, want it placed", id, text)
		}
	}
	until("the payments to be listened to", func() bool {
		return strings.Contains(do("POST", pay+"/invoices/701/pay"), "1 are here")
	})
	shipped := func(id string) func() bool {
		return func() bool { return strings.Contains(do("GET", order+"/orders/"+id), "shipped") }
	}
	until("the first order to be shipped", shipped("1"))

	if text := do("GET", order+"/orders/2"); !strings.Contains(text, "placed") {
		t.Errorf("order 2 is %s, want it placed", text)
	}
	until("the second subscription", func() bool {
		return strings.Contains(do("GET", order+"/realtime/tickets?viewModel=OrderPlaced&rootId=Order|2"), `"state":"done"`)
	})
	downOrders()
	do("POST", pay+"/invoices/702/pay")
	o, err = orders(t.Context(), dir, pay)
	order, downOrders = up(t, "", o, err)
	defer downOrders()
	until("the second order to be shipped", shipped("2"))
}
