package signalr_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
)

// TestHandshakeTable has the rows of "handshake" over every transport. With details the sentence about a malformed request goes on.
func TestHandshakeTable(t *testing.T) {
	t.Parallel()
	const unexpected = "An unexpected error occurred during connection handshake."
	long := func(n int) string {
		const head, tail = `{"protocol":"json","version":1,"x":"`, `"}`
		return head + strings.Repeat("x", n-len(head)-len(tail)-1) + tail
	}
	rows := []struct {
		request string
		errText string // "" for success
		details string // behind errText, with detailed errors; "*" for any
	}{
		{`{"protocol":"json","version":1}`, "", ""},
		{`{"protocol":"JSON","version":1}`, "", ""},
		{`{"protocol":"json","version":2}`, "", ""},
		{`{"protocol":"json","version":0}`, "", ""},
		{`{"protocol":"json","version":-7}`, "", ""},
		{`{"version":1,"protocol":"json"}`, "", ""},
		{`{"type":1,"protocol":"json","x":{"y":[1,2]},"version":1}`, "", ""},
		{`{"protocol":"xyz","version":1,"protocol":"json"}`, "", ""},
		{`{"protocol":"json","version":99,"version":1}`, "", ""},
		{` {"protocol" : "json", "version" : 1 } trailing`, "", ""},
		{long(32768), "", ""},
		{`{"protocol":"xyz","version":1}`, "The protocol 'xyz' is not supported.", ""},
		{`{"protocol":"Xyz","version":99}`, "The protocol 'Xyz' is not supported.", ""},
		{`{"protocol":"","version":1}`, "The protocol '' is not supported.", ""},
		{`{"protocol":"json","version":3}`, "The server does not support version 3 of the 'json' protocol.", ""},
		{`{"protocol":"Json","version":99}`, "The server does not support version 99 of the 'Json' protocol.", ""},
		{long(32769), "Handshake was canceled.", ""},
		{`{"version":1}`, unexpected, ` InvalidDataException: Missing required property 'protocol'. Message content: {"version":1}`},
		{`{"Protocol":"json","version":1}`, unexpected, ` InvalidDataException: Missing required property 'protocol'. Message content: {"Protocol":"json","version":1}`},
		{`{"protocol":"json"}`, unexpected, ` InvalidDataException: Missing required property 'version'. Message content: {"protocol":"json"}`},
		{`{"protocol":"json","version":null}`, unexpected, ` InvalidDataException: Missing required property 'version'. Message content: {"protocol":"json","version":null}`},
		{`{"protocol":"json","version":"1"}`, unexpected, ` InvalidDataException: Expected 'version' to be of type Number.`},
		{`{"protocol":1,"version":1}`, unexpected, ` InvalidDataException: Expected 'protocol' to be of type String.`},
		{`{"protocol":null,"version":1}`, unexpected, ` InvalidDataException: Expected 'protocol' to be of type String.`},
		{`["json",1]`, unexpected, ` InvalidDataException: Unexpected JSON Token Type 'Array'. Expected a JSON Object.`},
		{`{"protocol":"json","version":1.0}`, unexpected, ` FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int32.`},
		{`{"protocol":"json","version":2147483648}`, unexpected, ` FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int32.`},
		{`{"protocol":"json"`, unexpected, "*"},
		{``, unexpected, "*"},
		{`{"protocol":"json",}`, unexpected, "*"},
	}
	for _, details := range []bool{false, true} {
		t.Run(fmt.Sprintf("details=%v", details), func(t *testing.T) {
			t.Parallel()
			s := start(t, setup{hub: &hubbub.Options{EnableDetailedErrors: details}})
			everyTransport(t, func(t *testing.T, way rawclient.Way) {
				for i, r := range rows {
					c := rawclient.Open(t, s.url, rawclient.Options{Way: way})
					c.SendText(r.request + rawclient.Separator)
					if r.errText == "" {
						c.Expect("{}")
						c.ExpectNothing(fence, fenced)
						c.Close()
						continue
					}
					got := c.Next()
					want := r.errText
					switch {
					case details && r.details == "*":
						prefix := `{"error":"` + r.errText + " JsonReaderException: "
						if !strings.HasPrefix(got, prefix) || len(got) < len(prefix)+3 {
							t.Errorf("row %d: %s\nwant %s...", i, got, prefix)
						}
						c.ExpectEnd(1000)
						continue
					case details:
						want += r.details
					}
					if want = `{"error":"` + strings.ReplaceAll(want, `"`, `\"`) + `"}`; got != want {
						t.Errorf("row %d\n got %s\nwant %s", i, got, want)
					}
					c.ExpectEnd(1000)
				}
			})
			if n := s.hub.Stats().Failed; n != 0 {
				t.Errorf("%d calls failed, want 0", n)
			}
		})
	}
}

