package console

// These stand inside the package because what they try is not exported: what the wire and the prompt are read with.

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzFrames cuts anything into frames: they cover all of it, and each prints as JSON.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("{}\x1e{\"type\":6}\x1e"), false)
	f.Add([]byte("{\"protocol\":\"messagepack\",\"version\":1}\x1e\x02\x91\x06"), true)
	f.Add([]byte("\x0d\x96\x01\x80\xc0\xa4Echo\x91\x01\x90"), true)
	f.Add([]byte("\xff\xff\xff\xff\x07"), true)
	f.Add([]byte(`{"type":"x"`), false)
	f.Fuzz(func(t *testing.T, p []byte, binary bool) {
		protocol := "json"
		if binary {
			protocol = "messagepack"
		}
		total := 0
		for _, f := range frames(p, protocol) {
			if f.size <= 0 || !json.Valid(f.json) || f.name() == "" {
				t.Fatalf("a frame of %d bytes, type %d, %q", f.size, f.kind, f.json)
			}
			total += f.size
		}
		if total != len(p) {
			t.Fatalf("the frames have %d bytes, want %d", total, len(p))
		}
	})
}

// FuzzWords cuts a line into words: none is empty, and those with blanks are JSON.
func FuzzWords(f *testing.F) {
	for _, line := range []string{`invoke Echo {"a": 1} "two words" 'it is' plain 42`, `'open`, `[1, 2`, `"a"b`, "12abc 'x'y"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		list, err := words(line)
		if err != nil && !strings.Contains(line, "'") {
			t.Fatalf("%q: %v, want words: no quote is open", line, err)
		}
		for _, w := range list {
			if w == "" || strings.ContainsAny(w, " \t") && !json.Valid([]byte(w)) {
				t.Fatalf("%q has the word %q, want JSON or no blanks", line, w)
			}
		}
	})
}
