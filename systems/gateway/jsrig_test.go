package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/gateway"
)

// javaScript is one Node with the real client, which many tests share.
type javaScript struct {
	stdin io.WriteCloser

	mu      sync.Mutex
	last    int
	waiting map[int]chan jsMessage
	heard   map[string]chan string // by client
	ended   bool
}

// jsMessage is a line of testdata/client.mjs.
type jsMessage struct {
	ID     int             `json:"id"`
	Value  json.RawMessage `json:"value"`
	Error  *string         `json:"error"`
	Client string          `json:"client"`
	Heard  string          `json:"heard"`
	Args   json.RawMessage `json:"args"`
}

func startJavaScript(t *testing.T) *javaScript {
	t.Helper()
	if _, err := os.Stat("../../conformance/js/node_modules/@microsoft/signalr"); err != nil {
		t.Fatalf("the npm packages are missing: node conformance/js/install.js installs them (%v)", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	cmd := exec.CommandContext(ctx, "node", "testdata/client.mjs")
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, patience
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		cancel()
		t.Fatal(err)
	}
	j := &javaScript{stdin: stdin, waiting: make(map[int]chan jsMessage), heard: make(map[string]chan string)}
	var reading sync.WaitGroup
	reading.Go(func() { j.read(stdout) })
	t.Cleanup(func() {
		stdin.Close()
		reading.Wait()
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("node: %v\n%s", err, &stderr)
		}
		cancel()
	})
	return j
}

func (j *javaScript) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m jsMessage
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			m = jsMessage{Client: "?", Heard: lines.Text()} // nobody waits for it, whoever waits for something else shows it
		}
		j.mu.Lock()
		if w := j.waiting[m.ID]; w != nil {
			delete(j.waiting, m.ID)
			w <- m
		} else if h := j.heard[m.Client]; h != nil {
			h <- m.Heard + string(m.Args)
		}
		j.mu.Unlock()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	for _, w := range j.waiting {
		close(w)
	}
}

// ask lets Node do something and waits for the end. The text of an error is "" if there is none.
func (j *javaScript) ask(t testing.TB, do string, pairs ...any) (value json.RawMessage, failed string) {
	t.Helper()
	m := map[string]any{"do": do}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	answer := make(chan jsMessage, 1)
	j.mu.Lock()
	j.last++
	m["id"] = j.last
	j.waiting[j.last] = answer
	line, err := json.Marshal(m)
	if err == nil && !j.ended {
		_, err = j.stdin.Write(append(line, '\n'))
	}
	j.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case a, ok := <-answer:
		if !ok {
			t.Fatalf("%s: node has ended", line)
		}
		if a.Error != nil {
			return nil, *a.Error
		}
		return a.Value, ""
	case <-time.After(patience):
		t.Fatalf("%s: not done after %v", line, patience)
	}
	return nil, ""
}

// jsClient is a client of the GatewayHub in Node.
type jsClient struct {
	t     testing.TB
	j     *javaScript
	name  string
	heard chan string
}

// connect makes a client that hears of targets. The address is that of a GatewayHub, in any case.
func (j *javaScript) connect(t testing.TB, url, transport string, targets ...string) (c *jsClient, failed string) {
	t.Helper()
	c = &jsClient{t: t, j: j, heard: make(chan string, 5000)}
	j.mu.Lock()
	j.last++
	c.name = fmt.Sprintf("client %d over %s", j.last, transport)
	j.heard[c.name] = c.heard
	j.mu.Unlock()
	_, failed = j.ask(t, "start", "client", c.name, "url", url, "transport", transport, "on", targets)
	if failed == "" {
		t.Cleanup(func() { j.ask(t, "stop", "client", c.name) })
	}
	return c, failed
}

func (j *javaScript) listen(s *server, transport string, targets ...string) *jsClient {
	s.t.Helper()
	c, failed := j.connect(s.t, s.url+"/GatewayHub", transport, targets...)
	if failed != "" {
		s.t.Fatalf("connect over %s: %s", transport, failed)
	}
	return c
}

