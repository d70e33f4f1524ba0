package jsonvalue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// cut reads an object of any values: its names, and behind each the bytes of its value.
func cut(s *jsonvalue.Scanner) (string, error) {
	var all []string
	if s.Peek() != '{' {
		return "", jsonvalue.ErrSyntax
	}
	if err := s.Enter(); err != nil {
		return "", err
	}
	for first := true; ; first = false {
		ok, err := s.More(first, '}')
		if err != nil || !ok {
			return strings.Join(all, " "), err
		}
		name, err := s.Name()
		if err != nil {
			return "", err
		}
		raw, err := s.RawValue()
		if err != nil {
			return "", err
		}
		all = append(all, string(name)+"="+string(raw))
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		err      error
	}{
		{`{}`, "", nil},
		{` { "a" : 1 , "b" : [ {} , "x" ] } rest`, `a=1 b=[ {} , "x" ]`, nil},
		{`{"\u0061":-1.5e+3,"b":null,"a":"\""}`, `a=-1.5e+3 b=null a="\""`, nil},
		{`{"a":1,}`, "", jsonvalue.ErrTrailing},
		{`{"a":[1,]}`, "", jsonvalue.ErrTrailing},
		{`{"a":[1,,2]}`, "", jsonvalue.ErrSyntax},
		{`{"a":01}`, "", jsonvalue.ErrSyntax},
		{`{"a":nul}`, "", jsonvalue.ErrSyntax},
		{`{"a" 1}`, "", jsonvalue.ErrSyntax},
		{`{a:1}`, "", jsonvalue.ErrSyntax},
		{`{"a":"x`, "", jsonvalue.ErrSyntax},
		{`{"a":1`, "", jsonvalue.ErrSyntax},
		{`[]`, "", jsonvalue.ErrSyntax},
		{``, "", jsonvalue.ErrSyntax},
		{`{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, `a=` + strings.Repeat("[", 63) + strings.Repeat("]", 63), nil},
		{`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "", jsonvalue.ErrDepth},
	} {
		s := jsonvalue.New(hubbub.CamelCase).Scan([]byte(c.in))
		if got, err := cut(&s); !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("cut %s: %s, %v, want %s, %v", c.in, got, err, c.want, c.err)
		}
	}
}

// TestScanText: what is no text is found by who wants it as text, and by nobody else.
func TestScanText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want, classic string
		err               error
	}{
		{`"a\n\u00e9\ud83d\ude00"`, "a\né😀", "a\né😀", nil},
		{` "x"`, "x", "x", nil},
		{`"\ud83d"`, "", "\ufffd", jsonvalue.ErrSurrogate},
		{`"\ud83d\u0041"`, "", "\ufffdA", jsonvalue.ErrSurrogate},
		{`"\udc00x"`, "", "\ufffdx", jsonvalue.ErrSurrogate},
		{"\"\xffx\"", "", "\ufffdx", jsonvalue.ErrUTF8},
	} {
		s := jsonvalue.New(hubbub.CamelCase).Scan([]byte(c.in))
		if got, err := s.Text(); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("text %q: %q, %v, want %q, %v", c.in, got, err, c.want, c.err)
		}
		s = jsonvalue.New(hubbub.CamelCase).Scan([]byte(c.in))
		if err := s.Skip(); err != nil {
			t.Errorf("skip %q: %v", c.in, err)
		}
		s = jsonvalue.NewClassic(hubbub.AsDeclared).Scan([]byte(c.in))
		if got, err := s.Text(); got != c.classic || err != nil {
			t.Errorf("classic text %q: %q, %v, want %q", c.in, got, err, c.classic)
		}
	}
	for _, in := range []string{`5`, `null`, `["x"]`, ``, `"x`, `"\q"`, "\"\n\""} {
		s := jsonvalue.NewClassic(hubbub.AsDeclared).Scan([]byte(in))
		if got, err := s.Text(); !errors.Is(err, jsonvalue.ErrSyntax) {
			t.Errorf("text %q: %q, %v, want %v", in, got, err, jsonvalue.ErrSyntax)
		}
	}
}

func TestParseInt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"0": 0, "-0": 0, "2147483647": 1<<31 - 1, "-2147483648": -1 << 31} {
		if got, err := jsonvalue.ParseInt([]byte(in), 32); got != want || err != nil {
			t.Errorf("parse %s: %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-", "2147483648", "-2147483649", "1.0", "1e2", "+1", " 1", "99999999999999999999999"} {
		if got, err := jsonvalue.ParseInt([]byte(in), 32); err == nil {
			t.Errorf("parse %q: %d, want it refused", in, got)
		}
	}
}
