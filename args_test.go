package hubbub_test

import (
	"errors"
	"testing"

	"github.com/hubbub-go/hubbub"
)

func TestArgs(t *testing.T) {
	t.Parallel()
	raw := hubbub.RawArgs([][]byte{[]byte("1"), []byte(`"a"`)}, common)
	local := hubbub.ArgsOf(1, "a")
	for name, args := range map[string]hubbub.Args{"raw": raw, "local": local} {
		var n int
		var s string
		if err := errors.Join(args.Decode(0, &n), args.At(1).Decode(&s)); err != nil || n != 1 || s != "a" || args.Len() != 2 || args.Err() != nil {
			t.Errorf("%s: %d, %q of %d, %v", name, n, s, args.Len(), err)
		}
		if err := args.Decode(1, &n); err == nil {
			t.Errorf("%s: a text went into a number", name)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: argument 2 of 2 is there", name)
				}
			}()
			args.At(2)
		}()
	}
	if raw.Values() != nil || len(local.Values()) != 2 {
		t.Error("only arguments on their way out have values")
	}
	if b, dec := raw.At(0).Raw(); string(b) != "1" || dec != hubbub.Decoder(common) {
		t.Errorf("raw value %q for %v", b, dec)
	}
	if n := (hubbub.Args{}).Len(); n != 0 {
		t.Errorf("no arguments are %d", n)
	}
}

func TestValueDecode(t *testing.T) {
	t.Parallel()
	type number int
	var n int
	var m number
	var v any = 5
	var p *int
	s := "old"
	tests := []struct {
		name string
		from any
		into any
		fits bool
	}{
		{"the same type", 1, &n, true},
		{"another name", 2, &m, true},
		{"into anything", "x", &v, true},
		{"a pointer", &n, &p, true},
		{"nothing", nil, &s, true},
		{"another kind", 65, &s, false},
		{"not a pointer", 1, n, false},
		{"a nil pointer", 1, (*int)(nil), false},
	}
	for _, test := range tests {
		if err := hubbub.ValueOf(test.from).Decode(test.into); (err == nil) != test.fits {
			t.Errorf("%s: %v, fits: %v", test.name, err, test.fits)
		}
	}
	if n != 1 || m != 2 || v != "x" || p != &n || s != "" {
		t.Errorf("decoded %d, %d, %v, %p, %q", n, m, v, p, s)
	}
	if got := hubbub.ValueOf(7).Any(); got != 7 {
		t.Errorf("value %v, want 7", got)
	}
}
