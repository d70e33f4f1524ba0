package console_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/hubbub-go/hubbub/cmd/hubbub/console"
)

// TestDocs looks for every command, flag and exit code in docs/command-line.md, and for an example in the help of each command.
func TestDocs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	c := &console.Console{Stdin: strings.NewReader(""), Stdout: &output{}, Stderr: &output{}}
	for _, cmd := range c.Commands() {
		if !strings.Contains(text, "| `"+cmd.Use) {
			t.Errorf("the command %s is not there", cmd.Use)
		}
		if !strings.Contains(cmd.Example, "hubbub "+cmd.Name()+" ") || cmd.Long == "" {
			t.Errorf("%s has no example or no explanation", cmd.Name())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(text, "--"+f.Name) {
				t.Errorf("the flag --%s of %s is not there", f.Name, cmd.Name())
			}
			if f.Usage == "" {
				t.Errorf("the flag --%s of %s is not explained", f.Name, cmd.Name())
			}
		})
	}
	for _, code := range []string{"0", "1", "2", "10", "11", "12", "13", "14", "15", "16", "17", "18", "20"} {
		if !strings.Contains(text, "\n| "+code+" | ") {
			t.Errorf("the exit code %s is not there", code)
		}
		for _, cmd := range c.Commands() {
			if _, codes, _ := strings.Cut(cmd.Long, "Exit codes: "); !regexp.MustCompile(`(^|[, \n])` + code + ` [a-z]`).MatchString(codes) {
				t.Errorf("the exit code %s is not in the help of %s", code, cmd.Name())
			}
		}
	}
}

// TestDocsOfMachineOutput looks for every event that commands print, and its fields, in docs/command-line.md.
func TestDocsOfMachineOutput(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "## Machine output")
	text, _, _ = strings.Cut(text, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			rows[strings.Trim(name, " `")] += cells[3]
		}
	}
	s := serve(t, nil, nil, nil)
	seen := map[string]bool{}
	for _, x := range []struct {
		stdin string
		args  []string
	}{
		{"", []string{"invoke", s.url, "Echo", "1"}},
		{"", []string{"invoke", s.url, "Fail"}},
		{"", []string{"send", s.url, "Say", "x"}},
		{"", []string{"stream", s.url, "Count", "2"}},
		{"a\nb\n", []string{"upload", s.url, "Join", "-"}},
		{"", []string{"listen", s.url, "--send", "Say x", "--count", "1"}},
		{"", []string{"ping", s.url, "--count", "1"}},
		{"", []string{"negotiate", s.url}},
		{"", []string{"trace", s.url, "--send", "Echo 1", "--for", "50ms"}},
		{"", []string{"doctor", s.url, "--idle", "0s", "--tries", "1", "--largest", "1"}},
		{"help\nstatus\ninvoke Echo 1\n", []string{"connect", s.url}},
	} {
		r := &run{stdin: strings.NewReader(x.stdin)}
		r.do(append(x.args, "--json")...)
		for line := range strings.Lines(r.out.String()) {
			var fields map[string]json.RawMessage
			var event string
			if json.Unmarshal([]byte(line), &fields) != nil || json.Unmarshal(fields["event"], &event) != nil {
				t.Errorf("%v prints %q, want an object with an event", x.args, line)
				continue
			}
			seen[event] = true
			delete(fields, "event")
			for name := range fields {
				if !strings.Contains(rows[event], "`"+name+"`") && event != "negotiated" {
					t.Errorf("the field %s of %s, which %s prints, is not there", name, event, x.args[0])
				}
			}
		}
	}
	for _, event := range []string{"connected", "call", "sent", "result", "item", "end", "negotiated", "ping", "request", "message", "check", "summary", "help", "error"} {
		if !seen[event] || rows[event] == "" {
			t.Errorf("%s was printed: %v; it is in the page: %v", event, seen[event], rows[event] != "")
		}
	}
}
