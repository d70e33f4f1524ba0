package console

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// input returns the lines that are typed, and how to leave the terminal as it was.
func (v *conversation) input() (lines <-chan line, restore func(), err error) {
	in, ok := v.console.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !isTerminal(v.console.Stdout) || v.flags.json {
		return v.lines(), func() {}, nil
	}
	past := v.past()
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("terminal: %w", err)
	}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, v.console.Stdout}, "> ")
	if width, height, err := term.GetSize(int(in.Fd())); err == nil && width > 0 {
		_ = t.SetSize(width, height) // a size that it does not like leaves the old one
	}
	t.History = past
	t.AutoCompleteCallback = (&completion{past: past, list: t}).complete
	v.print.mu.Lock()
	v.print.out, v.print.err = t, t // what is printed goes above the line that is being typed
	v.print.mu.Unlock()
	v.terminal = true
	restore = func() {
		v.print.mu.Lock()
		v.print.out, v.print.err = v.console.Stdout, v.console.Stderr
		v.print.mu.Unlock()
		_ = term.Restore(int(in.Fd()), old)
	}
	ch := make(chan line)
	go func() {
		defer close(ch)
		for {
			text, err := t.ReadLine()
			if err != nil {
				return
			}
			select {
			case ch <- line{text: text}:
			case <-v.ctx.Done():
				return
			}
		}
	}()
	return ch, restore, nil
}

// past is what was typed in earlier sessions. Where that cannot be kept it says so, and only this session is remembered.
func (v *conversation) past() *history {
	if v.forget {
		return &history{}
	}
	path, err := historyPath(v.console.Environ)
	var past *history
	if err == nil {
		past, err = openHistory(path)
	}
	if err != nil {
		v.print.note(struct {
			Event string `json:"event"`
			Error string `json:"error"`
		}{"history", err.Error()}, "what you type is remembered in this session only: "+err.Error())
		return &history{}
	}
	return past
}

var verbs = []string{"invoke ", "send ", "stream ", "stop", "status", "help", "quit"}

// takesTarget reports whether the name of a method follows a verb.
func takesTarget(verb string) bool { return slices.Contains(verbs, verb+" ") }

// completion finishes what is typed when Tab is pressed: a verb, or a method that was called before.
type completion struct {
	past *history
	list io.Writer // where the choices are printed when there are several
}

func (c *completion) complete(text string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	before, after := text[:pos], text[pos:]
	begun, kept := before, ""
	var choices []string
	if verb, rest, ok := strings.Cut(before, " "); !ok {
		choices = verbs
	} else if begun = strings.TrimLeft(rest, " "); takesTarget(verb) && !strings.Contains(begun, " ") {
		kept = strings.TrimSuffix(before, begun)
		for _, target := range c.past.targets() {
			if !strings.ContainsAny(target, " \"'\\") {
				choices = append(choices, target+" ")
			}
		}
	}
	choices = matching(choices, begun)
	if len(choices) == 0 {
		return "", 0, false
	}
	found := common(choices)
	if len(choices) > 1 && len(found) <= len(begun) {
		slices.Sort(choices)
		fmt.Fprintln(c.list, "  "+strings.Join(choices[:min(len(choices), 40)], " "))
		return "", 0, false
	}
	if strings.HasPrefix(after, " ") { // completed within a line
		found = strings.TrimSuffix(found, " ")
	}
	done := kept + found
	return done + after, len(done), true
}

// matching are the choices that begin as begun does; methods without regard to case, as servers match them.
func matching(choices []string, begun string) (list []string) {
	for _, c := range choices {
		if len(c) >= len(begun) && strings.EqualFold(c[:len(begun)], begun) {
			list = append(list, c)
		}
	}
	return list
}

// common is the beginning that all choices share.
func common(choices []string) string {
	found := choices[0]
	for _, c := range choices[1:] {
		n := 0
		for n < len(found) && n < len(c) && found[n] == c[n] {
			n++
		}
		found = found[:n]
	}
	return found
}
