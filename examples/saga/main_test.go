package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One order goes well, the other one is taken back.
func TestSaga(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, t.TempDir(), &out); err != nil {
		t.Fatal(err)
	}
	if want := `order 1: ann wants 4 apples for 40 gold
    Placed       Waiting
    Reserved     Packed
    Charged      Done
    6 apples are left, and ann has 10
order 2: bob wants 6 apples for 60 gold
    Placed       Waiting
    Reserved     Packed
    Fault.Charge Cancelled    there is less than 60 gold of bob
    Released     Cancelled    confirmed
    6 apples are left, and bob has 50
`; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

// A charge that comes after its refund is not done.
func TestRefundOvertakesCharge(t *testing.T) {
	t.Parallel()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "shop", Logger: quiet}, bus.Queue{Name: "bank", Topics: bank().Topics()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	x, err := service(t.Context(), t.TempDir(), "bank", b, ledger, bank())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Store().Close()
	defer x.Close()
	if err := fill(t.Context(), x, "gold of ann", 50); err != nil {
		t.Fatal(err)
	}
	handled := func(n uint64, letters ...box.Letter) {
		t.Helper()
		if err := x.Tx(t.Context(), func(tx *box.Tx) error { return tx.Send(t.Context(), letters...) }); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); x.Stats().Handled < n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d messages were handled, want %d", x.Stats().Handled, n)
			}
		}
	}
	gold := func(want int) {
		t.Helper()
		if n, err := left(t.Context(), x, "gold of ann"); err != nil || n != want {
			t.Errorf("ann has %d, %v, want %d", n, err, want)
		}
	}
	late, taken := Charge{about{"late"}, amount{"gold of ann", 10}}, Charge{about{"taken"}, amount{"gold of ann", 20}}
	handled(2, Refund{late.about}, late)
	gold(50)
	handled(4, taken, taken)
	gold(30)
	handled(5, Refund{taken.about})
	gold(50)
	if n := x.Stats().Refused; n != 1 {
		t.Errorf("%d refused, want the charge that was late", n)
	}
}
