package signalr

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// again parses a record, appends the message and parses that: it must be the same message.
func again(t *testing.T, p protocol, record []byte) (hubbub.Message, error) {
	t.Helper()
	m, err := p.parse(record)
	if err != nil {
		if m != nil {
			t.Fatalf("a message came with the error %v", err)
		}
		if strings.HasPrefix(classAndText(err), "not an error of a class") {
			t.Fatal(classAndText(err))
		}
		return nil, err
	}
	if m == nil {
		return nil, nil
	}
	if in, ok := m.(*hubbub.Invocation); ok && in.Args.Err() != nil {
		return m, nil
	}
	out, err := p.Append(nil, m)
	if err != nil {
		t.Fatalf("append what was parsed: %v", err)
	}
	next, n, err := p.next(out, 0)
	if err != nil || n != len(out) {
		t.Fatalf("next of %q: %d, %v, want %d", out, n, err, len(out))
	}
	m2, err := p.parse(next)
	if err != nil {
		t.Fatalf("parse %q, written for %q: %v", out, record, err)
	}
	// Arguments alias their record, so they compare by their bytes: written again they must not differ.
	out2, err := p.Append(nil, m2)
	if err != nil || !bytes.Equal(out, out2) {
		t.Fatalf("%q became %q, %v", out, out2, err)
	}
	if reflect.TypeOf(m) != reflect.TypeOf(m2) {
		t.Fatalf("%T became %T", m, m2)
	}
	return m, nil
}

// decodeAll reads the values of a message into all kinds of types, to see that none panics.
func decodeAll(m hubbub.Message) {
	var values []hubbub.Value
	switch m := m.(type) {
	case *hubbub.Invocation:
		for i := range m.Args.Len() {
			values = append(values, m.Args.At(i))
		}
	case *hubbub.StreamItem:
		values = append(values, m.Item)
	case *hubbub.Completion:
		values = append(values, m.Result)
	}
	for _, x := range values {
		for _, t := range packTypes {
			_ = x.Decode(reflect.New(t).Interface())
		}
	}
}

var trailingComma = regexp.MustCompile(`,\s*\]`)

func FuzzJSON(f *testing.F) {
	for _, c := range written {
		f.Add([]byte(c.json))
	}
	for _, seed := range []string{`{"arguments":[1,{"a":null}],"target":"\u00e9\ud83d\ude00","type":1,"streamIds":["1"],"headers":{"a":"b"}}`, `{"type":1,"target":"A","arguments":[1,]}`, `{"type":6}x`, `[`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		p := newJSON(hubbub.CamelCase)
		m, err := again(t, p, record)
		decodeAll(m)

		// What encoding/json takes for an object is one here too and the other way round.
		var object map[string]json.RawMessage
		first := json.NewDecoder(bytes.NewReader(record)).Decode(&object)
		broken := err != nil && strings.Contains(err.Error(), "Error reading JSON.")
		if trailingComma.Match(record) {
			return // behind the last argument it fails only its call
		}
		switch {
		case broken && first == nil && object != nil && !tooDeep(record):
			t.Fatalf("refused %q: %v", record, err)
		case err == nil && first != nil:
			t.Fatalf("took %q, which encoding/json refuses: %v", record, first)
		}
	})
}

// tooDeep reports whether brackets may nest deeper than is allowed: encoding/json goes on to 10000.
func tooDeep(record []byte) bool {
	return bytes.Count(record, []byte("["))+bytes.Count(record, []byte("{")) > 64
}

