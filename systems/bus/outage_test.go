package bus_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
)

func TestServerIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	b := open(t, bus.Config{URL: s.url(), Name: "test", Logger: quiet()}, stock)
	seen, _ := collect(t, b, "stock", ack)
	publish(t, b, message("Grant", 0))
	next(t, seen)
	s.kill()
	eventually(t, "not ready without a server", func() bool { return b.Ready(t.Context()) != nil })
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Publish(brief, message("Grant", 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("publish without a server: %v, want the end of the context", err)
	}
	const n = 20
	published := make(chan error, n)
	for i := range n { // and these wait for the server
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			published <- b.Publish(ctx, message("Grant", 2+i))
		}()
	}
	s.start()
	for range n {
		if err := <-published; err != nil {
			t.Error(err)
		}
	}
	ids := make(map[string]bool)
	for len(ids) < n {
		if g := next(t, seen); g.ID != "Grant-0" { // whose acknowledgement the kill may have caught
			ids[g.ID] = true
		}
	}
	eventually(t, "ready again", func() bool { return b.Ready(t.Context()) == nil })
}

func TestServerForgotEverything(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	b := open(t, bus.Config{URL: s.url(), Name: "test", Logger: quiet()}, stock)
	seen, _ := collect(t, b, "stock", ack)
	publish(t, b, message("Grant", 1))
	next(t, seen)
	s.kill()
	s.dir = t.TempDir()
	s.start()
	eventually(t, "queue is declared again", func() bool {
		all, err := b.Queues(t.Context())
		return err == nil && len(all) == 1
	})
	publish(t, b, message("Grant", 2))
	if g := next(t, seen); g.ID != "Grant-2" {
		t.Errorf("got %s", g.ID)
	}
}

func TestOpenWaitsForServer(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	s.kill()
	c := bus.Config{URL: s.url(), Name: "test", Logger: quiet()}
	brief, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := bus.Open(brief, c, stock); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open without a server: %v, want the end of the context", err)
	}
	opened := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		b, err := bus.Open(ctx, c, stock)
		if err == nil {
			b.Close()
		}
		opened <- err
	}()
	s.start()
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestFullBusMakesPublishersWait(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		c.MaximumBytes = 64 << 10
		b := open(t, c, stock)
		body := make([]byte, 8<<10)
		n := 0
		for ; n < 100; n++ {
			brief, cancel := context.WithTimeout(t.Context(), time.Second)
			m := message("Grant", n)
			m.Body = body
			err := b.Publish(brief, m)
			cancel()
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				break
			}
		}
		if n == 0 || n == 100 {
			t.Fatalf("%d messages of 8 KiB fit into 64 KiB", n)
		}
		seen, _ := collect(t, b, "stock", ack)
		m := message("Grant", n)
		m.Body = body
		publish(t, b, m)
		for range n + 1 {
			next(t, seen)
		}
	})
}

// TestKilledProcess kills a process that publishes on the server inside it: what it has been told is kept is there for the next.
func TestKilledProcess(t *testing.T) {
	const dirOf = "BUS_TEST_PUBLISH_IN"
	if dir := os.Getenv(dirOf); dir != "" {
		b := open(t, bus.Config{Dir: dir, Name: "test", Logger: quiet()}, stock)
		for i := 0; ; i++ {
			publish(t, b, message("Grant", i))
			os.Stdout.WriteString(strconv.Itoa(i) + "\n")
		}
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	cmd.Env = append(os.Environ(), dirOf+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := lastNumber(t, out, 500, func() { cmd.Process.Kill() })
	cmd.Wait()
	b := open(t, bus.Config{Dir: dir, Name: "test", Logger: quiet()}, stock)
	seen, _ := collect(t, b, "stock", ack)
	for i := range last + 1 {
		if g := next(t, seen); g.ID != message("Grant", i).ID {
			t.Fatalf("got %s, want %d of %d", g.ID, i, last)
		}
	}
}
