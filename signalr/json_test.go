package signalr

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
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

func text(s string) *string { return &s }

// written are messages and the bytes that ASP.NET Core has for them.
var written = []struct {
	message    hubbub.Message
	json, pack string
}{
	{&hubbub.Invocation{Target: "Send", Args: hubbub.ArgsOf("u", 1)},
		`{"type":1,"target":"Send","arguments":["u",1]}`, "0e960180c0a453656e6492a1750190"},
	{&hubbub.Invocation{Target: "Hi", Args: hubbub.ArgsOf(1)},
		`{"type":1,"target":"Hi","arguments":[1]}`, "0a960180c0a24869910190"},
	{&hubbub.Invocation{ID: "0", Target: "Echo", Args: hubbub.ArgsOf("x")},
		`{"type":1,"invocationId":"0","target":"Echo","arguments":["x"]}`, "0e960180a130a44563686f91a17890"},
	{&hubbub.Invocation{ID: "0", Target: "Echo", Headers: map[string]string{"traceparent": "00-x"}},
		`{"type":1,"headers":{"traceparent":"00-x"},"invocationId":"0","target":"Echo","arguments":[]}`, "1d960181ab7472616365706172656e74a430302d78a130a44563686f9090"},
	{&hubbub.Invocation{ID: "1", Target: "Counter", Stream: true, Args: hubbub.ArgsOf(5)},
		`{"type":4,"invocationId":"1","target":"Counter","arguments":[5]}`, "10960480a131a7436f756e746572910590"},
	{&hubbub.Invocation{ID: "3", Target: "Upload", Args: hubbub.ArgsOf(7), StreamIDs: []string{"2"}},
		`{"type":1,"invocationId":"3","target":"Upload","arguments":[7],"streamIds":["2"]}`, "11960180a133a655706c6f6164910791a132"},
	{&hubbub.StreamItem{InvocationID: "1", Item: hubbub.ValueOf("a")},
		`{"type":2,"invocationId":"1","item":"a"}`, "07940280a131a161"},
	{&hubbub.Completion{InvocationID: "0", HasResult: true, Result: hubbub.ValueOf("héllo")},
		`{"type":3,"invocationId":"0","result":"héllo"}`, "0d950380a13003a668c3a96c6c6f"},
	{&hubbub.Completion{InvocationID: "0", HasResult: true},
		`{"type":3,"invocationId":"0","result":null}`, "07950380a13003c0"},
	{&hubbub.Completion{InvocationID: "0"},
		`{"type":3,"invocationId":"0"}`, "06940380a13002"},
	{&hubbub.Completion{InvocationID: "0", Error: "bad"},
		`{"type":3,"invocationId":"0","error":"bad"}`, "0a950380a13001a3626164"},
	{&hubbub.CancelInvocation{InvocationID: "1"}, `{"type":5,"invocationId":"1"}`, "05930580a131"},
	{hubbub.Ping{}, `{"type":6}`, "029106"},
	{&hubbub.Close{}, `{"type":7}`, "049307c0c2"},
	{&hubbub.Close{AllowReconnect: true}, `{"type":7,"allowReconnect":true}`, "049307c0c3"},
	{&hubbub.Close{Error: "E"}, `{"type":7,"error":"E"}`, "059307a145c2"},
	{&hubbub.Close{Error: "Connection closed with an error.", AllowReconnect: true},
		`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`,
		"259307d920436f6e6e656374696f6e20636c6f736564207769746820616e206572726f722ec3"},
	{ack{36}, `{"type":8,"sequenceId":36}`, "03920824"},
	{ack{300}, `{"type":8,"sequenceId":300}`, "059208cd012c"},
	{sequence{1}, `{"type":9,"sequenceId":1}`, "03920901"},
}

// plainMessage turns what was parsed into what a program would have written, so that messages compare.
func plainMessage(t *testing.T, m hubbub.Message) hubbub.Message {
	t.Helper()
	value := func(x hubbub.Value) hubbub.Value {
		var v any
		if err := x.Decode(&v); err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		return hubbub.ValueOf(v)
	}
	switch m := m.(type) {
	case *hubbub.Invocation:
		plain := &hubbub.Invocation{ID: m.ID, Target: m.Target, Stream: m.Stream, StreamIDs: m.StreamIDs, Headers: m.Headers}
		var values []any
		for i := range m.Args.Len() {
			v := value(m.Args.At(i)).Any()
			if f, ok := v.(float64); ok && f == math.Trunc(f) {
				v = int(f)
			}
			if n, ok := v.(int64); ok {
				v = int(n)
			}
			values = append(values, v)
		}
		plain.Args = hubbub.ArgsOf(values...)
		return plain
	case *hubbub.StreamItem:
		return &hubbub.StreamItem{InvocationID: m.InvocationID, Item: value(m.Item)}
	case *hubbub.Completion:
		plain := *m
		if m.HasResult {
			plain.Result = value(m.Result)
		}
		return &plain
	}
	return m
}

