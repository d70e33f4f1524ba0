package console_test

import (
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
