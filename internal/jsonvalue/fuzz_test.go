package jsonvalue_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// FuzzDecode: no value panics in any type and form, what is taken is JSON for encoding/json too, and what was read and written
// once does not change when it is read and written again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`5`, `-0`, `1.5e3`, `"5"`, `"1.5"`, `"NaN"`, `true`, `"True"`, `null`, `""`, `"é\ud83d\ude00\ud800"`, "\"\xff\"", `"2024-01-02T03:04:05.123+01:00"`,
		`"/Date(1704164645000+0100)/"`, `"1.02:03:04.5"`, `"01000000-0000-0000-0000-000000000000"`, `[1,"2",null]`, `{"NUMBER":"1","textValue":null}`,
		`{"name":"x","items":[{"number":1}],"map":{"a":1},"isOn":"true","extra":[]}`, `{"Red":1,"7":2}`, `[[1],[]]`, `[1,]`, `{"a":1}x`, `[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]`,
	} {
		f.Add([]byte(seed))
	}
	codecs := []*jsonvalue.Codec{jsonvalue.New(hubbub.CamelCase), jsonvalue.NewClassic(hubbub.AsDeclared)}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for name, typ := range types {
			if name == "MapDI" {
				continue // two times of one text may be two keys, in any order
			}
			for i, c := range codecs {
				if i == 0 && !utf8.Valid(raw) {
					continue // names that are no text stay as they are
				}
				v := reflect.New(typ)
				if c.Decode(raw, v.Interface()) != nil {
					continue
				}
				if !json.Valid(raw) {
					t.Fatalf("%s, form %d: took %q, which encoding/json refuses", name, i, raw)
				}
				out, err := c.Append(nil, v.Elem().Interface())
				if err != nil {
					if i == 1 {
						t.Fatalf("%s: write what was read of %q: %v", name, raw, err)
					}
					continue // an infinite number
				}
				again := reflect.New(typ)
				if err := c.Decode(out, again.Interface()); err != nil {
					t.Fatalf("%s, form %d: read %s, written for %q: %v", name, i, out, raw, err)
				}
				if out2, err := c.Append(nil, again.Elem().Interface()); err != nil || !bytes.Equal(out, out2) {
					t.Fatalf("%s, form %d: %q became %s, then %s, %v", name, i, raw, out, out2, err)
				}
			}
		}
	})
}