// hears wants exactly that next.
func (c *jsClient) hears(want string) {
	c.t.Helper()
	select {
	case got := <-c.heard:
		if got != want {
			c.t.Fatalf("%s heard %s, want %s", c.name, got, want)
		}
	case <-time.After(patience):
		c.t.Fatalf("%s heard nothing, want %s", c.name, want)
	}
}

// call calls a method of the GatewayHub and wants an error with that text, "" for none.
func (c *jsClient) call(method string, argument map[string]any, want string) {
	c.t.Helper()
	_, failed := c.j.ask(c.t, "invoke", "client", c.name, "method", method, "args", []any{argument})
	if (want == "") != (failed == "") || !strings.Contains(failed, want) {
		c.t.Fatalf("%s(%v): error %q, want one with %q", method, argument, failed, want)
	}
}

// response is what fetch has got.
type response struct {
	Status     int
	Body, Type string
}

func (j *javaScript) fetch(t testing.TB, method, url string, body ...string) (r response) {
	t.Helper()
	pairs := []any{"method", method, "url", url}
	if len(body) > 0 {
		pairs = append(pairs, "body", body[0])
	}
	if len(body) > 1 {
		pairs = append(pairs, "type", body[1])
	}
	value, failed := j.ask(t, "fetch", pairs...)
	if failed != "" {
		t.Fatalf("%s %s: %s", method, url, failed)
	}
	if err := json.Unmarshal(value, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// post calls a hub as [server.post] does, with fetch.
func (j *javaScript) post(s *server, path, body string, status int, want string) {
	s.t.Helper()
	r := j.fetch(s.t, "POST", s.url+"/api/Gateway/hub/"+path, body)
	if r.Status != status || !strings.Contains(r.Body, want) || (want == "" && r.Body != "") {
		s.t.Fatalf("POST %s %s: status %d, body %q, want %d and %q", path, body, r.Status, r.Body, status, want)
	}
}

// downstreamProcess is a server downstream in a process of its own, which can be killed and started again at its address.
type downstreamProcess struct {
	t       testing.TB
	program string
	dialect gateway.Dialect
	addr    string
	end     func() // by force; nil while it does not run
}

// buildDownstream returns the program of the server downstream.
func buildDownstream(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "downstream")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if output, err := exec.Command("go", "build", "-o", program, "./testdata/downstream").CombinedOutput(); err != nil {
		t.Fatalf("build the server downstream: %v\n%s", err, output)
	}
	return program
}

// newDownstream prepares one at an address of its own; start lets it run.
func newDownstream(t testing.TB, program string, d gateway.Dialect) *downstreamProcess {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &downstreamProcess{t: t, program: program, dialect: d, addr: l.Addr().String()}
	t.Cleanup(func() {
		if p.end != nil {
			p.end()
		}
	})
	return p
}

// start returns when it listens. It tries again while the address is taken: connections of a killed one may be there yet.
func (p *downstreamProcess) start() *downstreamProcess {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		cmd := exec.Command(p.program, p.addr, p.dialect.String())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdin, err1 := cmd.StdinPipe() // its end is that of the process
		stdout, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			p.t.Fatal(err)
		}
		end := func() {
			_ = cmd.Process.Kill() // it may have ended by itself
			stdin.Close()
			_ = cmd.Wait()
			p.end = nil
		}
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		if strings.HasPrefix(line, "listening on ") {
			p.end = end
			return p
		}
		end()
		if time.Now().After(deadline) {
			p.t.Fatalf("the server downstream does not start: %s", &stderr)
		}
	}
}

// hub describes it for a gateway.
func (p *downstreamProcess) hub() gateway.Hub {
	if p.dialect == gateway.Classic {
		return gateway.Hub{URL: "http://" + p.addr, HubName: "chatHub"}
	}
	return gateway.Hub{URL: "http://" + p.addr + "/ChatHub"}
}

// counters of the hub.
type counters struct{ Connections, Sent, Invocations int64 }

func (p *downstreamProcess) counters(j *javaScript) (c counters) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(j.fetch(p.t, "GET", "http://"+p.addr+"/counters").Body), &c); err != nil {
		p.t.Fatal(err)
	}
	return c
}
