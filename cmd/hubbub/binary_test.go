package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBinary runs the built binary: signals and exit codes pass through the operating system.
func TestBinary(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // it has no such signals to send
	}
	binary := filepath.Join(t.TempDir(), "hubbub")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, c := range []struct {
		name    string
		args    []string
		environ []string
		signals int
		code    int
	}{
		{"stopped", []string{"serve", "--listen", "127.0.0.1:0"}, nil, 1, exitOK},
		{"stopped twice", []string{"serve", "--listen", "127.0.0.1:0"}, []string{"HUBBUB_DRAIN_DELAY=1h"}, 2, exitKilled},
		{"usage", []string{"serve", "--nothing"}, nil, 0, exitUsage},
		{"configuration", []string{"serve", "--listen", "nowhere"}, nil, 0, exitConfig},
		{"version", []string{"version"}, nil, 0, exitOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), binary, c.args...)
			cmd.Dir = dir
			cmd.Env = append([]string{"HOME=" + dir, "PATH=/usr/bin:/bin"}, c.environ...)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			errs, stderr := io.Pipe()
			cmd.Stderr = stderr
			stopping := make(chan struct{})
			var text bytes.Buffer
			read := make(chan struct{})
			go func() {
				defer close(read)
				lines := bufio.NewScanner(errs)
				for lines.Scan() {
					text.Write(append(lines.Bytes(), '\n'))
					if strings.Contains(lines.Text(), `"msg":"stopping"`) {
						close(stopping)
					}
				}
			}()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			switch {
			case c.signals > 0 && (err != nil || !regexp.MustCompile(`^listening on http://127\.0\.0\.1:[1-9][0-9]*\n$`).MatchString(line)):
				t.Errorf("line %q (%v), want listening on http://127.0.0.1:PORT", line, err)
			case c.name == "version" && !strings.HasPrefix(line, "hubbub "):
				t.Errorf("line %q, want the version", line)
			}
			for i := range c.signals {
				if i > 0 {
					select {
					case <-stopping:
					case <-time.After(20 * time.Second):
						t.Error("it does not say that it is stopping")
					}
				}
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
			}
			err = cmd.Wait()
			stderr.Close()
			<-read
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d\n%s", code, c.code, &text)
			}
			if c.signals > 0 {
				if matches, _ := filepath.Glob(filepath.Join(dir, "hubbub-data", "keys.json")); len(matches) != 1 {
					t.Errorf("no ./hubbub-data/keys.json")
				}
			}
		})
	}
}
