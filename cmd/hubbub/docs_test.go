package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of settings into docs/operating.md")

// TestOperatingDocs checks that docs/operating.md has every setting with its variable, its default and its sentence.
func TestOperatingDocs(t *testing.T) {
	const path, begin, end = "../../docs/operating.md", "<!-- settings -->\n", "<!-- /settings -->\n"
	l, err := load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| key, variable | default | |\n|---|---|---|\n")
	for _, k := range l.set.Keys() {
		fmt.Fprintf(&table, "| `%s`<br>`%s` | `%s` | %s |\n", k.Path, k.Env, k.Default, k.Doc)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has not the lines %q and %q", path, begin, end)
	}
	if old == table.String() {
		return
	}
	if !*update {
		t.Errorf("the table of settings in %s is not what Config says: go test ./cmd/hubbub -run TestOperatingDocs -update", path)
		return
	}
	if err := os.WriteFile(path, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
