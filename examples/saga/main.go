// Command saga is a purchase state machine of one's own: order.go has the life of an order in one screen. A warehouse reserves and a
// bank charges, each with a database of its own; they and the machine hear of each other over a bus alone.
//
//	go run ./examples/saga          # the life of two orders
//	go run ./examples/saga -draw    # the machine as a diagram
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
	"github.com/hubbub-go/hubbub/systems/store"
)

func main() {
	draw := flag.Bool("draw", false, "draw the machine, in Mermaid's language")
	flag.Parse()
	if m, _ := orders(); *draw {
		fmt.Print(m.Draw())
		return
	}
	dir, err := os.MkdirTemp("", "saga")
	if err == nil {
		err = run(context.Background(), dir, os.Stdout)
		os.RemoveAll(dir)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run has two orders: ann can pay hers, bob cannot.
func run(ctx context.Context, dir string, out io.Writer) error {
	machine, placed := orders()
	h := &box.Handlers{}
	machine.Register(h)
	b, err := bus.Open(ctx, bus.Config{Dir: dir, Name: "shop", Logger: quiet}, queues(h, warehouse(), bank())...)
	if err != nil {
		return err
	}
	defer b.Close()
	var services []*box.Box
	for _, s := range []struct {
		name     string
		tables   fs.FS
		handlers *box.Handlers
	}{{"orders", saga.Migrations(), h}, {"warehouse", ledger, warehouse()}, {"bank", ledger, bank()}} {
		x, err := service(ctx, dir, s.name, b, s.tables, s.handlers)
		if err != nil {
			return err
		}
		defer x.Store().Close()
		defer x.Close()
		services = append(services, x)
	}
	own, goods, money := services[0], services[1], services[2]
	work, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { machine.Run(work, own) })
	defer ended.Wait()
	defer stop()

	if err := errors.Join(fill(ctx, goods, "apples", 10), fill(ctx, money, "gold of ann", 50), fill(ctx, money, "gold of bob", 50)); err != nil {
		return err
	}
	for _, o := range []Placed{
		{about{"1"}, "ann", amount{"apples", 4}, 40},
		{about{"2"}, "bob", amount{"apples", 6}, 60},
	} {
		if err := own.Tx(ctx, func(tx *box.Tx) error {
			_, err := saga.Raise(ctx, tx, placed, o)
			return err
		}); err != nil {
			return err
		}
		if err := tell(ctx, machine, own.Store(), o, out); err != nil {
			return err
		}
		apples, err1 := left(ctx, goods, "apples")
		gold, err2 := left(ctx, money, "gold of "+o.Customer)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		fmt.Fprintf(out, "    %d apples are left, and %s has %d\n", apples, o.Customer, gold)
	}
	return nil
}

// tell writes what happens to an order, until it is done or taken back.
func tell(ctx context.Context, m *saga.Machine[Order], q store.Queryer, o Placed, out io.Writer) error {
	fmt.Fprintf(out, "order %s: %s wants %d %s for %d gold\n", o.Order, o.Customer, o.Goods.Count, o.Goods.Of, o.Price)
	for told := 0; ; time.Sleep(10 * time.Millisecond) {
		entries, err := m.History(ctx, q, o.Order)
		if err != nil {
			return err
		}
		for _, e := range entries[told:] {
			told++
			fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("    %-12s %-12s %s", e.Event, e.State, e.Note), " "))
			if e.State == Done || e.Event == (Released{}).Topic() {
				return nil
			}
		}
	}
}
