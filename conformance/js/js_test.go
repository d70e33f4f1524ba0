// Package js_test runs the real JavaScript clients, in Node and in headless Chromium, against the conformance server.
//
// With SERVER_URL="<https url>;<http url>" in the environment it leaves the conformance server out and tests
// whatever listens there.
package js_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	suiteLimit   = 9 * time.Minute  // one run of a suite; run.js itself gives up earlier
	startLimit   = 30 * time.Second // from the start of the server to its second address
	installLimit = 6 * time.Minute
	endLimit     = 20 * time.Second // from the signal to end until a process is killed
)

func TestClients(t *testing.T) {
	need(t, "node", "npm")
	install(t)
	server := os.Getenv("SERVER_URL")
	if server == "" {
		server = startServer(t)
	}
	t.Run("Node", func(t *testing.T) { runSuite(t, "node", server) })
	t.Run("Chromium", func(t *testing.T) {
		if os.Getenv("CHROMIUM") == "" {
			need(t, "chromium")
		}
		runSuite(t, "browser", server)
	})
	// The classic suites mostly wait for clients that come back, so they run beside each other.
	t.Run("ClassicNode", func(t *testing.T) {
		t.Parallel()
		runSuite(t, "classic-node", server)
	})
	t.Run("ClassicChromium", func(t *testing.T) {
		t.Parallel()
		runSuite(t, "classic-browser", server)
	})
}

// need fails the test unless each program can be found.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is not installed: scripts/install-test-tools.sh installs it on Debian", program)
		}
	}
}

// install brings node_modules to what package-lock.json names.
func install(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), installLimit)
	defer cancel()
	output, err := exec.CommandContext(ctx, "node", "install.js").CombinedOutput()
	if err != nil {
		t.Fatalf("install the npm packages: %v\n%s", err, output)
	}
}

// startServer builds the conformance server, starts it and returns its two addresses, the HTTPS one first.
func startServer(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "conformance-server")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	args := []string{"build", "-o", program}
	if raceDetector {
		args = append(args, "-race")
	}
	if output, err := exec.CommandContext(t.Context(), "go", append(args, "../server")...).CombinedOutput(); err != nil {
		t.Fatalf("build the conformance server: %v\n%s", err, output)
	}

	// Not t.Context: that one ends before the clean-up, which reads the server's last words.
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--url", "https://127.0.0.1:0;http://127.0.0.1:0")
	log := newServerLog()
	cmd.Stdout, cmd.Stderr = log, log
	endGently(cmd)
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("start the conformance server: %v", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-exited:
		case <-time.After(2 * endLimit):
			t.Error("the conformance server did not end")
		}
		if trouble := log.trouble(); trouble != "" {
			t.Errorf("the conformance server reported:\n%s", trouble)
		} else if t.Failed() {
			t.Logf("the end of the conformance server's log:\n%s", log.tail())
		}
	})

	select {
	case addresses := <-log.listening:
		return addresses
	case err := <-exited:
		exited <- err
		t.Fatalf("the conformance server ended before it listened: %v\n%s", err, log.tail())
	case <-time.After(startLimit):
		t.Fatalf("the conformance server did not say where it listens within %v\n%s", startLimit, log.tail())
	}
	return ""
}

// endGently makes a cancelled command end by a signal where there are signals, and by force after a while.
func endGently(cmd *exec.Cmd) {
	cmd.WaitDelay = endLimit
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err == nil || errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return cmd.Process.Kill()
	}
}

// result is a line of run.js --json: one test, or the counts at the end.
type result struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Error  string `json:"error"`
	Passed int    `json:"passed"`
	Failed int    `json:"failed"`
}

// runSuite runs one folder of tests and makes a subtest of each of them.
func runSuite(t *testing.T, folder, server string) {
	ctx, cancel := context.WithTimeout(t.Context(), suiteLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "run.js", folder, "--json")
	cmd.Env = append(os.Environ(), "SERVER_URL="+server)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	endGently(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	failed, counts := report(t, stdout)
	err = cmd.Wait()
	switch {
	case counts == nil:
		t.Errorf("node run.js %s ended without its counts: %v\n%s", folder, err, &stderr)
	case counts.Failed != failed:
		t.Errorf("node run.js %s counted %d failures, %d were told", folder, counts.Failed, failed)
	case err != nil && failed == 0:
		t.Errorf("node run.js %s: %v\n%s", folder, err, &stderr)
	default:
		t.Logf("%d passed, %d failed", counts.Passed, counts.Failed)
	}
	if t.Failed() && stderr.Len() > 0 {
		t.Logf("what the tests wrote to standard error:\n%s", &stderr)
	}
}

// report makes a subtest of each line and returns the number of failures and the closing counts, nil when they are missing.
func report(t *testing.T, lines io.Reader) (failed int, counts *result) {
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var one result
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			t.Logf("not a result: %s", scanner.Bytes())
			continue
		}
		if one.Name == "" {
			counts = &one
			continue
		}
		if !one.OK {
			failed++
		}
		t.Run(strings.ReplaceAll(one.Name, " / ", "/"), func(t *testing.T) {
			if !one.OK {
				t.Error(one.Error)
			}
		})
	}
	if err := scanner.Err(); err != nil {
		t.Errorf("read the results: %v", err)
	}
	return failed, counts
}

// serverLog keeps what the server prints and finds its two addresses.
type serverLog struct {
	listening chan string

	mu    sync.Mutex
	text  []byte
	found bool
}

func newServerLog() *serverLog { return &serverLog{listening: make(chan string, 1)} }

var address = regexp.MustCompile(`Now listening on: (https?://\S+)\s`)

// Write implements [io.Writer].
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if l.found {
		return len(p), nil
	}
	var secure, plain string
	for _, match := range address.FindAllSubmatch(l.text, -1) {
		if url := string(match[1]); strings.HasPrefix(url, "https") {
			secure = url
		} else {
			plain = url
		}
	}
	if secure != "" && plain != "" {
		l.found = true
		l.listening <- secure + ";" + plain
	}
	return len(p), nil
}

// trouble returns the report of the first race or panic in the log, or nothing.
func (l *serverLog) trouble() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, mark := range []string{"WARNING: DATA RACE", "\npanic: ", "\nfatal error: "} {
		if i := bytes.Index(l.text, []byte(mark)); i >= 0 {
			return string(l.text[i:min(len(l.text), i+6000)])
		}
	}
	return ""
}

func (l *serverLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text[max(0, len(l.text)-4000):])
}
