package console_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair is a pseudo-terminal: what a person sees and types at, and what a program has.
func pair(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("open a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	conn, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if ctl := conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err != nil {
			return
		}
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})
	}); ctl != nil || err != nil {
		t.Fatalf("unlock the pseudo-terminal: %v, %v", ctl, err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return person, program
}

// typist sits at the terminal of a hubbub connect.
type typist struct {
	t      *testing.T
	keys   *os.File
	screen *run // what was shown
	cmd    *exec.Cmd
	shown  chan struct{} // closed when the screen is done
}

// sit starts the built binary at a terminal, with a home of its own.
func sit(t *testing.T, home string, args ...string) *typist {
	t.Helper()
	person, program := pair(t)
	p := &typist{t: t, keys: person, screen: &run{}, cmd: exec.Command(binary(t), args...), shown: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = program, program, program
	p.cmd.Env = []string{"HOME=" + home, "TERM=xterm", "PATH=" + os.Getenv("PATH")}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program.Close()
	go func() {
		defer close(p.shown)
		_, _ = io.Copy(&p.screen.out, person) // ends with the last program at the terminal
	}()
	return p
}

func (p *typist) press(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.keys, keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *typist) see(pattern string) {
	p.t.Helper()
	waitFor(p.t, p.screen, pattern)
}

// leave waits for the end.
func (p *typist) leave() {
	p.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("it ended with %v, want exit code 0\n%s", err, p.screen.out.String())
	}
	<-p.shown
}

const up, enter, tab = "\x1b[A", "\r", "\t"

// TestTerminal types at a real terminal: history over two sessions, Tab, what is kept and for whom.
func TestTerminal(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	home := t.TempDir()
	file := filepath.Join(home, ".local", "state", "hubbub", "history")

	first := sit(t, home, "connect", s.url)
	first.see(`connected to .* over WebSockets`)
	first.press("inv" + tab + "Echo 4711" + enter)
	first.see(`K4711\r`)
	first.press(" invoke Echo secret" + enter)
	first.see(`K"secret"\r`)
	first.press("send Say hello" + enter)
	first.see(`Said.*"hello"`)
	first.press("s" + tab)
	first.see(`send +status +stop +stream`)
	first.press("\x15quit" + enter) // Ctrl-U empties the line
	first.leave()
	kept, err := os.ReadFile(file)
	if want := "invoke Echo 4711\nsend Say hello\n"; err != nil || string(kept) != want {
		t.Errorf("the history is %q (%v), want %q", kept, err, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the history has mode %v (%v), want 0600", info.Mode(), err)
	}

	second := sit(t, home, "connect", s.url)
	second.see(`connected to`)
	second.press(up + up)
	second.see(`invoke Echo 4711`)
	second.press(enter)
	second.see(`K4711\r`)
	second.press("invoke ec" + tab + "by-tab" + enter)
	second.see(`K"by-tab"\r`)
	second.press("\x04") // Ctrl-D
	second.leave()

	third := sit(t, home, "connect", s.url, "--no-history")
	third.see(`connected to`)
	third.press("invoke Echo unkept" + enter)
	third.see(`K"unkept"\r`)
	third.press("quit" + enter)
	third.leave()
	kept, err = os.ReadFile(file)
	if err != nil || !strings.Contains(string(kept), "invoke Echo by-tab\n") || strings.Contains(string(kept), "unkept") {
		t.Errorf("the history is %q (%v), want by-tab in it and unkept not", kept, err)
	}
}

// TestTerminalHistoryFiles starts with histories that are too large, open to others, or not to be had.
func TestTerminalHistoryFiles(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	for _, x := range []struct {
		name    string
		prepare func(t *testing.T, file string)
		see     string
		lines   int // in the file at the end
		last    string
	}{
		{"too many lines", func(t *testing.T, file string) {
			write(t, file, 0o600, strings.Repeat("status\n", 5000)+"invoke Echo 77\n")
		}, `> invoke Echo 77`, 1001, "status"},
		{"too many bytes", func(t *testing.T, file string) {
			write(t, file, 0o600, strings.Repeat("invoke Echo "+strings.Repeat("x", 4000)+"\n", 400)+"invoke Echo 78\n")
		}, `> invoke Echo 78`, 263, "status"},
		{"open to others", func(t *testing.T, file string) { write(t, file, 0o644, "invoke Echo 79\n") }, `> invoke Echo 79`, 2, "status"},
		{"a folder in its place", func(t *testing.T, file string) {
			if err := os.MkdirAll(file, 0o700); err != nil {
				t.Fatal(err)
			}
		}, `what you type is remembered in this session only: `, -1, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			file := filepath.Join(home, ".local", "state", "hubbub", "history")
			x.prepare(t, file)
			p := sit(t, home, "connect", s.url)
			p.see(`connected to`)
			p.press(up)
			p.see(x.see)
			p.press("\x15status" + enter + "quit" + enter)
			p.leave()
			if x.lines < 0 {
				return
			}
			kept, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(string(kept), "\n"), "\n")
			if len(lines) != x.lines || lines[len(lines)-1] != x.last {
				t.Errorf("%d lines are kept, the last %q, want %d and %q", len(lines), lines[len(lines)-1], x.lines, x.last)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
			}
		})
	}
}

func write(t *testing.T, file string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