func FuzzMessagePack(f *testing.F) {
	for _, c := range written {
		f.Add(unhex(c.pack[2:]))
	}
	for _, seed := range []string{"960180a130a158ddffffffff010101", "950180a0a4466972659101", "9207c0", "940280a13081a161d6ff00000000", "c1", ""} {
		f.Add(unhex(seed))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		m, _ := again(t, newMessagePack(), record)
		decodeAll(m)
		if n, err := valueLen(append(record[:len(record):len(record)], 0xc0)); err == nil && n > len(record)+1 {
			t.Fatalf("value of %d bytes in %d", n, len(record)+1)
		}
		if _, n, err := newMessagePack().next(record, 100); err != nil && n != 0 || n > 100 || n > len(record) {
			t.Fatalf("next: %d of %d, %v", n, len(record), err)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	for _, seed := range []string{`{"protocol":"json","version":1}`, `{"version":-2,"protocol":"\u00e9"}`, `{"protocol":null}`, `{}x`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		h, err := parseHandshake(record)
		if err != nil {
			if strings.HasPrefix(classAndText(err), "not an error of a class") {
				t.Fatal(classAndText(err))
			}
			return
		}
		out := jsonvalue.AppendString([]byte(`{"protocol":`), h.Protocol)
		out, err = handshakeCodec.Append(append(out, `,"version":`...), h.Version)
		if err != nil {
			t.Fatal(err)
		}
		if h2, err := parseHandshake(append(out, '}')); err != nil || h2 != h {
			t.Fatalf("%+v became %+v, %v", h, h2, err)
		}
		answer := appendHandshake(nil, h.Protocol)
		var got struct{ Error string }
		if err := json.Unmarshal(answer[:len(answer)-1], &got); err != nil || got.Error != h.Protocol {
			t.Fatalf("answer %q: %q, %v", answer, got.Error, err)
		}
	})
}

// anyMessage draws a message of any type with values that both protocols have.
func anyMessage(t *rapid.T) hubbub.Message {
	text := rapid.String()
	id := rapid.StringN(1, 8, -1)
	var value *rapid.Generator[any]
	value = rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(text, func(s string) any { return s }),
		rapid.Map(rapid.Int32(), func(n int32) any { return float64(n) + 0.5 }),
		rapid.Deferred(func() *rapid.Generator[any] {
			return rapid.Map(rapid.SliceOfN(value, 0, 3), func(list []any) any { return append([]any{}, list...) })
		}),
		rapid.Deferred(func() *rapid.Generator[any] {
			return rapid.Map(rapid.MapOfN(text, value, 0, 3), func(m map[string]any) any { return m })
		}),
	)
	switch rapid.IntRange(1, 7).Draw(t, "type") {
	case 1:
		in := &hubbub.Invocation{Target: id.Draw(t, "target"), Args: hubbub.ArgsOf(rapid.SliceOfN(value, 1, 6).Draw(t, "args")...), ID: text.Draw(t, "id")}
		in.StreamIDs = rapid.SliceOfN(id, 0, 3).Draw(t, "streams")
		in.Headers = rapid.MapOfN(id, id, 0, 3).Draw(t, "headers")
		if len(in.StreamIDs) == 0 {
			in.StreamIDs = nil
		}
		if len(in.Headers) == 0 {
			in.Headers = nil
		}
		in.Stream = in.ID != "" && rapid.Bool().Draw(t, "stream")
		return in
	case 2:
		return &hubbub.StreamItem{InvocationID: id.Draw(t, "id"), Item: hubbub.ValueOf(value.Draw(t, "item"))}
	case 3:
		c := &hubbub.Completion{InvocationID: id.Draw(t, "id"), Error: text.Draw(t, "error")}
		if c.Error == "" {
			c.HasResult, c.Result = true, hubbub.ValueOf(value.Draw(t, "result"))
		}
		return c
	case 4:
		return &hubbub.CancelInvocation{InvocationID: id.Draw(t, "id")}
	case 5:
		return &hubbub.Close{Error: text.Draw(t, "error"), AllowReconnect: rapid.Bool().Draw(t, "reconnect")}
	case 6:
		return ack{rapid.Int64().Draw(t, "sequence")}
	default:
		return sequence{rapid.Int64().Draw(t, "sequence")}
	}
}

// TestRoundTrip: what a program writes is what the other side reads, in both protocols.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := anyMessage(rt)
		for _, p := range []protocol{newJSON(hubbub.CamelCase), newJSON(hubbub.AsDeclared), newMessagePack()} {
			out, err := p.Append(nil, m)
			if err != nil {
				rt.Fatalf("%s: append: %v", p.Name(), err)
			}
			record, n, err := p.next(out, len(out))
			if err != nil || n != len(out) {
				rt.Fatalf("%s: next of %q: %d, %v", p.Name(), out, n, err)
			}
			got, err := p.parse(record)
			if err != nil {
				rt.Fatalf("%s: parse %q: %v", p.Name(), out, err)
			}
			if plain := plainMessage(t, got); !reflect.DeepEqual(plain, m) {
				rt.Fatalf("%s: %q is %#v, want %#v", p.Name(), out, plain, m)
			}
		}
	})
}
