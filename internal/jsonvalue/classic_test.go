package jsonvalue_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

func TestClassicWrite(t *testing.T) {
	t.Parallel()
	utc := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	one := 1.0
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, `null`}, {true, `true`}, {7, `7`}, {"é", `"é"`}, {[]byte{0xfb, 0xff, 0xfe}, `"+//+"`}, {[]byte(nil), `null`}, {kind(7), `7`},
		{1.0, `1.0`}, {&one, `1.0`}, {0.1, `0.1`}, {-1.5, `-1.5`}, {1e14, `100000000000000.0`}, {1e16, `1E+16`}, {1e-7, `1E-07`}, {math.Copysign(0, -1), `-0.0`},
		{float32(1), `1.0`}, {float32(0.1), `0.1`}, {math.MaxFloat64, `1.7976931348623157E+308`}, {[]float64{1, 2.5}, `[1.0,2.5]`},
		{math.NaN(), `"NaN"`}, {math.Inf(1), `"Infinity"`}, {float32(math.Inf(-1)), `"-Infinity"`}, {[]any{math.NaN()}, `["NaN"]`},
		{90 * time.Second, `"00:01:30"`}, {utc, `"2024-01-02T03:04:05Z"`}, {utc.Add(120 * time.Millisecond), `"2024-01-02T03:04:05.12Z"`},
		{utc.In(time.FixedZone("", 3600)), `"2024-01-02T04:04:05+01:00"`},
		{inner{Number: 5}, `{"Number":5,"TextValue":null}`}, {named1{ID: "x"}, `{"URLPath":"","ID":"x","IPAddress":"","A":"","X1Y":"","Lower":0,"TAGGED":0,"Quoted":"0"}`},
		{map[string]any{"b": nil, "A": 1.0}, `{"A":1.0,"b":null}`}, {map[bool]int{true: 1}, `{"True":1}`}, {shout("x"), `"X"`}, {[]int(nil), `null`},
		{uuid{1}, `"01000000-0000-0000-0000-000000000000"`}, {json.RawMessage(`{"a": 1}`), `{"a": 1}`}, {json.Number("1.50"), `1.50`}, {hubbub.ValueOf(1.0), `1.0`},
	} {
		got, err := jsonvalue.NewClassic(hubbub.AsDeclared).Append(nil, c.v)
		if err != nil || string(got) != c.want {
			t.Errorf("write %#v: %s, %v, want %s", c.v, got, err, c.want)
		}
	}
	got, err := jsonvalue.NewClassic(hubbub.CamelCase).Append(nil, inner{})
	if err != nil || string(got) != `{"number":0,"textValue":null}` {
		t.Errorf("in camel case: %s, %v", got, err)
	}
}

// kind is an enum without a text of its own.
type kind int

func TestClassicStrings(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\"\\/<>&'+`=":                   `"\"\\/<>&'+` + "`" + `="`,
		"tab\tnl\nr\rb\bf\f\x00\x1e\x7f": `"tab\tnl\nr\rb\bf\f\u0000\u001e` + "\x7f\"",
		"\u0085\u2028\u2029":             `"\u0085\u2028\u2029"`,
		"\u00a0\u0080\ufeff\ue000é字🎉":    "\"\u00a0\u0080\ufeff\ue000é字🎉\"",
		"a\xffb\xc3":                     "\"a\ufffdb\ufffd\"",
		"":                               `""`,
	} {
		if got := string(jsonvalue.AppendClassicString(nil, in)); got != want {
			t.Errorf("write %q: %s, want %s", in, got, want)
		}
	}
}

func TestClassicRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	x := "x"
	for _, c := range []struct {
		raw  string
		want any
	}{
		{`5`, 5}, {`"5"`, 5}, {`" -5 "`, -5}, {`"+5"`, int32(5)}, {`"255"`, uint8(255)}, {`"5"`, kind(5)}, {`"5"`, int64(5)}, {`"007"`, uint16(7)},
		{`5.0`, int64(5)}, {`1e3`, uint32(1000)}, {`true`, int64(1)}, {`false`, int8(0)}, {`-0`, 0}, {`18446744073709551615`, uint64(math.MaxUint64)},
		{`5`, "5"}, {`1.50`, "1.50"}, {`1e2`, "1e2"}, {`true`, "true"}, {`false`, "false"}, {`null`, ""}, {`"x"`, "x"}, {`"2024-01-02T03:04:05Z"`, "2024-01-02T03:04:05Z"},
		{`true`, true}, {`"true"`, true}, {`" FALSE "`, false}, {`1`, true}, {`0`, false}, {`-0.5`, true}, {`0.0`, false},
		{`1.5`, 1.5}, {`"1.5"`, 1.5}, {`7`, 7.0}, {`" -1E3 "`, -1000.0}, {`"Infinity"`, math.Inf(1)}, {`"-infinity"`, math.Inf(-1)}, {`"1.5"`, float32(1.5)}, {`1e400`, math.Inf(1)},
		{`"+//+"`, []byte{0xfb, 0xff, 0xfe}}, {`" +/ /+ "`, []byte{0xfb, 0xff, 0xfe}}, {`[1,"2",255]`, []byte{1, 2, 255}}, {`null`, []byte(nil)}, {`""`, []byte{}}, {`"AQID"`, [3]byte{1, 2, 3}},
		{`"2024-01-02T03:04:05Z"`, at}, {`"2024-01-02T03:04:05"`, at}, {`"2024-01-02 03:04:05"`, at}, {`" 2024-01-02 "`, at.Truncate(24 * time.Hour)},
		{`"\/Date(1704164645000)\/"`, at}, {`"00:01:30"`, 90 * time.Second}, {`" 1.00:00:00"`, 24 * time.Hour},
		{`{"NUMBER":"5","unknown":[{}],"textValue":7}`, inner{Number: 5, TextValue: text("7")}}, {`null`, inner{}}, {`""`, inner{}}, {`""`, []int(nil)}, {`""`, map[string]int(nil)}, {`""`, (*int)(nil)},
		{`""`, (*time.Time)(nil)}, {`null`, (*int)(nil)}, {`"x"`, &x}, {`["1",2,3]`, []int{1, 2, 3}}, {`{"a":"1"}`, map[string]int{"a": 1}}, {`{"1":"a"}`, map[int]string{1: "a"}},
		{`[1,"a",null,true,{"b":[1.5]}]`, []any{1.0, "a", nil, true, map[string]any{"b": []any{1.5}}}}, {`""`, any("")}, {`"1.50"`, json.Number("1.50")}, {`1.50`, json.Number("1.50")},
		{`"\ud800x\udc00"`, "\ufffdx\ufffd"}, {`"\ud83d\ude00"`, "😀"}, {"\"\xff\\n\"", "\ufffd\n"}, {`"5"`, level(5)}, {`5`, level(5)}, {`5`, dial(5)}, {`1.5`, tag{"1.5"}}, {`null`, tag{}}, {`{"Quoted":5}`, named1{Quoted: 5}},
		{`"01000000-0000-0000-0000-000000000000"`, uuid{1}}, {`"01000000000000000000000000000000"`, uuid{1}}, {`"true"`, any("true")},
	} {
		got := reflect.New(reflect.TypeOf(c.want))
		err := jsonvalue.NewClassic(hubbub.AsDeclared).Decode([]byte(c.raw), got.Interface())
		if err != nil || !reflect.DeepEqual(got.Elem().Interface(), c.want) {
			t.Errorf("read %s: %#v, %v, want %#v", c.raw, got.Elem(), err, c.want)
		}
	}
	var f float64
	if err := jsonvalue.NewClassic(hubbub.AsDeclared).Decode([]byte(`"NaN"`), &f); err != nil || !math.IsNaN(f) {
		t.Errorf(`read "NaN": %v, %v`, f, err)
	}
	var when time.Time
	if err := jsonvalue.NewClassic(hubbub.AsDeclared).Decode([]byte(`"/Date(1704164645000+0130)/"`), &when); err != nil || when.Format(time.RFC3339) != "2024-01-02T04:34:05+01:30" {
		t.Errorf("read an old date with an offset: %v, %v", when, err)
	}
}

func text(s string) *string { return &s }

type (
	// level is an enum that is written as its name.
	level int
	// dial is one of those without a sign.
	dial uint8
	// tag is a text of its own.
	tag struct{ text string }
)

func (l level) MarshalText() ([]byte, error) { return []byte(strings.Repeat("I", int(l))), nil }

func (l *level) UnmarshalText(text []byte) error {
	*l = level(text[0] - '0')
	return nil
}

func (d *dial) UnmarshalText([]byte) error { return errors.New("not a text") }

func (t *tag) UnmarshalText(text []byte) error {
	t.text = string(text)
	return nil
}

