package jsonvalue_test

import (
	"fmt"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// TestStringPointer compares the way of *string that saves the reflection with the way of a type that is not known by itself.
func TestStringPointer(t *testing.T) {
	t.Parallel()
	type alias string
	for name, c := range map[string]*jsonvalue.Codec{"core": jsonvalue.New(hubbub.CamelCase), "classic": jsonvalue.NewClassic(hubbub.CamelCase)} {
		for _, in := range []string{
			`"text"`, ` "a\u00e9\n" `, `""`, `null`, ` null`, `nul`, `1`, `-1.50`, `true`, `[]`, `{"a":1}`, `"open`, `"half \ud83d"`,
			"\"\xff\"", `"two" 2`, ``,
		} {
			var fast *string
			var slow *alias
			fastErr, slowErr := c.Decode([]byte(in), &fast), c.Decode([]byte(in), &slow)
			if (fastErr == nil) != (slowErr == nil) {
				t.Errorf("%s: Decode %q: %v, want %v", name, in, fastErr, slowErr)
				continue
			}
			if show(fast) != show(slow) {
				t.Errorf("%s: Decode %q: %s, want %s", name, in, show(fast), show(slow))
			}
			fastOut, fastErr := c.Append(nil, fast)
			slowOut, slowErr := c.Append(nil, slow)
			if string(fastOut) != string(slowOut) || fastErr != nil || slowErr != nil {
				t.Errorf("%s: Append %s: %q %v, want %q %v", name, show(fast), fastOut, fastErr, slowOut, slowErr)
			}
		}
	}
}

func show[T ~string](p *T) string {
	if p == nil {
		return "nil"
	}
	return fmt.Sprintf("%q", string(*p))
}
