package ws_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/internal/ws"
)

func TestAppendFrame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		op   ws.Opcode
		n    int
		head string
	}{
		{ws.Text, 0, "\x81\x00"},
		{ws.Text, 1, "\x81\x01"},
		{ws.Binary, 125, "\x82\x7d"},
		{ws.Binary, 126, "\x82\x7e\x00\x7e"},
		{ws.Text, 65535, "\x81\x7e\xff\xff"},
		{ws.Text, 65536, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		{ws.Close, 2, "\x88\x02"},
		{ws.Ping, 3, "\x89\x03"},
		{ws.Pong, 125, "\x8a\x7d"},
	} {
		payload := strings.Repeat("p", tt.n)
		got := ws.AppendFrame([]byte("before"), tt.op, []byte(payload))
		if want := "before" + tt.head + payload; string(got) != want {
			t.Errorf("opcode %d, %d bytes: %.20q, want %.20q", tt.op, tt.n, got, want)
		}
	}
}

func TestAppendClose(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		code   int
		reason string
		want   string
	}{
		{"code alone", 1000, "", "\x88\x02\x03\xe8"},
		{"code and reason", 1011, "ünder", "\x88\x08\x03\xf3ünder"},
		{"no code", 0, "dropped", "\x88\x00"},
		{"the code that stands for none", 1005, "dropped", "\x88\x00"},
		{"longest reason", 4999, strings.Repeat("x", 123), "\x88\x7d\x13\x87" + strings.Repeat("x", 123)},
		{"too long", 1000, strings.Repeat("x", 124), "\x88\x7d\x03\xe8" + strings.Repeat("x", 123)},
		{"too long, cut at a character", 1000, strings.Repeat("x", 121) + "€", "\x88\x7b\x03\xe8" + strings.Repeat("x", 121)},
		{"no UTF-8", 1000, "a\xffb", "\x88\x07\x03\xe8a\uFFFDb"},
	} {
		got := ws.AppendClose([]byte("-"), tt.code, tt.reason)
		if !bytes.Equal(got, []byte("-"+tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, "-"+tt.want)
		}
	}
}
