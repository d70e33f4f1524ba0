package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// built is the path of the binary, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "hubbub")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// process is the built binary while it runs.
type process struct {
	cmd    *exec.Cmd
	dir    string
	line   string // the first of its standard output
	stderr *logs
	ended  chan struct{} // closed when its output has ended
}

// launch starts the binary in a folder of its own and waits for its first line, or for its end.
func launch(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(path, args...), dir: t.TempDir(), stderr: &logs{}, ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stderr = p.dir, p.stderr
	p.cmd.Env = append([]string{"HOME=" + p.dir}, environ...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.wait(t)
		}
	})
	lines := bufio.NewReader(stdout)
	p.line, _ = lines.ReadString('\n')
	go func() {
		defer close(p.ended)
		io.Copy(io.Discard, lines)
	}()
	return p
}

func (p *process) signal(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	<-p.ended
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

var readyLine = regexp.MustCompile(`^listening on (http://127\.0\.0\.1:[1-9][0-9]*)\n$`)

// The binary is told to stop by signals, and its exit code tells how that went.
func TestBinary(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // it has no such signals to send
	}
	for _, c := range []struct {
		name    string
		args    []string
		environ []string
		signals int
		code    int
		line    string
	}{
		{"stopped", []string{"serve", "--listen", "127.0.0.1:0"}, nil, 1, exitOK, "listening on "},
		{"stopped twice", []string{"serve", "--listen", "127.0.0.1:0"}, []string{"HUBBUB_DRAIN_DELAY=1h"}, 2, exitKilled, "listening on "},
		{"usage", []string{"serve", "--nothing"}, nil, 0, exitUsage, ""},
		{"configuration", []string{"serve", "--listen", "nowhere"}, nil, 0, exitConfig, ""},
		{"version", []string{"version"}, nil, 0, exitOK, "hubbub "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := launch(t, c.environ, c.args...)
			if !strings.HasPrefix(p.line, c.line) || c.line == "" && p.line != "" || c.signals > 0 && !readyLine.MatchString(p.line) {
				t.Errorf("line %q, want %q", p.line, c.line)
			}
			for i := range c.signals {
				deadline := time.Now().Add(20 * time.Second)
				for i > 0 && !strings.Contains(p.stderr.String(), `"msg":"stopping"`) {
					if time.Now().After(deadline) {
						t.Fatalf("it does not say that it is stopping\n%s", p.stderr)
					}
					runtime.Gosched()
				}
				p.signal(t)
			}
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d\n%s", code, c.code, p.stderr)
			}
			if _, err := os.Stat(filepath.Join(p.dir, "hubbub-data", "keys.json")); missing(err) != (c.signals == 0) {
				t.Errorf("./hubbub-data/keys.json: %v", err)
			}
		})
	}
}

// Everybody who is connected reads the Close and the close frame before the process is gone.
func TestBinaryDrains(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // it has no such signal to send
	}
	p := launch(t, []string{"HUBBUB_DRAIN_PER_SECOND=1000"}, "serve", "--listen", "127.0.0.1:0")
	m := readyLine.FindStringSubmatch(p.line)
	if m == nil {
		t.Fatalf("line %q\n%s", p.line, p.stderr)
	}
	s := &running{url: m[1], client: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}}
	t.Cleanup(s.client.CloseIdleConnections)
	token := strings.TrimSpace(must(t, nil, "token", "--data", filepath.Join(p.dir, "hubbub-data"), "--user", "ann"))
	sockets := make([]*socket, 50)
	for i := range sockets {
		sockets[i] = dial(t, s, token)
	}
	p.signal(t)
	for i, ws := range sockets {
		ws.wantDrained(t, i)
	}
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d, want 0\n%s", code, p.stderr)
	}
}
