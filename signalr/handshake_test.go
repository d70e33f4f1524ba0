package signalr

import (
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	const data = "InvalidDataException: "
	const format = "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int32."
	const broken = "JsonReaderException: The handshake is not valid JSON."
	for _, c := range []struct {
		record string
		want   handshakeRequest
		err    string
	}{
		{`{"protocol":"json","version":1}`, handshakeRequest{"json", 1}, ""},
		{`{"version":2,"protocol":"MessagePack"}`, handshakeRequest{"MessagePack", 2}, ""},
		{`{"protocol":"json","version":0}`, handshakeRequest{"json", 0}, ""},
		{`{"protocol":"json","version":-2147483648}`, handshakeRequest{"json", -1 << 31}, ""},
		{`{"protocol":"json","version":3}`, handshakeRequest{"json", 3}, ""},
		{`{"protocol":"","version":1}`, handshakeRequest{"", 1}, ""},
		{`{"type":6,"x":[{}],"protocol":"json","version":1}`, handshakeRequest{"json", 1}, ""},
		{`{"protocol":"a","version":5,"protocol":"json","version":1}`, handshakeRequest{"json", 1}, ""},
		{`{"protocol":"json","version":1}, and more`, handshakeRequest{"json", 1}, ""},
		{" { \"protocol\" : \"js\\u006fn\" ,\n\"version\" : 1 } ", handshakeRequest{"json", 1}, ""},
		{`{"version":1}`, handshakeRequest{}, data + `Missing required property 'protocol'. Message content: {"version":1}`},
		{`{"Protocol":"json","version":1}`, handshakeRequest{}, data + `Missing required property 'protocol'. Message content: {"Protocol":"json","version":1}`},
		{`{"protocol":"json"}`, handshakeRequest{}, data + `Missing required property 'version'. Message content: {"protocol":"json"}`},
		{`{"protocol":"json","version":null}`, handshakeRequest{}, data + `Missing required property 'version'. Message content: {"protocol":"json","version":null}`},
		{`{}`, handshakeRequest{}, data + `Missing required property 'protocol'. Message content: {}`},
		{`{"protocol":"json","version":"1"}`, handshakeRequest{}, data + "Expected 'version' to be of type Number."},
		{`{"protocol":"json","version":true}`, handshakeRequest{}, data + "Expected 'version' to be of type Number."},
		{`{"protocol":null,"version":1}`, handshakeRequest{}, data + "Expected 'protocol' to be of type String."},
		{`{"protocol":5,"version":1}`, handshakeRequest{}, data + "Expected 'protocol' to be of type String."},
		{`[]`, handshakeRequest{}, data + "Unexpected JSON Token Type 'Array'. Expected a JSON Object."},
		{`"json"`, handshakeRequest{}, data + "Unexpected JSON Token Type 'String'. Expected a JSON Object."},
		{`{"protocol":"json","version":1.0}`, handshakeRequest{}, format},
		{`{"protocol":"json","version":2147483648}`, handshakeRequest{}, format},
		{``, handshakeRequest{}, broken},
		{`{"protocol":"json","version":1`, handshakeRequest{}, broken},
		{`{"protocol":"json","version":1,}`, handshakeRequest{}, broken},
		{`{"protocol":"json" "version":1}`, handshakeRequest{}, broken},
		{`{"x":` + strings.Repeat("[", 100) + `}`, handshakeRequest{}, broken},
		{"\xef\xbb\xbf{\"protocol\":\"json\",\"version\":1}", handshakeRequest{}, broken},
		{`GET / HTTP/1.1`, handshakeRequest{}, broken},
		{"{\"protocol\":\"\xff\",\"version\":1}", handshakeRequest{}, "InvalidOperationException: Cannot transcode invalid UTF-8 JSON text to UTF-16 string."},
	} {
		got, err := parseHandshake([]byte(c.record))
		if got != c.want {
			t.Errorf("parse %q: %+v, want %+v", c.record, got, c.want)
		}
		if text := classAndText(err); text != c.err && (c.err != "" || err != nil) {
			t.Errorf("parse %q: %s, want %s", c.record, text, c.err)
		}
	}
}

func TestHandshakeAnswer(t *testing.T) {
	t.Parallel()
	for errText, want := range map[string]string{
		"":                                     "{}\x1e",
		"The protocol 'xyz' is not supported.": "{\"error\":\"The protocol 'xyz' is not supported.\"}\x1e",
		"a \"b\"\x1e":                          "{\"error\":\"a \\\"b\\\"\\u001E\"}\x1e",
	} {
		if got := string(appendHandshake([]byte("x"), errText)); got != "x"+want {
			t.Errorf("answer %q: %q, want %q", errText, got, want)
		}
	}
}

// TestHandshakeWithMessages: what follows the handshake in one read belongs to the hub protocol.
func TestHandshakeWithMessages(t *testing.T) {
	t.Parallel()
	const first = "{\"protocol\":\"json\",\"version\":1}\x1e"
	record, n, err := newJSON(hubbub.CamelCase).next([]byte(first+"{\"type\":6}\x1e"), 32768)
	if err != nil || n != len(first) {
		t.Fatalf("next: %d, %v, want %d", n, err, len(first))
	}
	if _, err := parseHandshake(record); err != nil {
		t.Error(err)
	}
}
