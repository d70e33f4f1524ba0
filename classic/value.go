package classic

import (
	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// codec turns Go values into JSON and back, in the form that Json.NET gives them.
type codec = jsonvalue.Codec

// newCodec returns the codec of the dialect, which names fields as they are declared.
func newCodec() *codec { return jsonvalue.NewClassic(hubbub.AsDeclared) }

// appendText appends a JSON string.
func appendText(dst []byte, s string) []byte { return jsonvalue.AppendClassicString(dst, s) }
