package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The bounds of a history.
const (
	historyLines   = 1000
	historyLine    = 4 << 10 // a longer line is known to its session only
	historyLargest = 1 << 20 // of the file; what is before its last MiB is forgotten
)

// history is what was typed at the prompt, in this session and in those before. The terminal that reads calls it, one call at a
// time. The file belongs to its owner alone and is appended to line by line, so that two sessions can share it.
type history struct {
	path  string // empty: this session only
	lines []string
}

// historyPath is where the history is kept: $XDG_STATE_HOME or its default, and where other systems keep such files.
func historyPath(environ []string) (string, error) {
	env := func(name string) string {
		for _, e := range slices.Backward(environ) {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hubbub", "history"), nil
	}
	home := env("HOME")
	switch {
	case runtime.GOOS == "windows" && env("LocalAppData") != "":
		return filepath.Join(env("LocalAppData"), "hubbub", "history"), nil
	case home == "":
		return "", errors.New("neither XDG_STATE_HOME nor HOME is set")
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support", "hubbub", "history"), nil
	}
	return filepath.Join(home, ".local", "state", "hubbub", "history"), nil
}

// openHistory reads what is kept at path. A file that has grown past its bounds is written anew.
func openHistory(path string) (*history, error) {
	h := &history{path: path}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil { // others could read it
			return nil, err
		}
	}
	from := max(0, info.Size()-historyLargest)
	b, err := io.ReadAll(io.NewSectionReader(f, from, historyLargest))
	if err != nil {
		return nil, err
	}
	if from > 0 { // a line that was cut is none
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			h.lines = append(h.lines, line)
		}
	}
	if from > 0 || len(h.lines) > 2*historyLines {
		h.trim()
		return h, h.rewrite()
	}
	h.trim()
	return h, nil
}

func (h *history) trim() { h.lines = h.lines[max(0, len(h.lines)-historyLines):] }

// rewrite replaces the file by what is remembered.
func (h *history) rewrite() error {
	f, err := os.CreateTemp(filepath.Dir(h.path), "history-") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Add keeps a line, unless it is empty, the same as the one before, leaves the prompt, or begins with a blank, which is how a secret
// is kept out.
func (h *history) Add(line string) {
	if text := strings.TrimSpace(line); text == "" || text == "quit" || text == "exit" || strings.HasPrefix(line, " ") || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	h.trim()
	if h.path == "" || len(line) > historyLine || strings.ContainsAny(line, "\r\n") {
		return
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		h.path = "" // a history that cannot be kept must not disturb who types
		return
	}
	_, err = f.WriteString(line + "\n")
	if errors.Join(err, f.Close()) != nil {
		h.path = ""
	}
}

// Len is the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At is a line, the latest at 0.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

// targets are the methods that were called, each once, the latest first.
func (h *history) targets() (list []string) {
	for _, line := range slices.Backward(h.lines) {
		w, err := words(line)
		if err != nil || len(w) < 2 || !takesTarget(w[0]) || slices.Contains(list, w[1]) {
			continue
		}
		list = append(list, w[1])
	}
	return list
}
