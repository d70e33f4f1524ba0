package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// printer writes for people or for machines. It is safe for concurrent use.
type printer struct {
	mu     sync.Mutex
	out    io.Writer
	err    io.Writer
	json   bool
	colour bool // of out
	dim    bool // of err
	now    func() time.Time
}

func newPrinter(c *Console, json bool) *printer {
	p := &printer{out: c.Stdout, err: c.Stderr, json: json, now: c.Now}
	if p.now == nil {
		p.now = time.Now
	}
	plain := slices.ContainsFunc(c.Environ, func(e string) bool {
		name, value, _ := strings.Cut(e, "=")
		return name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb"
	})
	p.colour, p.dim = !plain && !json && isTerminal(c.Stdout), !plain && isTerminal(c.Stderr)
	return p
}

// isTerminal reports whether f is the terminal of a person.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// say prints a result: the object v in one line for machines, the text for people.
func (p *printer) say(v any, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		p.out.Write(append(compact(v), '\n'))
		return
	}
	fmt.Fprintln(p.out, text)
}

// note prints what happens beside the results: for people on the standard error, so that results can be piped.
func (p *printer) note(v any, text string) {
	if p.json {
		p.say(v, "")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dim {
		text = "\x1b[2m" + text + "\x1b[0m"
	}
	fmt.Fprintln(p.err, text)
}

// clock is the time for people.
func (p *printer) clock() string { return p.paint(dim, p.now().Format("15:04:05")) }

// stamp is the time for machines.
func (p *printer) stamp() string { return p.now().UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// The colours, as terminals number them.
const (
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// paint colours text where there are colours.
func (p *printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// compact is v as JSON in one line, without escapes for HTML.
func compact(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Appendf(nil, `{"event":"error","code":%d,"error":%q}`, CodeOther, err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// pretty is JSON as people read it: in one line while that is short.
func pretty(raw json.RawMessage) string {
	if len(raw) <= 100 {
		return string(raw)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return string(raw)
	}
	return b.String()
}
