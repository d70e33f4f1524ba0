package signalr

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/hubbub-go/hubbub"
)

func TestMessagePackMessages(t *testing.T) {
	t.Parallel()
	p := newMessagePack()
	for _, c := range written {
		got, err := p.Append([]byte("x"), c.message)
		if err != nil || hex.EncodeToString(got) != "78"+c.pack {
			t.Errorf("append %s: %x, %v", c.pack, got, err)
		}
		record, n, err := p.next(append(unhex(c.pack), 0x91), 0)
		if err != nil || n != len(c.pack)/2 || hex.EncodeToString(record) != c.pack[2:] {
			t.Fatalf("next of %s: %x, %d, %v", c.pack, record, n, err)
		}
		m, err := p.parse(record)
		if err != nil {
			t.Errorf("parse %s: %v", c.pack, err)
			continue
		}
		if plain := plainMessage(t, m); !reflect.DeepEqual(plain, c.message) {
			t.Errorf("parse %s: %#v, want %#v", c.pack, plain, c.message)
		}
		if again, err := p.Append(nil, m); err != nil || hex.EncodeToString(again) != c.pack {
			t.Errorf("append what was parsed: %x, %v, want %s", again, err, c.pack)
		}
	}
}

// TestMessagePackForms reads messages in other forms than those of .NET.
func TestMessagePackForms(t *testing.T) {
	t.Parallel()
	p := newMessagePack()
	for name, c := range map[string][2]string{
		"five items, as from JavaScript":   {"950180a130a44563686f91a3616263", "960180a130a44563686f91a361626390"},
		"no id":                            {"950180c0a4466972659101", "960180c0a446697265910190"},
		"an empty id counts as none":       {"950180a0a4466972659101", "960180c0a446697265910190"},
		"more items":                       {"970180c0a44669726591019005", "960180c0a446697265910190"},
		"bytes behind the array":           {"950180c0a4466972659101c1c1", "960180c0a446697265910190"},
		"wide integers and arrays":         {"dd00000005d30000000000000001de0000c0db00000004466972" + "65dc000101", "960180c0a446697265910190"},
		"close of JavaScript":              {"9207c0", "9307c0c2"},
		"a longer ping":                    {"920600", "9106"},
		"a completion with a fifth item":   {"950380a1300205", "940380a13002"},
		"a signed result kind":             {"940380a130d002", "940380a13002"},
		"bad UTF-8 in a target":            {"950180c0a1ff90", "960180c0a3efbfbd9090"},
		"nil as the error of a completion": {"950380a13001c0", "940380a13002"},
	} {
		m, err := p.parse(unhex(c[0]))
		if err != nil {
			t.Errorf("%s: %s", name, classAndText(err))
			continue
		}
		got, err := p.Append(nil, m)
		if err != nil || hex.EncodeToString(got[1:]) != c[1] {
			t.Errorf("%s: %x, %v, want %s", name, got[1:], err, c[1])
		}
	}
	for _, record := range []string{"9100", "91ff", "910a", "91cd0101", "92ce7fffffff01"} {
		if m, err := p.parse(unhex(record)); m != nil || err != nil {
			t.Errorf("unknown type %s: %v, %v, want nothing", record, m, err)
		}
	}
}