func TestJSONMessages(t *testing.T) {
	t.Parallel()
	p := newJSON(hubbub.CamelCase)
	for _, c := range written {
		want := c.json + "\x1e"
		got, err := p.Append([]byte("x"), c.message)
		if err != nil || string(got) != "x"+want {
			t.Errorf("append %s: %q, %v", want, got, err)
		}
		record, n, err := p.next([]byte(want+"{"), 0)
		if err != nil || n != len(want) || string(record) != c.json {
			t.Fatalf("next of %s: %q, %d, %v", want, record, n, err)
		}
		m, err := p.parse(record)
		if err != nil {
			t.Errorf("parse %s: %v", want, err)
			continue
		}
		if plain := plainMessage(t, m); !reflect.DeepEqual(plain, c.message) {
			t.Errorf("parse %s: %#v, want %#v", want, plain, c.message)
		}
		if again, err := p.Append(nil, m); err != nil || string(again) != want {
			t.Errorf("append what was parsed: %s, %v, want %s", again, err, want)
		}
	}
}

// TestJSONOrder reads messages with their members in the order of the JavaScript client, and in others.
func TestJSONOrder(t *testing.T) {
	t.Parallel()
	p := newJSON(hubbub.CamelCase)
	for _, c := range [][2]string{
		{`{"target":"Echo","arguments":["héllo"],"invocationId":"0","type":1}`, `{"type":1,"invocationId":"0","target":"Echo","arguments":["héllo"]}`},
		{`{"target":"Fire","arguments":[1,{"a":null,"d":"2024-01-02T03:04:05.678Z"}],"type":1}`, `{"type":1,"target":"Fire","arguments":[1,{"a":null,"d":"2024-01-02T03:04:05.678Z"}]}`},
		{`{"arguments":[1,2,3,4,5,6],"type":1,"target":"A"}`, `{"type":1,"target":"A","arguments":[1,2,3,4,5,6]}`},
		{`{"target":"Upload","arguments":[7],"invocationId":"3","streamIds":["2"],"type":1}`, `{"type":1,"invocationId":"3","target":"Upload","arguments":[7],"streamIds":["2"]}`},
		{`{"invocationId":"2","item":"x","type":2}`, `{"type":2,"invocationId":"2","item":"x"}`},
		{`{"item":{"b":[]},"type":2,"invocationId":"2"}`, `{"type":2,"invocationId":"2","item":{"b":[]}}`},
		{`{"error":"bad","invocationId":"4","type":3}`, `{"type":3,"invocationId":"4","error":"bad"}`},
		{`{"result":1,"invocationId":"4","type":3}`, `{"type":3,"invocationId":"4","result":1}`},
		{` { "type" : 6 } `, `{"type":6}`},
		{`{"\u0074ype":6}`, `{"type":6}`},
		{`{"type":1,"type":6}`, `{"type":6}`},
		{`{"type":6,"unknown":{"a":[1,{"b":null}],"c":"\u00e9"},"Type":3}`, `{"type":6}`},
		{`{"type":6}behind`, `{"type":6}`},
		{`{"type":1,"target":"A","arguments":[1],"arguments":[2],"target":"B"}`, `{"type":1,"target":"B","arguments":[2]}`},
		{`{"type":1,"invocationId":"","target":"A","arguments":[]}`, `{"type":1,"target":"A","arguments":[]}`},
		{`{"type":1,"target":"\ud83c\udf89\n","arguments":[ "a" , 1 ]}`, `{"type":1,"target":"\uD83C\uDF89\n","arguments":["a",1]}`},
		{`{"type":1,"target":"A","arguments":["\ud800"]}`, `{"type":1,"target":"A","arguments":["\ud800"]}`},
		{`{"type":1,"headers":{},"target":"A","arguments":[],"streamIds":[]}`, `{"type":1,"target":"A","arguments":[]}`},
		{`{"type":1,"target":"","arguments":[]}`, `{"type":1,"target":"","arguments":[]}`},
		{`{"type":7,"allowReconnect":false,"error":""}`, `{"type":7}`},
		{`{"type":9,"sequenceId":9223372036854775807}`, `{"type":9,"sequenceId":9223372036854775807}`},
	} {
		m, err := p.parse([]byte(c[0]))
		if err != nil {
			t.Errorf("parse %s: %s", c[0], classAndText(err))
			continue
		}
		got, err := p.Append(nil, m)
		if err != nil || string(got) != c[1]+"\x1e" {
			t.Errorf("parse %s: %s, %v, want %s", c[0], got, err, c[1])
		}
	}
}

