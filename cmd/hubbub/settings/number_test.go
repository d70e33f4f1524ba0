package settings_test

import (
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/cmd/hubbub/settings"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		ratio float64
		fault string
	}{
		"ratio: 0.25": {0.25, ""}, "ratio: 1": {1, ""}, "ratio: -2.5": {-2.5, ""},
		"ratio: half":   {1, `f.yaml:1:8: ratio: the text "half", want a number`},
		"ratio: '0.5'":  {1, `f.yaml:1:8: ratio: the text "0.5", want a number`},
		"ratio: [0.5]":  {1, `f.yaml:1:8: ratio: a list, want a number`},
		"ratio: .nan":   {1, "f.yaml:1:8: ratio: "},
		"ratio: 1e1000": {1, "f.yaml:1:8: ratio: "},
	} {
		c := &struct {
			Ratio float64 `yaml:"ratio" doc:"how many"`
		}{1}
		s := settings.New(c)
		s.File("f.yaml", []byte(text+"\n"))
		err := s.Err()
		if c.Ratio != want.ratio || (err == nil) != (want.fault == "") || err != nil && !strings.HasPrefix(err.Error(), want.fault) {
			t.Errorf("%s: %v, %v, want %v, %q", text, c.Ratio, err, want.ratio, want.fault)
		}
	}
}