// packRejections are records that end the connection, and what the client reads then.
func packRejections() [][2]string {
	const data = "InvalidDataException: "
	return [][2]string{
		{"", "EndOfStreamException: Attempted to read past the end of the stream."},
		{"06", "MessagePackSerializationException: Unexpected msgpack code 6 (positive fixint) encountered."},
		{"80", "MessagePackSerializationException: Unexpected msgpack code 128 (fixmap) encountered."},
		{"c0", "MessagePackSerializationException: Unexpected msgpack code 192 (nil) encountered."},
		{"a161", "MessagePackSerializationException: Unexpected msgpack code 161 (fixstr) encountered."},
		{"ff", "MessagePackSerializationException: Unexpected msgpack code 255 (negative fixint) encountered."},
		{"d8", "MessagePackSerializationException: Unexpected msgpack code 216 (fixext 16) encountered."},
		{"df", "MessagePackSerializationException: Unexpected msgpack code 223 (map 32) encountered."},
		{"dd00", "EndOfStreamException: Attempted to read past the end of the stream."},
		{"90", data + "Reading 'messageType' as Int32 failed."},
		{"91a131", data + "Reading 'messageType' as Int32 failed."},
		{"91c0", data + "Reading 'messageType' as Int32 failed."},
		{"91ca3f800000", data + "Reading 'messageType' as Int32 failed."},
		{"91ceffffffff", data + "Reading 'messageType' as Int32 failed."},
		{"9101", data + "Reading map length for 'headers' failed."},
		{"960190a130a14190" + "90", data + "Reading map length for 'headers' failed."},
		{"9601c0a130a14190" + "90", data + "Reading map length for 'headers' failed."},
		{"960181a16101a130a1419090", data + "Reading 'headers[0].Value' as String failed."},
		{"96018101a161a130a1419090", data + "Reading 'headers[0].Key' as String failed."},
		{"960181a0a161a130a1419090", data + "Null or empty key in header."},
		{"960181a161a0a130a1419090", data + "Null or empty value in header."},
		{"960182a161a162a161a163a130a1419090", "ArgumentException: An item with the same key has already been added. Key: a"},
		{"9601dfffffffff", data + "Reading 'headers[0].Key' as String failed."},
		{"96018005a1419090", data + "Reading 'invocationId' as String failed."},
		{"960180c0059090", data + "Reading 'target' as String failed."},
		{"960180c0c4014190" + "90", data + "Reading 'target' as String failed."},
		{"960180c0c09090", data + "Null or empty target for Invocation message."},
		{"960180c0a09090", data + "Null or empty target for Invocation message."},
		{"960180c0a14190c0", data + "Reading array length for 'streamIds' failed."},
		{"960180c0a1419005", data + "Reading array length for 'streamIds' failed."},
		{"960180c0a14190", data + "Reading array length for 'streamIds' failed."},
		{"960180c0a141909105", "MessagePackSerializationException: Unexpected msgpack code 5 (positive fixint) encountered."},
		{"960180c0a1419091c0", data + "Null or empty value in streamIds received."},
		{"960480c0a1419090", data + "Null or empty invocation ID for StreamInvocation message."},
		{"960480a0a1419090", data + "Null or empty invocation ID for StreamInvocation message."},
		{"960480a130c09090", data + "Null or empty target for StreamInvocation message."},
		{"940280c001", data + "Null or empty invocation ID for StreamItem message."},
		{"940380c002", data + "Null or empty invocation ID for Completion message."},
		{"940380a130c0", data + "Reading 'resultKind' as Int32 failed."},
		{"940380a13000", data + "Invalid invocation result kind."},
		{"940380a13004", data + "Invalid invocation result kind."},
		{"950380a1300105", data + "Reading 'error' as String failed."},
		{"940380a13001", data + "Reading 'error' as String failed."},
		{"930580c0", data + "Null or empty invocation ID for CancelInvocation message."},
		{"9107", data + "Reading 'error' as String failed."},
		{"930705c2", data + "Reading 'error' as String failed."},
		{"9307c001", data + "Reading 'allowReconnect' as Boolean failed."},
		{"9307c0c0", data + "Reading 'allowReconnect' as Boolean failed."},
		{"9108", data + "Reading 'sequenceId' as Int64 failed."},
		{"9208a131", data + "Reading 'sequenceId' as Int64 failed."},
		{"9209cfffffffffffffffff", data + "Reading 'sequenceId' as Int64 failed."},
	}
}

func TestMessagePackRejections(t *testing.T) {
	t.Parallel()
	for _, c := range packRejections() {
		m, err := newMessagePack().parse(unhex(c[0]))
		if got := classAndText(err); got != c[1] || m != nil {
			t.Errorf("parse %s: %v, %s, want %s", c[0], m, got, c[1])
		}
	}
}

