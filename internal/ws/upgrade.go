package ws

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// answerTime bounds the write of the 101 answer.
const answerTime = 10 * time.Second

// keySuffix is the constant of RFC 6455, 4.2.2.
const keySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// IsUpgrade reports whether r is a complete WebSocket upgrade: GET over HTTP/1.1, Connection
// with the token upgrade, Upgrade with the token websocket, version 13, and one key that
// decodes to 16 bytes. Tokens are compared without regard to case.
func IsUpgrade(r *http.Request) bool {
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return false
	}
	if !hasToken(r.Header["Connection"], "upgrade") || !hasToken(r.Header["Upgrade"], "websocket") {
		return false
	}
	if r.Header.Get("Sec-WebSocket-Version") != "13" {
		return false
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return false
	}
	var key [18]byte // DecodedLen of 24 characters
	if len(keys[0]) != base64.StdEncoding.EncodedLen(16) {
		return false
	}
	n, err := base64.StdEncoding.Decode(key[:], []byte(keys[0]))
	return err == nil && n == 16
}

func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// Accept answers r with 101 and takes its socket over. A subprotocol of "" selects none; no
// extension is ever selected. Header fields that w already has go out with the answer, save
// those that belong to the upgrade or describe a body. w may be wrapped as long as
// [http.ResponseController] finds the way to its Hijacker.
//
// The handler may return afterwards: the owner calls [Conn.Start], and [Conn.Read] in a
// goroutine of its own. Whatever the owner does, it must end the connection with
// [Conn.Close] or [Conn.Kill].
//
// Accept blocks until the answer is written, at most 10 s. On an error the request has been
// answered (400, or 500 where the socket cannot be had) or the socket has been closed.
func Accept(w http.ResponseWriter, r *http.Request, subprotocol string) (*Conn, error) {
	if !IsUpgrade(r) {
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "not a WebSocket upgrade", http.StatusBadRequest)
		return nil, errors.New("ws: accept: request is not a complete WebSocket upgrade")
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "WebSockets are not possible here", http.StatusInternalServerError)
		return nil, fmt.Errorf("ws: accept: %w", err)
	}
	early, err := buffered(rw.Reader)
	if err == nil {
		err = answer(nc, w.Header(), r.Header.Get("Sec-WebSocket-Key"), subprotocol)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("ws: accept: %w", err)
	}
	return newConn(nc, early), nil
}

// buffered copies what the client has sent behind its request and the server has read.
func buffered(br *bufio.Reader) ([]byte, error) {
	n := br.Buffered()
	if n == 0 {
		return nil, nil
	}
	p, err := br.Peek(n)
	return append([]byte(nil), p...), err
}

// notCopied are the fields of a handler's header that the 101 answer must not repeat.
var notCopied = map[string]bool{
	"Connection": true, "Upgrade": true, "Content-Length": true, "Content-Type": true,
	"Transfer-Encoding": true, "Trailer": true, "Sec-Websocket-Accept": true,
	"Sec-Websocket-Extensions": true, "Sec-Websocket-Protocol": true, "Sec-Websocket-Version": true,
}

func answer(nc net.Conn, h http.Header, key, subprotocol string) error {
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	sum := sha1.Sum([]byte(key + keySuffix))
	b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
	b.WriteString("\r\n")
	if subprotocol != "" {
		b.WriteString("Sec-WebSocket-Protocol: " + strings.NewReplacer("\r", "", "\n", "").Replace(subprotocol) + "\r\n")
	}
	if err := h.WriteSubset(&b, notCopied); err != nil {
		return err
	}
	b.WriteString("\r\n")
	if err := nc.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := nc.Write([]byte(b.String())); err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{})
}
