package bus_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/bus"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// serveIn names the folder that this binary serves NATS from, in place of running tests, at serveAt.
const (
	serveIn = "BUS_TEST_SERVE_IN"
	serveAt = "BUS_TEST_SERVE_AT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveIn); dir != "" {
		serveNATS(dir, os.Getenv(serveAt))
		return
	}
	goleak.VerifyTestMain(m)
}

// serveNATS is what the other process does: it serves until its input ends.
func serveNATS(dir, port string) {
	var at int
	fmt.Sscan(port, &at)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: at, JetStream: true, StoreDir: dir, NoSigs: true, SyncAlways: true, NoLog: true,
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		fmt.Println("not ready")
		os.Exit(1)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
}

// natsServer is a NATS server in a process of its own, on a port that it keeps.
type natsServer struct {
	t    testing.TB
	dir  string
	port int
	cmd  *exec.Cmd
	in   io.WriteCloser
}

func startNATS(t testing.TB) *natsServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &natsServer{t: t, dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.port) }

func (s *natsServer) start() {
	s.t.Helper()
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), serveIn+"="+s.dir, fmt.Sprintf("%s=%d", serveAt, s.port))
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		s.t.Fatalf("NATS server said %q, %v, want ready", line, err)
	}
}

// kill ends the process as a crash does.
func (s *natsServer) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.in.Close()
		s.cmd = nil
	}
}

// each runs a test on both kinds of servers. The configuration may be opened again and again, one at a time.
func each(t *testing.T, test func(t *testing.T, c bus.Config)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, bus.Config{Dir: t.TempDir(), Name: "test", Logger: quiet()})
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		test(t, bus.Config{URL: startNATS(t).url(), Name: "test", Logger: quiet()})
	})
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t testing.TB, c bus.Config, queues ...bus.Queue) *bus.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := bus.Open(ctx, c, queues...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func publish(t testing.TB, b *bus.Bus, messages ...*bus.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Publish(ctx, messages...); err != nil {
		t.Fatal(err)
	}
}

// got is what a handler has seen of a delivery.
type got struct {
	bus.Message
	attempt int
}

// collect consumes a queue: each delivery goes to settle, and then to the channel.
func collect(t testing.TB, b *bus.Bus, queue string, settle func(ctx context.Context, d *bus.Delivery)) (<-chan got, *bus.Consumer) {
	t.Helper()
	seen := make(chan got, 10_000)
	c, err := b.Consume(queue, nil, func(ctx context.Context, batch []*bus.Delivery) {
		for _, d := range batch {
			settle(ctx, d)
			seen <- got{d.Message, d.Attempt}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen, c
}

func ack(_ context.Context, d *bus.Delivery) { d.Ack() }

func next(t testing.TB, seen <-chan got) got {
	t.Helper()
	select {
	case g := <-seen:
		return g
	case <-time.After(patience):
		t.Fatal("no delivery")
		return got{}
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// lastNumber reads numbers, one a line, calls enough at one of them, and returns the last that came.
func lastNumber(t testing.TB, r io.Reader, at int, enough func()) int {
	t.Helper()
	last := -1
	for s := bufio.NewScanner(r); s.Scan(); {
		if _, err := fmt.Sscan(s.Text(), &last); err != nil {
			t.Fatalf("line %q, want a number", s.Text())
		}
		if last == at {
			enough()
		}
	}
	if last < at {
		t.Fatalf("the process ended at %d, want %d", last, at)
	}
	return last
}