func TestJSONUnknownTypes(t *testing.T) {
	t.Parallel()
	for _, record := range []string{`{"type":0}`, `{"type":-1}`, `{"type":10}`, `{"type":257,"x":[]}`, `{"type":2147483647}`} {
		if m, err := newJSON(hubbub.CamelCase).parse([]byte(record)); m != nil || err != nil {
			t.Errorf("parse %s: %v, %v, want nothing", record, m, err)
		}
	}
}

// jsonRejections are records that end the connection, and what the client reads then.
func jsonRejections() [][2]string {
	const data = "InvalidDataException: "
	const format = "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int"
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	return [][2]string{
		{``, data + "Error reading JSON."},
		{"\xef\xbb\xbf{\"type\":6}", data + "Error reading JSON."},
		{`{"type":6`, data + "Error reading JSON."},
		{`{"type":6,}`, data + "Error reading JSON."},
		{`{,"type":6}`, data + "Error reading JSON."},
		{`{/**/"type":6}`, data + "Error reading JSON."},
		{`{"type":6}`[1:], data + "Unexpected JSON Token Type 'String'. Expected a JSON Object."},
		{`{'type':6}`, data + "Error reading JSON."},
		{`{type:6}`, data + "Error reading JSON."},
		{`{"type" 6}`, data + "Error reading JSON."},
		{`{"type":06}`, data + "Error reading JSON."},
		{`{"type":+6}`, data + "Error reading JSON."},
		{`{"type":6e}`, data + "Error reading JSON."},
		{`{"type":tru}`, data + "Error reading JSON."},
		{`{"a":"\x"}`, data + "Error reading JSON."},
		{`{"a":"\u12g4"}`, data + "Error reading JSON."},
		{"{\"a\":\"\n\"}", data + "Error reading JSON."},
		{`{"a":` + deep + `,"type":6}`, data + "Error reading JSON."},
		{`{"type":1,"target":"A","arguments":[01]}`, data + "Error reading JSON."},
		{`{"type":1,"target":"A","arguments":[/*c*/1]}`, data + "Error reading JSON."},
		{`{"type":1,"target":"A","arguments":['a']}`, data + "Error reading JSON."},
		{`{"type":1,"target":"A","arguments":[,1]}`, data + "Error reading JSON."},
		{`{"type":1,"target":"A","arguments":[1 2]}`, data + "Error reading JSON."},
		{`[1]`, data + "Unexpected JSON Token Type 'Array'. Expected a JSON Object."},
		{`1`, data + "Unexpected JSON Token Type 'Number'. Expected a JSON Object."},
		{`"a"`, data + "Unexpected JSON Token Type 'String'. Expected a JSON Object."},
		{`null`, data + "Unexpected JSON Token Type 'Null'. Expected a JSON Object."},
		{`true`, data + "Unexpected JSON Token Type 'True'. Expected a JSON Object."},
		{`{}`, data + "Missing required property 'type'."},
		{`{"Type":6}`, data + "Missing required property 'type'."},
		{`{"type":"6"}`, data + "Expected 'type' to be of type Number."},
		{`{"type":null}`, data + "Expected 'type' to be of type Number."},
		{`{"type":[]}`, data + "Expected 'type' to be of type Number."},
		{`{"type":1.0}`, format + "32."},
		{`{"type":2147483648}`, format + "32."},
		{`{"type":8,"sequenceId":1.5}`, format + "64."},
		{`{"type":8,"sequenceId":9223372036854775808}`, format + "64."},
		{`{"type":8,"sequenceId":"1"}`, data + "Expected 'sequenceId' to be of type Number."},
		{`{"type":8}`, data + "Missing required property 'sequenceId'."},
		{`{"type":9}`, data + "Missing required property 'sequenceId'."},
		{`{"type":1,"arguments":[]}`, data + "Missing required property 'target'."},
		{`{"type":1,"target":"A"}`, data + "Missing required property 'arguments'."},
		{`{"type":1,"target":null,"arguments":[]}`, data + "Expected 'target' to be of type String."},
		{`{"type":1,"target":5,"arguments":[]}`, data + "Expected 'target' to be of type String."},
		{`{"type":1,"target":{},"arguments":[]}`, data + "Expected 'target' to be of type String."},
		{`{"type":1,"invocationId":5,"target":"A","arguments":[]}`, data + "Expected 'invocationId' to be of type String."},
		{`{"type":1,"invocationId":null,"target":"A","arguments":[]}`, data + "Expected 'invocationId' to be of type String."},
		{`{"type":1,"target":"A","arguments":null}`, data + "Expected 'arguments' to be of type Array."},
		{`{"type":1,"target":"A","arguments":{}}`, data + "Expected 'arguments' to be of type Array."},
		{`{"type":1,"target":"A","arguments":[],"streamIds":null}`, data + "Expected 'streamIds' to be of type Array."},
		{`{"type":1,"target":"A","arguments":[],"streamIds":"1"}`, data + "Expected 'streamIds' to be of type Array."},
		{`{"type":1,"target":"A","arguments":[],"streamIds":[1]}`, "InvalidOperationException: Cannot get the value of a token type 'Number' as a string."},
		{`{"type":1,"target":"A","arguments":[],"streamIds":[null]}`, data + "Null value for 'streamIds' is not valid."},
		{`{"type":1,"target":"A","arguments":[],"streamIds":[[]]}`, "InvalidOperationException: Cannot get the value of a token type 'StartArray' as a string."},
		{`{"type":1,"target":"A","arguments":[],"streamIds":[true]}`, "InvalidOperationException: Cannot get the value of a token type 'True' as a string."},
		{`{"type":1,"target":"A","arguments":[],"headers":null}`, data + "Expected 'headers' to be of type StartObject."},
		{`{"type":1,"target":"A","arguments":[],"headers":[]}`, data + "Expected 'headers' to be of type StartObject."},
		{`{"type":1,"target":"A","arguments":[],"headers":{"a":1}}`, data + "Expected header 'a' to be of type String."},
		{`{"type":1,"target":"A","arguments":[],"headers":{"a":null}}`, data + "Expected header 'a' to be of type String."},
		{`{"type":4,"target":"A","arguments":[]}`, data + "Missing required property 'invocationId'."},
		{`{"type":4,"invocationId":"","target":"A","arguments":[]}`, data + "Missing required property 'invocationId'."},
		{`{"type":4,"invocationId":"1","target":"A"}`, data + "Missing required property 'arguments'."},
		{`{"type":4,"invocationId":"1","arguments":[]}`, data + "Missing required property 'target'."},
		{`{"type":2,"item":1}`, data + "Missing required property 'invocationId'."},
		{`{"type":2,"invocationId":"1"}`, data + "Missing required property 'item'."},
		{`{"type":3}`, data + "Missing required property 'invocationId'."},
		{`{"type":3,"invocationId":"","result":1}`, data + "Missing required property 'invocationId'."},
		{`{"type":3,"invocationId":"1","error":"e","result":null}`, data + "The 'error' and 'result' properties are mutually exclusive."},
		{`{"type":3,"invocationId":"1","error":"","result":1}`, data + "The 'error' and 'result' properties are mutually exclusive."},
		{`{"type":3,"invocationId":"1","error":null}`, data + "Expected 'error' to be of type String."},
		{`{"type":5}`, data + "Missing required property 'invocationId'."},
		{`{"type":7,"allowReconnect":null}`, data + "Expected 'allowReconnect' to be true or false."},
		{`{"type":7,"allowReconnect":1}`, data + "Expected 'allowReconnect' to be true or false."},
		{`{"type":7,"error":5}`, data + "Expected 'error' to be of type String."},
		{"{\"type\":1,\"target\":\"\xff\",\"arguments\":[]}", "InvalidOperationException: Cannot transcode invalid UTF-8 JSON text to UTF-16 string."},
		{`{"type":1,"target":"\ud800x","arguments":[]}`, "InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low surrogate."},
	}
}

