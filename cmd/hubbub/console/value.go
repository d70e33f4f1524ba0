package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub"
)

// argument turns one argument of the command line into a value: JSON where it is JSON, text otherwise.
func (s *session) argument(text string, force bool) any {
	if !force && json.Valid([]byte(text)) {
		v, err := s.value([]byte(text))
		if err == nil {
			return v
		}
	}
	return text
}

func (s *session) arguments(texts []string, force bool) []any {
	args := make([]any, len(texts))
	for i, t := range texts {
		args[i] = s.argument(t, force)
	}
	return args
}

// value turns JSON into what the protocol can send. For JSON it stays as it is, so that numbers keep their digits.
func (s *session) value(raw []byte) (any, error) {
	if s.opts.Protocol == "json" {
		var b bytes.Buffer
		err := json.Compact(&b, raw)
		return json.RawMessage(b.Bytes()), err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

// numbers makes integers of the numbers in v that are some, and floats of the others.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // out of range is infinite
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// named is what a decoder of a protocol also is.
type named interface{ Name() string }

// jsonOf is a value of the server as JSON.
func jsonOf(v hubbub.Value) json.RawMessage {
	raw, dec := v.Raw()
	if dec == nil {
		return compact(v.Any())
	}
	if n, ok := dec.(named); ok && n.Name() == "messagepack" {
		out, err := jsonOfMessagePack(raw)
		if err != nil {
			return compact(fmt.Sprintf("%x", raw))
		}
		return out
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return compact(string(raw))
	}
	return b.Bytes()
}

// jsonOfMessagePack writes one MessagePack value as JSON.
func jsonOfMessagePack(raw []byte) (out json.RawMessage, err error) {
	var b bytes.Buffer
	rest, err := msgp.UnmarshalAsJSON(&b, raw)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes behind the value")
	}
	if err == nil && !json.Valid(b.Bytes()) {
		err = errors.New("a value that JSON cannot express")
	}
	return b.Bytes(), err
}

// jsonArgs are the arguments of a call as JSON.
func jsonArgs(a hubbub.Args) []json.RawMessage {
	out := make([]json.RawMessage, a.Len())
	for i := range out {
		out[i] = jsonOf(a.At(i))
	}
	return out
}

// words cuts a line of the interactive console into words. A JSON value is one word whatever blanks it has, as is text in single
// quotes; anything else ends at a blank.
func words(line string) ([]string, error) {
	var list []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return list, nil
		}
		if line[0] == '\'' {
			text, rest, ok := strings.Cut(line[1:], "'")
			if !ok {
				return nil, errors.New("a single quote is open, want another one")
			}
			list, line = append(list, string(compact(text))), rest
			continue
		}
		if n := jsonLength(line); n > 0 {
			list, line = append(list, line[:n]), line[n:]
			continue
		}
		n := strings.IndexAny(line, " \t")
		if n < 0 {
			n = len(line)
		}
		list, line = append(list, line[:n]), line[n:]
	}
}

// jsonLength is how much of line is one JSON value, with a blank or the end behind it. 0 is none.
func jsonLength(line string) int {
	d := json.NewDecoder(strings.NewReader(line))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return 0
	}
	n := int(d.InputOffset())
	if n < len(line) && line[n] != ' ' && line[n] != '\t' {
		return 0
	}
	return n
}

// bytesText is a number of bytes for people.
func bytesText(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// milliseconds is a duration for machines, to the microsecond.
func milliseconds(seconds float64) float64 { return math.Round(seconds*1e6) / 1e3 }

// shorten cuts text for one line.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