// TestMessagePackBadArguments: arguments that cannot be read fail their call alone.
func TestMessagePackBadArguments(t *testing.T) {
	t.Parallel()
	const length = "InvalidDataException: Reading array length for 'arguments' failed."
	const binding = "InvalidDataException: Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked."
	for record, want := range map[string]string{
		"940180a130a158":                      length,
		"960180a130a158c090":                  length,
		"960180a130a15880" + "90":             length,
		"960180a130a15892" + "01":             binding,
		"960180a130a15891" + "ddffffffff":     binding,
		"960180a130a158ddffffffff" + "010101": binding,
		"960180a130a15891" + "c1":             binding,
		"960180a130a15891" + "c6ffffffff00":   binding,
	} {
		m, err := newMessagePack().parse(unhex(record))
		if err != nil {
			t.Errorf("parse %s: %s", record, classAndText(err))
			continue
		}
		if in := m.(*hubbub.Invocation); in.ID != "0" || in.Target != "X" || classAndText(in.Args.Err()) != want {
			t.Errorf("parse %s: %s %s %s, want %s", record, in.ID, in.Target, classAndText(in.Args.Err()), want)
		}
	}
	for _, record := range []string{"930280a130", "940280a13093", "950380a1300392"} {
		m, err := newMessagePack().parse(unhex(record))
		if err != nil {
			t.Errorf("parse %s: %s", record, classAndText(err))
			continue
		}
		x := hubbub.Value{}
		switch m := m.(type) {
		case *hubbub.StreamItem:
			x = m.Item
		case *hubbub.Completion:
			x = m.Result
		}
		var v any
		if err := x.Decode(&v); err == nil {
			t.Errorf("parse %s: value %v, want it refused", record, v)
		}
	}
}

func TestMessagePackNext(t *testing.T) {
	t.Parallel()
	p := newMessagePack()
	const twoGB = "FormatException: Messages over 2GB in size are not supported."
	const tooLarge = "InvalidDataException: The maximum message size of 200B was exceeded. The message size can be configured in AddHubOptions."
	body := strings.Repeat("00", 198)
	for _, c := range []struct {
		name, buf string
		max, n    int
		err       string
	}{
		{"nothing", "", 200, 0, "no error"},
		{"half a length", "80", 200, 0, "no error"},
		{"half a body", "0291", 200, 0, "no error"},
		{"an empty body", "00", 200, 1, "no error"},
		{"a message and more", "02910602", 200, 3, "no error"},
		{"a length that is not minimal", "8280009106", 200, 5, "no error"},
		{"the longest form of a length", "82808080009106", 200, 7, "no error"},
		{"as long as allowed", "c601" + body, 200, 200, "no error"},
		{"a byte too long", "c701" + body + "00", 200, 0, tooLarge},
		{"too long as announced", "ffffffff07", 200, 0, tooLarge},
		{"2 GiB with no limit", "ffffffff07", 0, 0, "no error"},
		{"more than 31 bits", "ffffffff08", 0, 0, twoGB},
		{"a sixth byte", "808080808001", 200, 0, twoGB},
	} {
		buf := unhex(c.buf)
		record, n, err := p.next(buf, c.max)
		if n != c.n || classAndText(err) != c.err {
			t.Errorf("%s: %d, %s, want %d, %s", c.name, n, classAndText(err), c.n, c.err)
		}
		if n > 0 && (len(record) > n || string(record) != string(buf[n-len(record):n])) {
			t.Errorf("%s: record %x", c.name, record)
		}
	}
	for _, size := range []int{0, 100, 127, 128, 16000, 16384, 3 << 20} {
		want := strings.Repeat("x", size)
		out, err := p.Append(nil, &hubbub.Close{Error: want})
		if err != nil {
			t.Fatal(err)
		}
		record, n, err := p.next(out, 0)
		if err != nil || n != len(out) {
			t.Fatalf("close of %d bytes: next %d of %d, %v", size, n, len(out), err)
		}
		if m, err := p.parse(record); err != nil || m.(*hubbub.Close).Error != want {
			t.Errorf("close of %d bytes: %v", size, err)
		}
	}
}

type (
	packed struct{ n int }
	vendor struct{ s string }
	liar   struct{ out []byte }
	tagged struct {
		A    int `msgpack:"a"`
		B    int `msgpack:",omitempty"`
		C    int `msgpack:"-" json:"c"`
		D    any
		Base `msgpack:"base"`
	}
	Base     struct{ N int }
	extended struct {
		Extra int
		Base
	}
)

func (p packed) MarshalMsg(b []byte) ([]byte, error) { return msgp.AppendInt(b, p.n), nil }