func TestClassicRefusals(t *testing.T) {
	t.Parallel()
	const reader, serializer = "JsonReaderException: ", "JsonSerializationException: "
	type list struct{ Items []inner }
	for _, c := range []struct {
		raw  string
		into any
		want string
	}{
		{`"x"`, new(int), reader + "Could not convert string to integer: x. Path '', line 1, position 3."},
		{`"99999999999"`, new(int32), reader + "Could not convert string to integer: 99999999999. Path '', line 1, position 13."},
		{`1.5`, new(int), reader + "Input string '1.5' is not a valid integer. Path '', line 1, position 3."},
		{`1.0`, new(int16), reader + "Input string '1.0' is not a valid integer. Path '', line 1, position 3."},
		{`2147483648`, new(int32), reader + "JSON integer 2147483648 is too large or small for an Int32. Path '', line 1, position 10."},
		{`256`, new(uint8), serializer + "Error converting value 256 to type 'System.Byte'. Path '', line 1, position 3."},
		{`null`, new(int), serializer + "Error converting value {null} to type 'System.Int32'. Path '', line 1, position 4."},
		{`""`, new(int), serializer + "Error converting value {null} to type 'System.Int32'. Path '', line 1, position 2."},
		{`true`, new(int), reader + "Unexpected character encountered while parsing value: t. Path '', line 1, position 1."},
		{`{"a":1}`, new(int), reader + "Unexpected character encountered while parsing value: {. Path '', line 1, position 1."},
		{`"x"`, new(int64), serializer + "Error converting value \"x\" to type 'System.Int64'. Path '', line 1, position 3."},
		{`""`, new(uint32), serializer + "Error converting value \"\" to type 'System.UInt32'. Path '', line 1, position 2."},
		{`1.5`, new(int64), serializer + "Error converting value 1.5 to type 'System.Int64'. Path '', line 1, position 3."},
		{`-1`, new(uint64), serializer + "Error converting value -1 to type 'System.UInt64'. Path '', line 1, position 2."},
		{`[1]`, new(int64), serializer + "Cannot deserialize the current JSON array (e.g. [1,2,3]) into type 'System.Int64' because the type requires a " +
			"JSON primitive value (e.g. string, number, boolean, null) to deserialize correctly. Path '', line 1, position 1."},
		{`{}`, new(string), reader + "Unexpected character encountered while parsing value: {. Path '', line 1, position 1."},
		{`[1]`, new(string), reader + "Unexpected character encountered while parsing value: [. Path '', line 1, position 1."},
		{`null`, new(bool), serializer + "Error converting value {null} to type 'System.Boolean'. Path '', line 1, position 4."},
		{`"yes"`, new(bool), reader + "Could not convert string to boolean: yes. Path '', line 1, position 5."},
		{`{}`, new(bool), reader + "Unexpected character encountered while parsing value: {. Path '', line 1, position 1."},
		{`"0x10"`, new(float64), reader + "Could not convert string to double: 0x10. Path '', line 1, position 6."},
		{`null`, new(float32), serializer + "Error converting value {null} to type 'System.Single'. Path '', line 1, position 4."},
		{`true`, new(float64), reader + "Unexpected character encountered while parsing value: t. Path '', line 1, position 1."},
		{`"x"`, new(json.Number), reader + "Could not convert string to decimal: x. Path '', line 1, position 3."},
		{`"x"`, new(time.Time), reader + "Could not convert string to DateTime: x. Path '', line 1, position 3."},
		{`"/Date(1e3)/"`, new(time.Time), reader + "Could not convert string to DateTime: /Date(1e3)/. Path '', line 1, position 13."},
		{`null`, new(time.Time), serializer + "Error converting value {null} to type 'System.DateTime'. Path '', line 1, position 4."},
		{`""`, new(time.Time), serializer + "Error converting value {null} to type 'System.DateTime'. Path '', line 1, position 2."},
		{`5`, new(time.Time), reader + "Unexpected character encountered while parsing value: 5. Path '', line 1, position 1."},
		{`5`, new(time.Duration), serializer + "Error converting value 5 to type 'System.TimeSpan'. Path '', line 1, position 1."},
		{`"x"`, new(uuid), serializer + "Error converting value \"x\" to type 'System.Guid'. Path '', line 1, position 3."},
		{`null`, new(uuid), serializer + "Error converting value {null} to type 'System.Guid'. Path '', line 1, position 4."},
		{`1.5`, new(level), serializer + "Error converting value 1.5 to type 'level'. Path '', line 1, position 3."},
		{`256`, new(dial), serializer + "Error converting value 256 to type 'dial'. Path '', line 1, position 3."},
		{`"x"`, new(dial), serializer + "Error converting value \"x\" to type 'dial'. Path '', line 1, position 3."},
		{`false`, new(uuid), serializer + "Error converting value False to type 'System.Guid'. Path '', line 1, position 5."},
		{`5`, new([]byte), reader + "Unexpected character encountered while parsing value: 5. Path '', line 1, position 1."},
		{`"+"`, new([]byte), reader + "The input is not a valid Base-64 string. Path '', line 1, position 3."},
		{`[1,256]`, new([]byte), serializer + "Error converting value 256 to type 'System.Byte'. Path '[1]', line 1, position 6."},
		{`5`, new(inner), serializer + "Error converting value 5 to type 'inner'. Path '', line 1, position 1."},
		{`true`, new([]int), serializer + "Error converting value True to type 'System.Int32[]'. Path '', line 1, position 4."},
		{`[]`, new(inner), serializer + "Cannot deserialize the current JSON array (e.g. [1,2,3]) into type 'inner' because the type requires a " +
			`JSON object (e.g. {"name":"value"}) to deserialize correctly. Path '', line 1, position 1.`},
		{`{}`, new([]int), serializer + `Cannot deserialize the current JSON object (e.g. {"name":"value"}) into type 'System.Int32[]' because the type requires a ` +
			"JSON array (e.g. [1,2,3]) to deserialize correctly. Path '', line 1, position 1."},
		{"{\"items\":[\n {},{\"😀\":1, \"number\":null}]}", new(list), serializer + "Error converting value {null} to type 'System.Int32'. Path 'items[1].number', line 2, position 26."},
		{`{"a b":"x"}`, new(map[string]int), reader + "Could not convert string to integer: x. Path '['a b']', line 1, position 10."},
		{`{"x":1}`, new(map[int]int), serializer + "Could not convert string 'x' to dictionary key type 'System.Int32'. Path 'x', line 1, position 5."},
		{`1 2`, new(int), reader + "Unexpected character encountered while parsing value: 2. Path '', line 1, position 3."},
		{`[1`, new([]int), reader + "Unexpected end of content while loading JSON. Path '', line 1, position 2."},
		{strings.Repeat("[", 21) + strings.Repeat("]", 21), new(any), reader + "The reader's MaxDepth of 20 has been exceeded. Path '', line 1, position 20."},
		{`5`, new(hubbub.Message), serializer + "Error converting value 5 to type 'Message'. Path '', line 1, position 1."},
		{`5`, nil, serializer + "decode into <nil>, want a pointer. Path '', line 1, position 0."},
	} {
		err := jsonvalue.NewClassic(hubbub.AsDeclared).Decode([]byte(c.raw), c.into)
		if got := classAndText(err); got != c.want {
			t.Errorf("decode %s into %T:\n%s\nwant\n%s", c.raw, c.into, got, c.want)
		}
	}
}