func TestJSONRejections(t *testing.T) {
	t.Parallel()
	for _, c := range jsonRejections() {
		m, err := newJSON(hubbub.CamelCase).parse([]byte(c[0]))
		if got := classAndText(err); got != c[1] || m != nil {
			t.Errorf("parse %q: %v, %s, want %s", c[0], m, got, c[1])
		}
	}
}

// TestJSONDepth: the message counts, so an argument may nest 62 deep.
func TestJSONDepth(t *testing.T) {
	t.Parallel()
	p := newJSON(hubbub.CamelCase)
	for depth, want := range map[int]string{62: "no error", 63: "InvalidDataException: Error reading JSON."} {
		record := `{"type":1,"target":"A","arguments":[` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `]}`
		m, err := p.parse([]byte(record))
		if got := classAndText(err); got != want {
			t.Errorf("argument %d deep: %s, want %s", depth, got, want)
		}
		if in, ok := m.(*hubbub.Invocation); ok {
			var v any
			if err := in.Args.Decode(0, &v); err != nil {
				t.Errorf("argument %d deep: decode: %v", depth, err)
			}
		}
	}
}

func TestJSONBadArguments(t *testing.T) {
	t.Parallel()
	m, err := newJSON(hubbub.CamelCase).parse([]byte(`{"type":1,"invocationId":"123","target":"Int32","arguments":[1,]}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = "JsonReaderException: The JSON array contains a trailing comma at the end which is not supported in this mode. " +
		"Change the reader options. LineNumber: 0 | BytePositionInLine: 63."
	if got := classAndText(m.(*hubbub.Invocation).Args.Err()); got != want {
		t.Errorf("trailing comma: %s, want %s", got, want)
	}
	// Text that is none is found only when somebody wants it as text.
	m, err = newJSON(hubbub.CamelCase).parse([]byte("{\"type\":1,\"target\":\"A\",\"arguments\":[\"\xff\",\"\\udc00\"]}"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		var s string
		if err := m.(*hubbub.Invocation).Args.Decode(i, &s); !strings.HasPrefix(classAndText(err), "JsonException: The JSON value could not be converted to System.String.") {
			t.Errorf("argument %d: %q, %v, want it refused", i, s, err)
		}
	}
}

func TestJSONNext(t *testing.T) {
	t.Parallel()
	p := newJSON(hubbub.CamelCase)
	const tooLarge = "InvalidDataException: The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions."
	fits := strings.Repeat("x", 32767) + "\x1e"
	for _, c := range []struct {
		name, buf string
		max, n    int
		err       string
	}{
		{"nothing", "", 32768, 0, "no error"},
		{"a part", "{}", 32768, 0, "no error"},
		{"an empty record", "\x1e{}", 32768, 1, "no error"},
		{"two records", "{}\x1e{}\x1e", 32768, 3, "no error"},
		{"as long as allowed", fits, 32768, 32768, "no error"},
		{"as long as allowed and more behind", fits + fits, 32768, 32768, "no error"},
		{"a byte too long", "x" + fits, 32768, 0, tooLarge},
		{"too long without an end", strings.Repeat("x", 40000), 32768, 0, tooLarge},
		{"too long with no limit", "x" + fits, 0, 32769, "no error"},
	} {
		record, n, err := p.next([]byte(c.buf), c.max)
		if n != c.n || classAndText(err) != c.err {
			t.Errorf("%s: %d, %s, want %d, %s", c.name, n, classAndText(err), c.n, c.err)
		}
		if n > 0 && string(record) != c.buf[:n-1] {
			t.Errorf("%s: record of %d bytes, want %d", c.name, len(record), n-1)
		}
	}
}

// foreign decodes values of a protocol that this package does not know.
type foreign struct{ err error }

func (f foreign) Decode(raw []byte, v any) error {
	*v.(*any) = string(raw)
	return f.err
}

func TestForeign(t *testing.T) {
	t.Parallel()
	for _, p := range []protocol{newJSON(hubbub.CamelCase), newMessagePack()} {
		item := func(err error) hubbub.Message {
			return &hubbub.StreamItem{InvocationID: "1", Item: hubbub.RawValue([]byte("x"), foreign{err})}
		}
		want, err := p.Append(nil, &hubbub.StreamItem{InvocationID: "1", Item: hubbub.ValueOf("x")})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Append(nil, item(nil)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %q, %v, want %q", p.Name(), got, err, want)
		}
		for _, m := range []hubbub.Message{item(errors.New("no")), strange{}, nil} {
			if got, err := p.Append([]byte("kept"), m); err == nil || string(got) != "kept" {
				t.Errorf("%s: append %T: %q, %v, want an error", p.Name(), m, got, err)
			}
		}
		if want := p.Name() == "messagepack"; p.binary() != want {
			t.Errorf("%s: binary %t, want %t", p.Name(), p.binary(), want)
		}
	}
}

type strange struct{}

func (strange) Type() hubbub.MessageType { return 99 }
