package jsonvalue_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// foreign decodes values of a protocol that nobody knows; exact does so without losing digits.
type (
	foreign struct{ err error }
	exact   struct{ foreign }
)

func (f foreign) Decode(raw []byte, v any) error {
	*v.(*any) = string(raw)
	return f.err
}

func (e exact) DecodeExact(raw []byte) (any, error) { return uint64(1<<64 - 1), e.err }

func TestForeignValues(t *testing.T) {
	t.Parallel()
	for _, c := range []*jsonvalue.Codec{jsonvalue.New(hubbub.CamelCase), jsonvalue.NewClassic(hubbub.AsDeclared)} {
		for _, test := range []struct {
			decoder hubbub.Decoder
			want    string
		}{{foreign{}, `x"x"`}, {exact{}, `x18446744073709551615`}} {
			if out, err := c.AppendValue([]byte("x"), hubbub.RawValue([]byte("x"), test.decoder)); err != nil || string(out) != test.want {
				t.Errorf("translate of %T: %s, %v, want %s", test.decoder, out, err, test.want)
			}
		}
		wrong := errors.New("no value")
		for _, decoder := range []hubbub.Decoder{foreign{wrong}, exact{foreign{wrong}}} {
			if out, err := c.AppendValue([]byte("x"), hubbub.RawValue([]byte("x"), decoder)); !errors.Is(err, wrong) || string(out) != "x" {
				t.Errorf("translate of a broken %T: %s, %v, want %v", decoder, out, err, wrong)
			}
		}
	}
}

// TestDecodeExact: integers without a type keep their digits.
func TestDecodeExact(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]any{
		`9007199254740993`: int64(9007199254740993), `-5`: int64(-5), `18446744073709551615`: uint64(1<<64 - 1), `1.0`: 1.0, `1e2`: 100.0,
		`36893488147419103232`: 36893488147419103232.0, ` null `: nil, `false`: false, `"x"`: "x",
		`[1,{"a":[2.5]}]`: []any{int64(1), map[string]any{"a": []any{2.5}}},
	} {
		for _, c := range []*jsonvalue.Codec{jsonvalue.New(hubbub.CamelCase), jsonvalue.NewClassic(hubbub.AsDeclared)} {
			if got, err := c.DecodeExact([]byte(raw)); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("decode %s: %#v, %v, want %#v", raw, got, err, want)
			}
		}
	}
	for _, raw := range []string{`1 2`, `[1,]`, `{"a" 1}`, `{"a":x}`, `{1:2}`, ``} {
		if got, err := jsonvalue.New(hubbub.CamelCase).DecodeExact([]byte(raw)); err == nil {
			t.Errorf("decode %s: %v, want it refused", raw, got)
		}
	}
}

// TestOneCodecEach: codecs of one form are one, so that what came may go on as it is.
func TestOneCodecEach(t *testing.T) {
	t.Parallel()
	seen := map[*jsonvalue.Codec]int{}
	for range 2 {
		for _, naming := range []hubbub.Naming{hubbub.CamelCase, hubbub.AsDeclared} {
			seen[jsonvalue.New(naming)]++
			seen[jsonvalue.NewClassic(naming)]++
		}
	}
	if len(seen) != 4 {
		t.Errorf("two forms with two namings, each asked for twice, are %d codecs, want 4", len(seen))
	}
}
