package box_test

import (
	"fmt"
	"testing"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// rows is how many rows the table of the outbox has.
func (p *place) rows() (n int) {
	p.t.Helper()
	if err := p.store.QueryRow(p.t.Context(), "SELECT count(*) FROM outbox").Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// As long as the bus can lose what it has taken when the machine stops, the outbox keeps it: the next process publishes it again, and
// who has handled it takes it for a double. Then it goes.
func TestKeepsWhatTheBusMayLose(t *testing.T) {
	t.Parallel()
	c := storetest.Config(t, "sqlite", "bank")
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "test", Logger: quiet()}, bank, customer)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Settle() <= 0 {
		t.Fatal("the bus keeps at once what it takes")
	}
	first := openPlace(t, c, b, nil)
	said := first.said()
	first.consume("bank", handlers(deposit))
	const n = 300
	for i := range n {
		first.send(Deposit{fmt.Sprint(i), "ann", 1})
	}
	for range n {
		next(t, said)
	}
	sent := n
	eventually(t, "what was published is kept", func() bool { // for longer than this machine takes to look, once in a while
		first.send(Deposit{fmt.Sprint(sent), "ann", 1})
		sent++
		next(t, said)
		waiting, err := first.Waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return waiting == 0 && first.rows() > 0
	})
	first.Close()
	first.store.Close()

	second := openPlace(t, c, b, nil)
	second.consume("bank", handlers(deposit))
	eventually(t, "nothing is kept any more", func() bool { return second.rows() == 0 })
	if total := second.total("ann"); total != int64(sent) {
		t.Errorf("total %d, want %d", total, sent)
	}
	if s := second.Stats(); s.Failed > 0 || s.Buried > 0 {
		t.Errorf("%+v, want no fault", s)
	}
}

// Where the configuration says what may be lost, nothing is kept.
func TestKeepsNothingOtherwise(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		said := p.said()
		p.consume("bank", handlers(deposit))
		for i := range 50 {
			p.send(Deposit{fmt.Sprint(i), "ann", 1})
		}
		for range 50 {
			next(t, said)
		}
		eventually(t, "the outbox is empty", func() bool { return p.rows() == 0 })
	})
}