func (p *packed) UnmarshalMsg(b []byte) (rest []byte, err error) {
	p.n, rest, err = msgp.ReadIntBytes(b)
	return rest, err
}

func (v *vendor) MarshalMsgpack() ([]byte, error) { return msgp.AppendString(nil, v.s), nil }

func (v *vendor) UnmarshalMsgpack(b []byte) (err error) {
	v.s, _, err = msgp.ReadStringBytes(b)
	return err
}

func (l liar) MarshalMsg(b []byte) ([]byte, error) {
	if l.out == nil {
		return b, errors.New("refused")
	}
	return append(b, l.out...), nil
}

func TestMessagePackWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, "c0"}, {[]byte(nil), "c0"}, {[]int(nil), "c0"}, {map[string]int(nil), "c0"}, {(*packed)(nil), "c0"}, {[]any{}, "90"},
		{math.NaN(), "cbfff8000000000000"}, {float32(math.NaN()), "caffc00000"}, {math.Inf(1), "cb7ff0000000000000"}, {"a\xff", "a461efbfbd"},
		{map[string]any{"b": 1, "A": nil}, "82a141c0a16201"}, {map[int]string{1: "a", -5: "b"}, "8201a161fba162"}, {map[any]int{"x": 1, 2: 2}, "820202a17801"},
		{packed{200}, "d100c8"}, {[]packed{{1}}, "9101"}, {&vendor{"v"}, "a176"}, {[]vendor{{"v"}}, "91a176"}, {vendor{"v"}, "80"},
		{shout("x"), "a158"}, {color(7), "a4426c7565"}, {octet(5), "05"}, {[]octet{1, 2}, "c4020102"}, {mac{1, 2, 3, 4, 5, 6}, "c406010203040506"},
		{tagged{A: 1}, "83a16101a144c0a46261736581a14e00"}, {tagged{B: 2}, "84a16100a14202a144c0a46261736581a14e00"}, {extended{1, Base{2}}, "82a14e02a5457874726101"},
		{deep{Own: 1}, "81a34f776e01"}, {deep{&Deeper{2, 3}, 1}, "82a54f7468657203a34f776e01"}, {pair{Key: "k", Value: 1}, "92a16b01"}, {offset{Clock: time.Unix(0x65937d25, 0), Minutes: -330}, "92d6ff65937d25d1feb6"},
		{json.RawMessage(`{"a":[1,-1,1.5,18446744073709551615,null]}`), "81a1619501ffcb3ff8000000000000cfffffffffffffffffc0"}, {json.Number("300"), "cd012c"}, {json.RawMessage(nil), "c0"},
		{time.Second, "ce00989680"}, {-time.Second, "d2ff676980"}, {struct{ D time.Duration }{time.Second}, "81a144ce00989680"},
		{time.Unix(1<<34-1, 999), "d7ff00000f9fffffffff"}, {time.Unix(1<<34, 0), "c70cff000000000000000400000000"},
	} {
		got, err := msgpackProtocol{}.appendAny(nil, c.v)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("write %#v: %x, %v, want %s", c.v, got, err, c.want)
		}
	}
	ring := &node{}
	ring.Next = ring
	for _, v := range []any{ring, make(chan int), func() {}, complex(1, 1), liar{}, liar{[]byte{}}, liar{[]byte{1, 2}}, liar{[]byte{0x92, 1}}, json.RawMessage(`{`), []any{liar{}}} {
		dst, err := newMessagePack().Append([]byte("kept"), &hubbub.Completion{InvocationID: "1", HasResult: true, Result: hubbub.ValueOf(v)})
		if err == nil || string(dst) != "kept" {
			t.Errorf("append %T: %q, %v, want an error", v, dst, err)
		}
	}
}

func TestMessagePackRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw  string
		want any
	}{
		{"c0", ""}, {"c0", []byte(nil)}, {"c0", []int(nil)}, {"c0", inner{}}, {"c0", map[string]int(nil)}, {"c0", (*packed)(nil)}, {"ca3fc00000", 1.5}, {"ff", -1.0},
		{"cfffffffffffffffff", float64(math.MaxUint64)}, {"93010203", []byte{1, 2, 3}}, {"a3616263", []byte("abc")}, {"c4020102", []octet{1, 2}}, {"c406010203040506", mac{1, 2, 3, 4, 5, 6}},
		{"920102", [2]int{1, 2}}, {"8201a161fba162", map[int]string{1: "a", -5: "b"}}, {"820202a17801", map[any]int{"x": 1, int64(2): 2}},
		{"ccc8", packed{200}}, {"9101", []packed{{1}}}, {"a176", vendor{"v"}}, {"a4426c7565", color(7)}, {"83a16101a14202a27a7a92c001", tagged{A: 1, B: 2}},
		{"82a54f7468657205a34f776e06", deep{&Deeper{Other: 5}, 6}}, {"9301c0a162", keyed{A: 1, B: text("b")}}, {"9101", keyed{A: 1}},
		{"81a16101", json.RawMessage(`{"a":1}`)}, {"cfffffffffffffffff", json.Number("18446744073709551615")}, {"ce00989680", time.Second},
		{"c704ff65937d25", time.Unix(0x65937d25, 0).UTC()}, {"d6ff65937d25", time.Unix(0x65937d25, 0).UTC()},
	} {
		got := reflect.New(reflect.TypeOf(c.want))
		if err := newMessagePack().Decode(unhex(c.raw), got.Interface()); err != nil || !reflect.DeepEqual(got.Elem().Interface(), c.want) {
			t.Errorf("read %s: %#v, %v, want %#v", c.raw, got.Elem(), err, c.want)
		}
	}
	for raw, want := range map[string]any{
		"01": int64(1), "ff": int64(-1), "cfffffffffffffffff": uint64(math.MaxUint64), "ca3fc00000": 1.5, "a173": "s", "c40101": []byte{1}, "c3": true, "c0": nil,
		"d6ff00000000": time.Unix(0, 0).UTC(), "92a16101": []any{"a", int64(1)}, "81a16101": map[string]any{"a": int64(1)}, "82a1610105c2": map[any]any{"a": int64(1), int64(5): false},
	} {
		var got any
		if err := newMessagePack().Decode(unhex(raw), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %s: %#v, %v, want %#v", raw, got, err, want)
		}
	}
}

func TestMessagePackDecodeErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		raw  string
		into any
		name string
	}{
		{"a131", new(int), "Int32"}, {"c0", new(int64), "Int64"}, {"01", new(string), "String"}, {"01", new(bool), "Boolean"}, {"a131", new(float64), "Double"},
		{"ce65937d25", new(time.Time), "DateTime"}, {"d7ff" + "ffffffffffffffff", new(time.Time), "DateTime"}, {"c703ff010203", new(time.Time), "DateTime"}, {"d4ff01", new(time.Time), "DateTime"},
		{"d6fe00000000", new(time.Time), "DateTime"}, {"cf7fffffffffffffff", new(time.Duration), "TimeSpan"}, {"0102", new(int), "Int32"}, {"", new(int), "Int32"}, {"", new(any), "Object"}, {"", new([]byte), "Byte[]"},
		{"", new(inner), "inner"}, {"90", new(inner), "inner"}, {"8101c0", new(inner), "inner"}, {"81a64e756d626572c0", new(inner), "inner"}, {"dfffffffff", new(inner), "inner"}, {"81a17801", new(pair), "pair"},
		{"ddffffffff", new([]int), "Int32[]"}, {"ddffffffff", new(any), "Object"}, {"ddffffffff", new([]byte), "Byte[]"}, {"dfffffffff", new(map[string]int), "Dictionary`2"}, {"dfffffffff", new(any), "Object"},
		{"c6ffffffff00", new([]byte), "Byte[]"}, {"dbffffffff00", new(string), "String"}, {"dbffffffff00", new(any), "Object"}, {"c9ffffffffff", new(any), "Object"}, {"c1", new(any), "Object"},
		{"8190" + "01", new(any), "Object"}, {"81c001", new(any), "Object"}, {"81c4010101", new(any), "Object"}, {"8190" + "01", new(map[any]int), "Dictionary`2"}, {"82a16101a16102", new(any), "Object"}, {"8201010102", new(any), "Object"},
		{"9101", new([2]int), "Int32[]"}, {"c40101", new(mac), "mac"}, {"01", new(hubbub.Message), "Message"}, {"01", new(chan int), "chan int"}, {"01", new(loop), "loop"}, {"a161", new(json.Number), "Decimal"},
		{"9301a16203", new(packed), "packed"}, {"c0", new(uuid), "Guid"}, {strings.Repeat("91", 600) + "01", new(any), "Object"}, {"cbfff8000000000000", new(json.RawMessage), "JsonElement"},
	} {
		want := "InvalidDataException: Deserializing object of the `" + c.name + "` type for 'argument' failed."
		if got := classAndText(newMessagePack().Decode(unhex(c.raw), c.into)); got != want {
			t.Errorf("decode %s into %T: %s, want %s", c.raw, c.into, got, want)
		}
	}
	for _, into := range []any{nil, 5, (*inner)(nil)} {
		if err := newMessagePack().Decode([]byte{1}, into); err == nil {
			t.Errorf("decode into %#v: no error", into)
		}
	}
}

