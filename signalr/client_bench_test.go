package signalr_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

// cannedServer answers the calls of a client without allocating, so that whatever is allocated meanwhile is the client's.
func cannedServer(tb testing.TB, protocol string) string {
	tb.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			tb.Error(err)
			return
		}
		defer conn.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		answerCalls(conn, rw.Reader, protocol)
	}))
	tb.Cleanup(srv.Close)
	return srv.URL + "/hub"
}

// answerCalls answers the handshake and then each frame that is a call, until the client goes.
func answerCalls(conn net.Conn, r *bufio.Reader, protocol string) {
	var mask [4]byte
	payload, out, record := make([]byte, 0, 4096), make([]byte, 0, 4096), make([]byte, 0, 4096)
	for shook := false; ; {
		n, ok := frameHead(r)
		if !ok {
			return
		}
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return
		}
		payload = payload[:n]
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
		opcode := byte(0x82)
		switch id := callID(payload, protocol); {
		case !shook:
			shook, opcode, record = true, 0x81, append(record[:0], "{}"+rawclient.Separator...)
		case id == nil:
			continue
		case protocol == "json":
			opcode = 0x81
			record = append(append(append(record[:0], `{"type":3,"invocationId":"`...), id...), `","result":"hello"}`+rawclient.Separator...)
		default:
			record = append(record[:0], byte(11+len(id)), 0x95, 3, 0x80, 0xa0|byte(len(id)))
			record = append(append(record, id...), "\x03\xa5hello"...)
		}
		out = append(append(out[:0], opcode, byte(len(record))), record...)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// frameHead reads the head of a frame up to its mask.
func frameHead(r *bufio.Reader) (n int, ok bool) {
	if _, err := r.ReadByte(); err != nil {
		return 0, false
	}
	b, err := r.ReadByte()
	n = int(b & 0x7f)
	if n == 126 {
		high, _ := r.ReadByte()
		low, _ := r.ReadByte()
		n = int(binary.BigEndian.Uint16([]byte{high, low}))
	}
	return n, err == nil
}

// callID finds the id of an invocation, nil if it is none.
func callID(p []byte, protocol string) []byte {
	if protocol == "json" {
		_, rest, ok := bytes.Cut(p, []byte(`"invocationId":"`))
		if !ok {
			return nil
		}
		return rest[:bytes.IndexByte(rest, '"')]
	}
	for len(p) > 5 && p[1] >= 0x90 && p[1] < 0xa0 { // records shorter than 128 bytes
		if p[2] == 1 {
			return p[5 : 5+int(p[4]&0x1f)]
		}
		p = p[1+int(p[0]):]
	}
	return nil
}

// callerOfCanned is a client of a server that costs nothing.
func callerOfCanned(tb testing.TB, protocol string) (call func()) {
	c := signalr.NewClient(cannedServer(tb, protocol), &signalr.ClientOptions{Transports: signalr.WebSockets, SkipNegotiation: true,
		Protocol: protocol, CloseTimeout: 50 * time.Millisecond})
	if err := c.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return func() {
		if got, err := hubbub.Invoke[string](context.Background(), c, "Echo", "hello"); err != nil || got != "hello" {
			tb.Fatalf("echo: %q, %v", got, err)
		}
	}
}

// cannedCaller is a client that costs nothing, of the real server: it sends the same bytes and waits for as many as the answer has.
func cannedCaller(tb testing.TB, protocol string) (call func()) {
	s := start(tb, setup{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.srv.URL, "http://"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	fmt.Fprint(conn, "GET /hub HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	r := bufio.NewReader(conn)
	if _, err := http.ReadResponse(r, nil); err != nil {
		tb.Fatal(err)
	}
	write := func(opcode byte, p []byte) {
		if _, err := conn.Write(append([]byte{0x80 | opcode, 0x80 | byte(len(p)), 0, 0, 0, 0}, p...)); err != nil {
			tb.Fatal(err)
		}
	}
	read := func(n int) {
		if _, err := r.Discard(n); err != nil {
			tb.Fatal(err)
		}
	}
	write(1, fmt.Appendf(nil, `{"protocol":%q,"version":1}`+rawclient.Separator, protocol))
	read(2 + len("{}"+rawclient.Separator))
	p, err := rawclient.Encode(protocol, `{"type":1,"invocationId":"1","target":"Echo","arguments":["hello"]}`)
	if err != nil {
		tb.Fatal(err)
	}
	opcode, answer := byte(1), len(`{"type":3,"invocationId":"1","result":"hello"}`+rawclient.Separator)
	if protocol != "json" {
		opcode, answer = 2, 13
	}
	frame := append([]byte{0x80 | opcode, 0x80 | byte(len(p)), 0, 0, 0, 0}, p...)
	return func() {
		if _, err := conn.Write(frame); err != nil {
			tb.Error(err)
		}
		read(2 + answer)
	}
}

// BenchmarkInvoke is one call after the other: the client against a server that costs nothing, and the server against such a client.
func BenchmarkInvoke(b *testing.B) {
	for _, protocol := range []string{"json", "messagepack"} {
		for side, make := range map[string]func(testing.TB, string) func(){"client": callerOfCanned, "server": cannedCaller} {
			b.Run(side+"/"+protocol, func(b *testing.B) {
				call := make(b, protocol)
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
			})
		}
	}
}