// TestHandshakeMessagePack: the request is text and may come in either kind of frame, the answer is binary, an error is text.
func TestHandshakeMessagePack(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	for _, op := range []byte{rawclient.OpText, rawclient.OpBinary} {
		sock := rawclient.DialSocket(t, s.url)
		sock.Write(rawclient.Frame(true, op, `{"protocol":"messagepack","version":1}`+"\x1e"))
		if got, p := sock.Read(); got != rawclient.OpBinary || p != "{}\x1e" {
			t.Errorf("frame %d %q, want a binary answer", got, p)
		}
		sock = rawclient.DialSocket(t, s.url)
		sock.Write(rawclient.Frame(true, op, `{"protocol":"messagepack","version":7}`+"\x1e"))
		sock.ExpectText(`{"error":"The server does not support version 7 of the 'messagepack' protocol."}` + "\x1e")
		sock.ExpectClose(1000)
	}
}

// TestHandshakeBinaryOverEvents: an event stream carries text only.
func TestHandshakeBinaryOverEvents(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	c := rawclient.Open(t, s.url, rawclient.Options{Way: rawclient.Ways[2]})
	c.SendText(`{"protocol":"messagepack","version":1}` + "\x1e")
	c.Expect(`{"error":"Cannot use the 'messagepack' protocol on the current transport. The transport does not support 'Binary' transfer format."}`)
	c.ExpectEnd(1000)
}

// TestHandshakeProtocols: a hub may support one protocol only.
func TestHandshakeProtocols(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{SupportedProtocols: []string{"messagepack"}}})
	c := rawclient.Open(t, s.url, rawclient.Options{})
	c.SendText(`{"protocol":"json","version":1}` + "\x1e")
	c.Expect(`{"error":"The protocol 'json' is not supported."}`)
	c.ExpectEnd(1000)
	s.connect(t, rawclient.Options{Way: rawclient.Ways[1]}).ExpectNothing(fence, fenced)
}

// TestHandshakeTimeout: a client that does not speak is told and let go.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{HandshakeTimeout: 100 * time.Millisecond}})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		for _, begun := range []string{"", `{"protocol":"json"`} {
			c := rawclient.Open(t, s.url, rawclient.Options{Way: way})
			if begun != "" {
				c.SendText(begun)
			}
			c.Expect(`{"error":"Handshake was canceled."}`)
			c.ExpectEnd(1000)
		}
	})
}

// TestHandshakeStopping: a client in the middle of its handshake is told when the hub stops.
func TestHandshakeStopping(t *testing.T) {
	t.Parallel()
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		s := start(t, setup{})
		c := rawclient.Open(t, s.url, rawclient.Options{Way: way})
		if err := s.hub.Shutdown(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		c.Expect(`{"error":"Handshake was canceled."}`)
		c.ExpectEnd(1000)
	})
}

// TestHandshakeIncomplete: a transport that ends before a whole request says nothing, and the hub never hears of it.
func TestHandshakeIncomplete(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.OnConnected(func(context.Context) error { t.Error("OnConnected ran"); return nil })
	}})
	sock := rawclient.DialSocket(t, s.url)
	sock.Send(`{"protocol":"json","version":1`)
	sock.Write(rawclient.Frame(true, rawclient.OpClose, "\x03\xe8"))
	sock.ExpectClose(1000)
	sock.ExpectEOF()
	if n := s.hub.Stats().Opened; n != 0 {
		t.Errorf("%d connections opened, want 0", n)
	}
}
