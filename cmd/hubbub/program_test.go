package main

// These tests stand inside the package because a command cannot be imported. They use nothing but Program and the wire.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// binaries is a folder for the built binary, until all tests have run.
var binaries string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "hubbub-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := storetest.Main(m, leaks)
	os.RemoveAll(binaries)
	os.Exit(code)
}

// leaks finds goroutines that are left when a server's last memory of its polling clients is over, which outlives the server
// by 15 s.
func leaks() error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		if err := goleak.Find(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// run does one command in this process and returns its exit code and output.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := Program{Args: args, Environ: environ, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs}
	return p.Run(), out.String(), errs.String()
}

// must is run for a command that has to succeed; it returns the standard output.
func must(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	code, out, errs := run(t, environ, args...)
	if code != exitOK {
		t.Fatalf("hubbub %s: exit code %d, want 0\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

// logs collects what a server writes to its standard error.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a server in this process.
type running struct {
	url    string
	data   string
	stop   chan os.Signal
	hangup chan os.Signal
	code   chan int
	stderr *logs
	client *http.Client
	ended  bool
}

// start starts a server on a free port and waits for its line. It is stopped at the end of the test.
func start(t *testing.T, data string, environ []string, args ...string) *running {
	t.Helper()
	s := &running{data: data, stop: make(chan os.Signal, 2), hangup: make(chan os.Signal, 1), code: make(chan int, 1), stderr: &logs{},
		client: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}}
	t.Cleanup(s.client.CloseIdleConnections)
	stdout, w := io.Pipe()
	p := Program{Environ: environ, Stdout: w, Stderr: s.stderr, Stop: s.stop, Reload: s.hangup,
		Args: append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0"}, args...)}
	go func() {
		s.code <- p.Run()
		w.Close()
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("no line on standard output: %v, exit code %d\n%s", err, <-s.code, s.stderr)
	}
	go io.Copy(io.Discard, stdout)
	if !regexp.MustCompile(`^listening on https?://[0-9.]+:[1-9][0-9]*\n$`).MatchString(line) {
		t.Fatalf("line %q, want listening on http://127.0.0.1:PORT", line)
	}
	s.url = strings.Replace(strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), "//0.0.0.0:", "//127.0.0.1:", 1)
	t.Cleanup(func() { s.end(t) })
	return s
}

// end stops the server with one signal and returns its exit code.
func (s *running) end(t *testing.T) int {
	t.Helper()
	if s.ended {
		return exitOK
	}
	s.stop <- os.Interrupt
	return s.wait(t)
}

func (s *running) wait(t *testing.T) int {
	t.Helper()
	s.ended = true
	select {
	case code := <-s.code:
		return code
	case <-time.After(30 * time.Second):
		t.Fatalf("the server does not end\n%s", s.stderr)
		return -1
	}
}

// do sends a request with a token, if there is one, and returns status and body.
func (s *running) do(t *testing.T, method, path, token, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// login logs the user in and returns the token, or "" with the status if it was refused.
func (s *running) login(t *testing.T, user, password string) (string, int) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"UserName": user, "Password": password, "DeviceName": "test"})
	if err != nil {
		t.Fatal(err)
	}
	res, text := s.do(t, "POST", "/api/auth", "", string(body))
	var answer struct{ TokenID string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("login: status %d, body %q: %v", res.StatusCode, text, err)
	}
	return answer.TokenID, res.StatusCode
}

// password returns the demo user's, as the server printed it.
func (s *running) password(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`password +(\S+)`).FindStringSubmatch(s.stderr.String())
	if m == nil {
		t.Fatalf("no password in\n%s", s.stderr)
	}
	return m[1]
}

const negotiate = "/signalr/v1/mainHub/negotiate?negotiateVersion=1"

// file writes a file into a new folder and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
