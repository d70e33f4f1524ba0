package hubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/hubbub-go/hubbub"
)

// The values that are compared are those of encoding/json with json.Number: what came and what is wanted are both brought
// there, through the same protocol.

// came returns what the hub has sent.
func came(x hubbub.Value) (any, error) {
	raw, dec := x.Raw()
	if _, ok := dec.(jsonAppender); ok {
		return parse(raw)
	}
	var v any
	if err := x.Decode(&v); err != nil {
		return nil, err
	}
	return plain(v)
}

// jsonAppender is what decoders of JSON also are: what encodes values.
type jsonAppender interface {
	AppendValue(dst []byte, x hubbub.Value) ([]byte, error)
}

// sent returns what v becomes when a hub sends it to the side that decodes with dec; nil is encoding/json.
func sent(v any, dec hubbub.Decoder) (any, error) {
	if v == Any {
		return v, nil
	}
	switch p := dec.(type) {
	case jsonAppender:
		b, err := p.AppendValue(nil, hubbub.ValueOf(v))
		if err != nil {
			return nil, err
		}
		return parse(b)
	case hubbub.Protocol: // MessagePack: [2, headers, id, item] behind its length
		b, err := p.Append(nil, &hubbub.StreamItem{InvocationID: "1", Item: hubbub.ValueOf(v)})
		if err != nil {
			return nil, err
		}
		for b[0]&0x80 != 0 {
			b = b[1:]
		}
		var parts []any
		if err := dec.Decode(b[1:], &parts); err != nil {
			return nil, err
		}
		return plain(parts[len(parts)-1])
	}
	return plain(v)
}

func parse(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// plain brings a Go value to where values are compared.
func plain(v any) (any, error) {
	b, err := json.Marshal(keyed(v))
	if err != nil {
		return nil, err
	}
	return parse(b)
}

// keyed gives text for keys to maps that MessagePack has and JSON has not.
func keyed(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[fmt.Sprint(k)] = keyed(e)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = keyed(e)
		}
		return list
	}
	return v
}

// differs says how m differs from what was wanted, "" if it does not.
func differs(m *message, target string, args []any) string {
	n := m.args.Len()
	switch {
	case m.args.Err() != nil:
		return "its arguments cannot be read: " + m.args.Err().Error()
	case m.target != target:
		return fmt.Sprintf("target %s, want %s", m.target, target)
	case n != len(args):
		return fmt.Sprintf("%d arguments, want %d", n, len(args))
	}
	for i, a := range args {
		where := fmt.Sprintf("argument %d", i+1)
		x := m.args.At(i)
		_, dec := x.Raw()
		got, err := came(x)
		if err != nil {
			return where + " cannot be read: " + err.Error()
		}
		want, err := sent(a, dec)
		if err != nil {
			return where + " that is wanted cannot be sent: " + err.Error()
		}
		if d := difference(where, got, want); d != "" {
			return d
		}
	}
	return ""
}

// difference describes the first difference of two values, "" if there is none.
func difference(where string, got, want any) string {
	if want == Any {
		return ""
	}
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			return memberDifference(where, g, w)
		}
	case []any:
		if g, ok := got.([]any); ok {
			return elementDifference(where, g, w)
		}
	case json.Number:
		if g, ok := got.(json.Number); ok && sameNumber(g, w) {
			return ""
		}
	default: // text, bool, null
		switch got.(type) {
		case map[string]any, []any: // cannot be compared with ==
		default:
			if got == want {
				return ""
			}
		}
	}
	return fmt.Sprintf("%s: %s, want %s", where, text(got), text(want))
}

func memberDifference(where string, got, want map[string]any) string {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[k]
		if !ok {
			return fmt.Sprintf("%s.%s: missing, want %s", where, k, text(want[k]))
		}
		if d := difference(where+"."+k, g, want[k]); d != "" {
			return d
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			return fmt.Sprintf("%s.%s: %s, want no such member", where, k, text(got[k]))
		}
	}
	return ""
}

func elementDifference(where string, got, want []any) string {
	for i := range min(len(got), len(want)) {
		if d := difference(fmt.Sprintf("%s[%d]", where, i), got[i], want[i]); d != "" {
			return d
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%s: %d elements, want %d", where, len(got), len(want))
	}
	return ""
}

// sameNumber compares numbers by their value, all digits of it.
func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, okX := exact(a)
	y, okY := exact(b)
	return okX && okY && x.Cmp(y) == 0
}

// exact returns the value of a number whose exponent is no attack on memory.
func exact(n json.Number) (*big.Rat, bool) {
	if i := strings.IndexAny(string(n), "eE"); i >= 0 && len(n)-i > 5 {
		return nil, false
	}
	return new(big.Rat).SetString(string(n))
}
