package jsonvalue_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// classAndText is what a client reads of an error with detailed errors on.
func classAndText(err error) string {
	if err == nil {
		return "no error"
	}
	e, ok := errors.AsType[*hubbub.Error](err)
	if !ok {
		return "not an error of a class: " + err.Error()
	}
	return e.Class + ": " + e.Message
}

func TestRead(t *testing.T) {
	t.Parallel()
	one := 1
	for _, c := range []struct {
		raw  string
		want any
	}{
		{`null`, ""}, {`null`, []byte(nil)}, {`null`, []int(nil)}, {`null`, map[string]int(nil)}, {`null`, (*int)(nil)}, {`null`, inner{}}, {`null`, json.RawMessage("null")},
		{`-0`, 0}, {` 1 `, 1}, {`1`, &one}, {`255`, uint8(255)}, {`-9223372036854775808`, int64(math.MinInt64)}, {`18446744073709551615`, uint64(math.MaxUint64)},
		{`1e400`, math.Inf(1)}, {`-1e39`, float32(math.Inf(-1))}, {`"\u00e9\/\ud83d\ude00"`, "é/😀"}, {`"+//+"`, []byte{0xfb, 0xff, 0xfe}}, {`"AQI="`, []octet{1, 2}},
		{`"AQIDBAUG"`, mac{1, 2, 3, 4, 5, 6}}, {`[1,2]`, [2]int{1, 2}}, {`{"b":1,"b":2}`, map[string]int{"b": 2}}, {`{"-5":"b"}`, map[int]string{-5: "b"}},
		{`{"x":1}`, map[any]int{"x": 1}}, {`[1,"a",null,true,{"b":[]}]`, []any{1.0, "a", nil, true, map[string]any{"b": []any{}}}},
		{`{"URLPATH":"u","tagged":1,"left":"l","quoted":"5","hidden":3,"private":4}`, named1{URLPath: "u", Tagged: 1, Left: "l", Quoted: 5}},
		{`{"quoted":6}`, named1{Quoted: 6}}, {`{"number":1,"Number":2}`, inner{Number: 2}}, {`{"next":{"next":null,"value":5}}`, node{Next: &node{Value: 5.0}}},
		{`{"other":5,"OWN":6}`, deep{&Deeper{Other: 5}, 6}}, {`{"box":{"n":1},"inner":{"n":2}}`, boxed{Box: Deeper2{1}, Deeper2: Deeper2{2}}},
		{`[1, 2]`, json.RawMessage(`[1, 2]`)}, {`{"r": [1] }`, struct{ R json.RawMessage }{json.RawMessage(`[1]`)}}, {`12345678901234567890`, json.Number("12345678901234567890")},
		{`{"a":1}`, byPointer{7}}, {`7`, *big.NewInt(7)}, {`"::1"`, netip.MustParseAddr("::1")},
	} {
		got := reflect.New(reflect.TypeOf(c.want))
		if err := jsonvalue.New(hubbub.CamelCase).Decode([]byte(c.raw), got.Interface()); err != nil || !reflect.DeepEqual(got.Elem().Interface(), c.want) {
			t.Errorf("read %s: %#v, %v, want %#v", c.raw, got.Elem(), err, c.want)
		}
	}
	for raw, into := range map[string]any{
		`[1]`: new([2]int), `[1,2,3]`: new([2]int), `"AQI="`: new(mac), `{"a":1}`: new(map[int]int), `1`: new(hubbub.Message), `{}`: new(chan int),
		`{"quoted":"5x"}`: new(named1), `"x"`: new(json.Number), `null`: new(uuid), `{"True":1,"yes":2}`: new(map[bool]int), `5`: new(loop),
	} {
		if err := jsonvalue.New(hubbub.CamelCase).Decode([]byte(raw), into); err == nil {
			t.Errorf("read %s into %T: %v, want it refused", raw, into, reflect.ValueOf(into).Elem())
		}
	}
}

// decodeText reads a value that is the text in JSON.
func decodeText[T any](text string) (v T, err error) {
	err = jsonvalue.New(hubbub.CamelCase).Decode([]byte(`"`+text+`"`), &v)
	return v, err
}

func TestTimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2024-01-02T03:04:05Z": at, "2024-01-02T03:04:05": at, "2024-01-02T05:04:05+02:00": at, "2024-01-01T21:34:05-05:30": at, "2024-01-02T05:04:05+02": at,
		"2024-01-02T03:04:05.123456789Z": at.Add(123456700), "2024-01-02T03:04Z": at.Add(-5 * time.Second), "2024-01-02": at.Truncate(24 * time.Hour),
		"2024-02-29T23:59:59.9Z": time.Date(2024, 2, 29, 23, 59, 59, 9e8, time.UTC),
	} {
		if got, err := decodeText[time.Time](text); err != nil || !got.Equal(want) {
			t.Errorf("read %s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2024", "2024-01", "2024-1-2", "2024-01-02 03:04:05", "01/02/2024", "2024-01-02T", "2024-01-02T03", "2024-01-02T24:00", "2024-01-02T03:60",
		"2024-01-02T03:04:60Z", "2024-01-02T03:04:05.Z", "2024-01-02T03:04:05ZZ", "2024-01-02Z", "2023-02-29", "2024-13-01", "2024-00-01", "2024-01-00", "0000-01-01",
		"2024-01-02T03:04:05+2:00", "2024-01-02T03:04:05+15:00", "2024-01-02T03:04:05+02:60", "2024-01-02T03:04:05 +02:00", "2024-01-02T03:04:05z", "-024-01-02"} {
		if got, err := decodeText[time.Time](text); err == nil {
			t.Errorf("read %q: %v, want it refused", text, got)
		}
	}
	for text, want := range map[string]time.Duration{
		"00:00:00": 0, "00:01:30": 90 * time.Second, "-00:01:30": -90 * time.Second, "1.02:03:04.0050000": 26*time.Hour + 3*time.Minute + 4005*time.Millisecond,
		"90": 90 * 24 * time.Hour, "03:04": 3*time.Hour + 4*time.Minute, "1.02:03": 26*time.Hour + 3*time.Minute, "00:00:00.0000001": 100,
		"106751.23:47:16.8547758": math.MaxInt64 - 7, "-106751.23:47:16.8547758": math.MinInt64 + 8, "00:00:01.5": 1500 * time.Millisecond,
	} {
		if got, err := decodeText[time.Duration](text); err != nil || got != want {
			t.Errorf("read %s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "25:00:00", "00:60:00", "00:00:60", "1:2:3:4", "1.", "1.2", "00:00:00.12345678", "00:00:00.", "106751.23:47:16.8547759", "-106752.00:00:00",
		"10675199.02:48:05", "99999999", "123456789", "+00:00:01", "00:00:01 ", " 00:00:01", "a"} {
		if got, err := decodeText[time.Duration](text); err == nil {
			t.Errorf("read %q: %v, want it refused", text, got)
		}
	}
}
func TestStrings(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\"\\/<>&'+`=":                   `"\"\\/<>&'+` + "`" + `="`,
		"tab\tnl\nr\rb\bf\f\x00\x1e\x7f": `"tab\tnl\nr\rb\bf\f\u0000\u001E\u007F"`,
		"\u0080\u009f":                   `"\u0080\u009F"`,
		"\u00a0\u3000\u2003":             `"\u00A0\u3000\u2003"`,
		"\u2028\u2029\ufeff\ue000\u0378": `"\u2028\u2029\uFEFF\uE000\u0378"`,
		"é€ťя字\u200d\u00ad":              "\"é€ťя字\u200d\u00ad\"",
		"🎉😀":                             `"\uD83C\uDF89\uD83D\uDE00"`,
		"\u0897\u2427\ua7dc":             "\"\u0897\u2427\ua7dc\"",
		"\ufffd":                         "\"\ufffd\"",
		"a\xffb\xc3":                     `"a\uFFFDb\uFFFD"`,
	} {
		if got := string(jsonvalue.AppendString(nil, in)); got != want {
			t.Errorf("write %q: %s, want %s", in, got, want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	type list struct{ Items []inner }
	for _, c := range []struct {
		raw  string
		into any
		want string
	}{
		{`"x"`, new(int), "The JSON value could not be converted to System.Int32. Path: $ | LineNumber: 0 | BytePositionInLine: 3."},
		{`1.0`, new(int32), "The JSON value could not be converted to System.Int32. Path: $ | LineNumber: 0 | BytePositionInLine: 3."},
		{`null`, new(int64), "The JSON value could not be converted to System.Int64. Path: $ | LineNumber: 0 | BytePositionInLine: 4."},
		{`1`, new(string), "The JSON value could not be converted to System.String. Path: $ | LineNumber: 0 | BytePositionInLine: 1."},
		{`[true]`, new(bool), "The JSON value could not be converted to System.Boolean. Path: $ | LineNumber: 0 | BytePositionInLine: 1."},
		{`"1.5"`, new(float64), "The JSON value could not be converted to System.Double. Path: $ | LineNumber: 0 | BytePositionInLine: 5."},
		{`"Utc 2024-01-02T03:04:05.0000000Z"`, new(time.Time), "The JSON value could not be converted to System.DateTime. Path: $ | LineNumber: 0 | BytePositionInLine: 34."},
		{`5`, new([]byte), "The JSON value could not be converted to System.Byte[]. Path: $ | LineNumber: 0 | BytePositionInLine: 1."},
		{`""`, new(uuid), "The JSON value could not be converted to System.Guid. Path: $ | LineNumber: 0 | BytePositionInLine: 2."},
		{`[]`, new(inner), "The JSON value could not be converted to inner. Path: $ | LineNumber: 0 | BytePositionInLine: 1."},
		{`[1,"2"]`, new([]int), "The JSON value could not be converted to System.Int32. Path: $[1] | LineNumber: 0 | BytePositionInLine: 6."},
		{"{\"items\":[\n {\"number\":null}]}", new(list), "The JSON value could not be converted to System.Int32. Path: $.items[0].number | LineNumber: 1 | BytePositionInLine: 15."},
		{`{"a b":256}`, new(map[string]uint8), "The JSON value could not be converted to System.Byte. Path: $['a b'] | LineNumber: 0 | BytePositionInLine: 10."},
		{`5`, new(map[string]int), "The JSON value could not be converted to System.Collections.Generic.Dictionary`2[System.String,System.Int32]. Path: $ | LineNumber: 0 | BytePositionInLine: 1."},
		{`1 2`, new(int), "The JSON value could not be read: not valid JSON. Path: $ | LineNumber: 0 | BytePositionInLine: 2."},
		{`[1,]`, new([]int), "The JSON value could not be read: not valid JSON: trailing comma. Path: $ | LineNumber: 0 | BytePositionInLine: 3."},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), new(any), "The JSON value could not be read: JSON nests deeper than 64. Path: $ | LineNumber: 0 | BytePositionInLine: 64."},
	} {
		err := jsonvalue.New(hubbub.CamelCase).Decode([]byte(c.raw), c.into)
		if got := classAndText(err); got != "JsonException: "+c.want {
			t.Errorf("decode %s into %T:\n%s\nwant\n%s", c.raw, c.into, got, c.want)
		}
	}
	for _, into := range []any{nil, 5, (*inner)(nil)} {
		if err := jsonvalue.New(hubbub.CamelCase).Decode([]byte("1"), into); err == nil {
			t.Errorf("decode into %#v: no error", into)
		}
	}
}

func TestTypeNames(t *testing.T) {
	t.Parallel()
	codec := jsonvalue.New(hubbub.CamelCase)
	for _, c := range []struct {
		v    any
		want string
	}{
		{new(int), "Int32"}, {int32(1), "Int32"}, {new(int64), "Int64"}, {new(uint8), "Byte"}, {new(float32), "Single"},
		{new(*string), "String"}, {new(bool), "Boolean"}, {new([]byte), "Byte[]"}, {new([]*int), "Int32[]"}, {new(time.Time), "DateTime"},
		{new(time.Duration), "TimeSpan"}, {new(uuid), "Guid"}, {new(any), "Object"}, {new(inner), "inner"}, {new(color), "color"},
		{new(map[string]int), "Dictionary`2"}, {new(json.RawMessage), "JsonElement"}, {nil, "Object"},
	} {
		if got := codec.TypeName(c.v); got != c.want {
			t.Errorf("type name of %T: %s, want %s", c.v, got, c.want)
		}
	}
}
