package jsonvalue_test

import (
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

type chatMessage struct {
	User   string
	Text   string
	Sent   time.Time
	Tags   []string
	Weight float64
}

var (
	chat  = chatMessage{"ann", "hello, world", time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC), []string{"a", "b"}, 1.5}
	forms = map[string]*jsonvalue.Codec{"core": jsonvalue.New(hubbub.CamelCase), "classic": jsonvalue.NewClassic(hubbub.AsDeclared)}
)

func BenchmarkAppend(b *testing.B) {
	for name, v := range map[string]any{"string": "hello, world", "float": 1234.5, "struct": chat} {
		for form, c := range forms {
			b.Run(name+"/"+form, func(b *testing.B) {
				b.ReportAllocs()
				dst := make([]byte, 0, 1024)
				for b.Loop() {
					if _, err := c.Append(dst, v); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for form, c := range forms {
		raw, err := c.Append(nil, chat)
		if err != nil {
			b.Fatal(err)
		}
		for name, read := range map[string]func() error{
			"string": func() error { var s string; return c.Decode([]byte(`"hello, world"`), &s) },
			"int":    func() error { var n int; return c.Decode([]byte(`1234`), &n) },
			"struct": func() error { var v chatMessage; return c.Decode(raw, &v) },
		} {
			b.Run(name+"/"+form, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := read(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestAllocations holds the scalars to what they need in either form: a string its bytes, and nothing on the way out.
func TestAllocations(t *testing.T) {
	for form, c := range forms {
		var s string
		var n int
		var number any = 1.0
		var words any = "hello, world"
		dst := make([]byte, 0, 1024)
		rawText, rawNumber := []byte(`"hello, world"`), []byte(`1234`)
		for _, test := range []struct {
			name string
			most float64
			run  func() error
		}{
			{"write a string", 0, func() error { _, err := c.Append(dst, words); return err }},
			{"write a float", 0, func() error { _, err := c.Append(dst, number); return err }},
			{"write a struct", 1, func() error { _, err := c.Append(dst, chat); return err }}, // its interface
			{"read a string", 1, func() error { return c.Decode(rawText, &s) }},
			{"read an integer", 0, func() error { return c.Decode(rawNumber, &n) }},
		} {
			var failed error
			got := testing.AllocsPerRun(100, func() {
				if err := test.run(); err != nil {
					failed = err
				}
			})
			if failed != nil || got > test.most {
				t.Errorf("%s, %s: %v allocations, %v, want at most %v", form, test.name, got, failed, test.most)
			}
		}
	}
}
