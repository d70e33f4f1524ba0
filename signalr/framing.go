package signalr

import (
	"strconv"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/sse"
	"github.com/hubbub-go/hubbub/internal/ws"
)

type webSocketFraming struct {
	name string
	op   ws.Opcode
}

func (f *webSocketFraming) Name() string { return f.name }

func (f *webSocketFraming) AppendFrame(dst, message []byte) []byte {
	return ws.AppendFrame(dst, f.op, message)
}

type eventFraming struct{}

func (eventFraming) Name() string { return "event" }

func (eventFraming) AppendFrame(dst, message []byte) []byte { return sse.AppendEvent(dst, message) }

var (
	textFraming   = &webSocketFraming{"websocket text", ws.Text}
	binaryFraming = &webSocketFraming{"websocket binary", ws.Binary}
)

// framingOf returns how messages are wrapped on a transport; a poll carries them as they are.
func framingOf(t Transport, binary bool) hubbub.Framing {
	switch {
	case t == ServerSentEvents:
		return eventFraming{}
	case t == LongPolling:
		return nil
	case binary:
		return binaryFraming
	}
	return textFraming
}

func itoa(n int) string { return strconv.Itoa(n) }