// TestTranslate passes values that came in one protocol on in the other.
func TestTranslate(t *testing.T) {
	t.Parallel()
	js, pack := newJSON(hubbub.CamelCase), newMessagePack()
	m, err := js.parse([]byte(`{"type":1,"target":"T","arguments":[9007199254740993,18446744073709551615,1.5,"é",null,{"a":[true]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const packedHex = "960180c0a15496cf0020000000000001cfffffffffffffffffcb3ff8000000000000a2c3a9c081a16191c390"
	out, err := pack.Append(nil, m)
	if err != nil || hex.EncodeToString(out[1:]) != packedHex {
		t.Fatalf("JSON as MessagePack: %x, %v, want %s", out[1:], err, packedHex)
	}
	m, err = pack.parse(unhex("960180c0a15494" + "ca3dcccccd" + "d6ff65937d25" + "c403fbfffe" + "cf0020000000000001" + "90"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":1,"target":"T","arguments":[0.1,"2024-01-02T03:04:05Z","+//+",9007199254740993]}` + "\x1e"
	if out, err = js.Append(nil, m); err != nil || string(out) != want {
		t.Errorf("MessagePack as JSON: %s, %v, want %s", out, err, want)
	}
	bad := &hubbub.StreamItem{InvocationID: "1", Item: hubbub.RawValue([]byte{0xc1}, pack)}
	if out, err := js.Append([]byte("kept"), bad); err == nil || string(out) != "kept" {
		t.Errorf("broken MessagePack as JSON: %q, %v, want an error", out, err)
	}
	bad = &hubbub.StreamItem{InvocationID: "1", Item: hubbub.RawValue([]byte("{"), js)}
	if out, err := pack.Append([]byte("kept"), bad); err == nil || string(out) != "kept" {
		t.Errorf("broken JSON as MessagePack: %q, %v, want an error", out, err)
	}
}

// TestValues: a value may be taken as it came and sent on, alone and inside others, in its protocol and in the other one.
func TestValues(t *testing.T) {
	t.Parallel()
	js, pack := newJSON(hubbub.CamelCase), newMessagePack()
	var one hubbub.Value
	var many struct{ List []hubbub.Value }
	if err := js.Decode([]byte(`{"a": 1}`), &one); err != nil {
		t.Fatal(err)
	}
	if err := pack.Decode(unhex("81a44c6973749201a178"), &many); err != nil {
		t.Fatal(err)
	}
	in := &hubbub.Invocation{Target: "T", Args: hubbub.ArgsOf(one, many, hubbub.ValueOf("v"), hubbub.Value{})}
	const wantJSON = `{"type":1,"target":"T","arguments":[{"a": 1},{"list":[1,"x"]},"v",null]}` + "\x1e"
	if out, err := js.Append(nil, in); err != nil || string(out) != wantJSON {
		t.Errorf("JSON: %s, %v, want %s", out, err, wantJSON)
	}
	const wantPack = "960180c0a1549481a1610181a44c6973749201a178a176c090"
	if out, err := pack.Append(nil, in); err != nil || hex.EncodeToString(out[1:]) != wantPack {
		t.Errorf("MessagePack: %x, %v, want %s", out[1:], err, wantPack)
	}
}
