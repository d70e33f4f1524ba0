package relay_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// roleVariable names what a process of the test binary plays instead of running tests, one of roles; settingsVariable holds what
// that needs to know, as JSON.
const (
	roleVariable     = "RELAY_TEST_ROLE"
	settingsVariable = "RELAY_TEST_SETTINGS"
)

var roles = map[string]func(){"giver": playGiver}

// process is a process of the test binary, which can be killed.
type process struct {
	t   testing.TB
	url string // the first line that it has written

	cmd  *exec.Cmd
	in   io.Closer // it ends when this does, if the test has crashed
	stop func()
}

// play starts a process in a role and waits for its first line.
func play(t testing.TB, role string, settings any) *process {
	t.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role, settingsVariable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = sync.OnceFunc(func() {
		p.cmd.Process.Signal(syscall.SIGKILL)
		p.cmd.Wait()
		p.in.Close()
	})
	t.Cleanup(p.stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v", role, err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() { p.stop() }

// server is the process as its clients see it.
func (p *process) server() *server { return &server{t: p.t, url: p.url} }

// fire triggers an event over REST and wants so many listeners.
func (s *server) fire(guid string, listeners int) {
	s.t.Helper()
	status, m := s.call("POST", "/realtime/events/trigger", "", fmt.Sprintf(`{"eventguid":%q}`, guid))
	if status != 202 || m["listeners"] != float64(listeners) {
		s.t.Fatalf("trigger %q: status %d %v, want 202 and %d listeners", guid, status, m, listeners)
	}
}

// giverSettings is what a giver needs to know.
type giverSettings struct {
	Database  store.Config
	Listen    string // default a free port
	Retention time.Duration
	Key       string
}

// begin starts the process of a role that serves, and ends it with the test that has started it.
func begin(settings any, listen func() string, handler func() (http.Handler, error)) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fail(json.Unmarshal([]byte(os.Getenv(settingsVariable)), settings))
	h, err := handler()
	fail(err)
	l, err := net.Listen("tcp", listen())
	fail(err)
	fmt.Println("http://" + l.Addr().String())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fail(http.Serve(l, h))
}

func playGiver() {
	var c giverSettings
	begin(&c, func() string {
		if c.Listen == "" {
			return "127.0.0.1:0"
		}
		return c.Listen
	}, func() (http.Handler, error) {
		keys, err := hubbub.NewKeyRing(hubbub.Key{ID: 1, Secret: []byte(strings.Repeat(c.Key, 40))})
		if err != nil {
			return nil, err
		}
		s, err := relay.Open(context.Background(), relay.Config{Database: c.Database, Keys: keys, Retention: relay.Retention{Window: c.Retention}})
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		s.Mount(mux)
		return s.FoldCase(mux), nil
	})
}

// M11 and kill -9: what a listener has missed comes after it has connected again, in order, once, with the cookies it had,
// however often the giver was killed meanwhile.
func TestM11GiverKilled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		c := giverSettings{Database: storetest.Config(t, database, "relay"), Retention: time.Hour, Key: "k"}
		giver := play(t, "giver", c)
		s := giver.server()
		old := s.connect(dialects[0], "", "?listener=plain")
		old.subscribe("g1", "plain")
		p := s.connect(dialects[0], "", "?listener=exact&after=")
		p.subscribe("g1", "c1")
		p.subscribe("g2", "c2")
		s.fire("g1", 2)
		id, ok := strings.CutPrefix(p.next(), "g1=c1=")
		if got := old.next(); !ok || got != "g1=plain" {
			t.Fatalf("got %q and the id %q", got, id)
		}
		for _, guid := range []string{"g2", "g1", "g2"} {
			giver.kill()
			giver = play(t, "giver", c)
			s = giver.server()
			s.fire(guid, 0)
		}
		giver.kill()
		giver = play(t, "giver", c)
		s = giver.server()
		p = s.connect(dialects[0], "", "?listener=exact&after="+id)
		s.fire("g1", 1)
		var last string
		for _, want := range []string{"g2=c2=", "g1=c1=", "g2=c2=", "g1=c1="} {
			got := p.next()
			if !strings.HasPrefix(got, want) {
				t.Fatalf("got %q, want %q and an id", got, want)
			}
			last = strings.TrimPrefix(got, want)
		}
		giver.kill() // and nothing again
		giver = play(t, "giver", c)
		s = giver.server()
		p = s.connect(dialects[0], "", "?listener=exact&after="+last)
		s.fire("g2", 1)
		if got := p.next(); !strings.HasPrefix(got, "g2=c2=") || strings.HasSuffix(got, "="+last) {
			t.Fatalf("got %q", got)
		}
		old = s.connect(dialects[0], "", "?listener=plain")
		s.fire("g1", 2)
		first := old.next()
		rest := []string{old.next(), old.next()}
		if first != "g1=plain" || rest[0] != first || rest[1] != first {
			t.Fatalf("got %q and %q", first, rest)
		}
		old.close()
		p.close()
	})
}
