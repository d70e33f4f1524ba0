package classic_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/hubbub-go/hubbub"
)

// TestRawJSONInLines: JSON that a program has laid out in lines is one line on every transport, in messages and in results: in an
// event stream the end of a line would be the end of the message.
func TestRawJSONInLines(t *testing.T) {
	t.Parallel()
	raw := json.RawMessage("{\r\n  \"a\": 1,\n  \"b\": \"x\\ny\"\n}")
	const flat = `{    "a": 1,   "b": "x\ny" }`
	for _, transport := range streams {
		s := newServer(t, func(c *config) {
			c.setup = func(_ *server, h *hubbub.Hub) {
				h.Handle("Raw", hubbub.Func0(func(ctx context.Context) (json.RawMessage, error) {
					return raw, hubbub.CallerFrom(ctx).Send(ctx, "Msg", raw)
				}))
			}
		})
		c, ch := s.connect(transport)
		const call, want = `{"H":"refhub","M":"Raw","I":1}`, `{"R":` + flat + `,"I":"1"}`
		message, answer := "", ""
		if transport == "webSockets" {
			ch.write(call)
			message, answer = ch.messages(1)[0], ch.read().raw
		} else {
			_, answer = c.send(call)
			message = ch.messages(1)[0]
		}
		if answer != want {
			t.Errorf("%s: answer %q, want %q", transport, answer, want)
		}
		if want := `{"H":"RefHub","M":"Msg","A":[` + flat + `]}`; message != want {
			t.Errorf("%s: message %q, want %q", transport, message, want)
		}
	}
}