// TestClassicDepth: 20 levels are read, and more are written.
func TestClassicDepth(t *testing.T) {
	t.Parallel()
	c := jsonvalue.NewClassic(hubbub.AsDeclared)
	var v any
	if err := c.Decode([]byte(strings.Repeat("[", 20)+strings.Repeat("]", 20)), &v); err != nil {
		t.Errorf("20 deep: %v", err)
	}
	for range 20 {
		v = []any{v}
	}
	if out, err := c.Append(nil, v); err != nil || len(out) != 80 {
		t.Errorf("write 40 deep: %s, %v", out, err)
	}
	s := c.Scan([]byte(strings.Repeat("[", 21)))
	for range 20 {
		if err := s.Enter(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Enter(); err == nil {
		t.Error("entered the 21st level")
	}
}

// TestBetweenForms: what came in one form goes on as it is in the other, and inside a struct too.
func TestBetweenForms(t *testing.T) {
	t.Parallel()
	core, classic := jsonvalue.New(hubbub.CamelCase), jsonvalue.NewClassic(hubbub.AsDeclared)
	for _, c := range []struct{ from, to *jsonvalue.Codec }{{core, classic}, {classic, core}, {core, core}, {classic, classic}} {
		x := hubbub.RawValue([]byte(`{"A": 1.0}`), c.from)
		if out, err := c.to.AppendValue([]byte("x"), x); err != nil || string(out) != `x{"A": 1.0}` {
			t.Errorf("pass on: %s, %v", out, err)
		}
		var held struct{ V hubbub.Value }
		if err := c.from.Decode([]byte(`{"v":{"A": 1.0}}`), &held); err != nil {
			t.Fatal(err)
		}
		out, err := c.to.Append(nil, []any{held.V})
		if err != nil || string(out) != `[{"A": 1.0}]` {
			t.Errorf("pass on what a struct held: %s, %v", out, err)
		}
	}
}
