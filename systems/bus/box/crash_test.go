package box_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store"
)

// In place of running tests this binary makes deposits in crashIn, and kills itself at the border crashAt the crashTime-th
// time.
const (
	crashIn   = "BOX_TEST_CRASH_IN"
	crashAt   = "BOX_TEST_CRASH_AT"
	crashTime = "BOX_TEST_CRASH_TIME"
)

const deposits = 20

// crashing is the process: a customer that commands deposits, and a bank that does them, each with a database of its own.
func crashing() {
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run() error {
	dir := os.Getenv(crashIn)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var times atomic.Int64
	at, _ := strconv.ParseInt(os.Getenv(crashTime), 10, 64)
	border := func(who string) func(string) {
		return func(name string) {
			if os.Getenv(crashAt) == who+" "+name && times.Add(1) == at {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	b, err := bus.Open(ctx, bus.Config{Dir: dir, Name: "test", AckWait: 300 * time.Millisecond, SyncInterval: time.Minute, Logger: quiet()}, bank, customer)
	if err != nil {
		return err
	}
	defer b.Close()
	open := func(name string) (*box.Box, *store.Store, error) {
		s, err := store.Open(ctx, store.Config{Dir: dir, Name: name, Logger: quiet()}, box.Migrations(migrations))
		if err != nil {
			return nil, nil, err
		}
		x, err := box.Open(ctx, box.Config{Store: s, Bus: b, Border: border(name), Logger: quiet()})
		return x, s, err
	}
	theBank, bankStore, err := open("bank")
	if err != nil {
		return err
	}
	defer bankStore.Close()
	defer theBank.Close()
	theCustomer, customerStore, err := open("customer")
	if err != nil {
		return err
	}
	defer customerStore.Close()
	defer theCustomer.Close()
	if err := theBank.Consume("bank", handlers(deposit)); err != nil {
		return err
	}
	h := &box.Handlers{}
	box.OnEvent(h, func(ctx context.Context, tx *box.Tx, d Deposited) error {
		_, err := tx.Exec(ctx, "UPDATE account SET total = total + 1 WHERE name = 'answers'")
		return err
	})
	if err := theCustomer.Consume("customer", h); err != nil {
		return err
	}
	// Each deposit is commanded once, together with the note that it was.
	for i := range deposits {
		if err := theCustomer.Tx(ctx, func(tx *box.Tx) error {
			if i == 0 {
				if _, err := tx.Exec(ctx, "INSERT INTO account (name, total) VALUES ('answers', 0) ON CONFLICT DO NOTHING"); err != nil {
					return err
				}
			}
			n, err := tx.Exec(ctx, "INSERT INTO account (name, total) VALUES (?, 1) ON CONFLICT DO NOTHING", fmt.Sprint(i))
			if err != nil || n == 0 {
				return err
			}
			return tx.Send(ctx, Deposit{fmt.Sprint(i), "ann", 10})
		}); err != nil {
			return err
		}
	}
	for {
		var total, answers int64
		if err := bankStore.QueryRow(ctx, "SELECT coalesce(sum(total), 0) FROM account").Scan(&total); err != nil {
			return err
		}
		if err := customerStore.QueryRow(ctx, "SELECT total FROM account WHERE name = 'answers'").Scan(&answers); err != nil {
			return err
		}
		if total >= 10*deposits && answers >= deposits || ctx.Err() != nil {
			fmt.Printf("total %d, answers %d", total, answers)
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestKilledAtEachBorder kills the process at each border of the outbox and the inbox and starts it again: every deposit is
// made once and answered once.
func TestKilledAtEachBorder(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"bank", "customer"} {
		for _, name := range []string{"written", "committed", "published", "removed", "delivered", "handled", "acknowledged"} {
			for _, time := range []int{1, 3} {
				if who == "customer" && name != "written" && name != "committed" && name != "acknowledged" && time > 1 {
					continue // the same as for the bank
				}
				t.Run(fmt.Sprintf("%s %s %d", who, name, time), func(t *testing.T) {
					t.Parallel()
					dir := filepath.Join(t.TempDir(), "data")
					_, err := crash(dir, who+" "+name, time)
					if e, ok := err.(*exec.ExitError); ok {
						if status := e.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
							t.Fatalf("the process ended with %s, want a kill", e)
						}
					} else if err != nil || time == 1 { // batches may be so large that there is no third
						t.Fatalf("the process was not killed: %v", err)
					}
					out, err := crash(dir, "", 0)
					if want := fmt.Sprintf("total %d, answers %d", 10*deposits, deposits); err != nil || out != want {
						t.Errorf("after the restart %q, %v, want %q", out, err, want)
					}
				})
			}
		}
	}
}

func crash(dir, at string, time int) (string, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashIn+"="+dir, crashAt+"="+at, fmt.Sprintf("%s=%d", crashTime, time))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
