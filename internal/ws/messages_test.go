package ws_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/internal/ws"
)

// TestReadMessages cuts what a client sends into messages, whatever the pieces are in which it comes.
func TestReadMessages(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 2000)
	bye := closeFrame(1000, "")
	tests := []struct {
		name   string
		send   []byte
		want   []string // opcode and payload
		code   int
		broken int
	}{
		{name: "two in one read", send: cat(masked(0x81, "a"), masked(0x82, "b"), bye), want: []string{"1a", "2b"}, code: 1000},
		{name: "empty", send: cat(masked(0x81, ""), masked(0x81, "x"), masked(0x82, ""), bye), want: []string{"1", "1x", "2"}, code: 1000},
		{name: "fragments with a ping between", send: cat(masked(0x01, "He"), masked(0x89, "p"), masked(0x00, ""), masked(0x80, "llo"), bye), want: []string{"1Hello"}, code: 1000},
		{name: "longer than a read", send: cat(masked(0x81, long), bye), want: []string{"1" + long}, code: 1000},
		{name: "as long as allowed", send: cat(masked(0x81, long+long[:480]), bye), want: []string{"1" + long + long[:480]}, code: 1000},
		{name: "one byte too long", send: cat(masked(0x81, "ok"), masked(0x81, long+long[:481])), want: []string{"1ok"}, broken: 1009},
		{name: "fragments too long together", send: cat(masked(0x01, long), masked(0x80, long)), broken: 1009},
		{name: "no UTF-8 at its end", send: masked(0x81, "a\xf0\x9f\x98"), broken: 1007},
	}
	for _, test := range tests {
		for _, step := range []int{1, 7, 1 << 20} {
			if step == 1 && len(test.send) > 1000 {
				continue
			}
			conn, cl := pipe(t)
			conn.Start(&queue{})
			go func() {
				for chunk := range slices.Chunk(test.send, step) {
					if _, err := cl.Write(chunk); err != nil {
						return
					}
				}
			}()
			var got []string
			err := conn.ReadMessages(20480, func(op ws.Opcode, m []byte) error {
				got = append(got, string('0'+rune(op))+string(m))
				return nil
			})
			conn.Kill()
			<-conn.Done()
			if !slices.Equal(got, test.want) {
				t.Errorf("%s in steps of %d: %d messages %.40q, want %.40q", test.name, step, len(got), got, test.want)
			}
			var closed *ws.CloseError
			var broken *ws.ProtocolError
			switch {
			case test.code != 0 && (!errors.As(err, &closed) || closed.Code != test.code):
				t.Errorf("%s: error %v, want close code %d", test.name, err, test.code)
			case test.broken != 0 && (!errors.As(err, &broken) || broken.Code != test.broken):
				t.Errorf("%s: error %v, want a violation with code %d", test.name, err, test.broken)
			}
		}
	}
}
