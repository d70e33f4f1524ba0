package contracts_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
)

func TestGil(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0", "5": "5", "100.50": "100.5", "-0.000001": "-0.000001", "1000000": "1000000", "9.990000000": "9.99", "-7": "-7", "0.1": "0.1", "-0": "0",
	} {
		g, err := contracts.ParseGil(in)
		if err != nil || g.String() != want {
			t.Errorf("%s: %s, %v, want %s", in, g, err, want)
		}
	}
	for _, in := range []string{"", "-", ".5", "5.", "1e3", "0.0000001", "+1", "1,5", "NaN", "99999999999999999999", "9223372036854", "1.2.3", " 1", strings.Repeat("9", 1000)} {
		if g, err := contracts.ParseGil(in); err == nil {
			t.Errorf("%q is %s, want an error", in, g)
		}
	}
	var d contracts.DebitGil
	if err := json.Unmarshal([]byte(`{"gil":10.10}`), &d); err != nil {
		t.Fatal(err)
	}
	if p, err := json.Marshal(d); err != nil || !strings.Contains(string(p), `"gil":10.1,`) {
		t.Errorf("%s, %v", p, err)
	}
}

func FuzzParseGil(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "1000000", "0.000001", "1e5", "9223372036853.999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := contracts.ParseGil(s)
		if err != nil {
			return
		}
		again, err := contracts.ParseGil(g.String())
		if err != nil || again != g {
			t.Errorf("%q is %s, and that is %s, %v", s, g, again, err)
		}
	})
}
