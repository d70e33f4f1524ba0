package jsonvalue_test

import (
	"errors"
	"testing"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

func TestEnd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`1`: nil, ` "a" `: nil, "{}\r\n\t": nil,
		`1 2`: jsonvalue.ErrSyntax, `{}{}`: jsonvalue.ErrSyntax, `[],`: jsonvalue.ErrSyntax, "1\x00": jsonvalue.ErrSyntax,
	} {
		s := jsonvalue.New(hubbub.AsDeclared).Scan([]byte(text))
		if err := s.Skip(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if err := s.End(); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}
