package ws

import "fmt"

// Close codes of RFC 6455, 7.4.1, that this package itself speaks of.
const (
	codeProtocol = 1002
	codeNone     = 1005
	codeNotUTF8  = 1007
	codeTooBig   = 1009
)

// CloseError is what [Conn.Read] returns when the peer has sent a valid close frame.
type CloseError struct {
	Code   int    // the peer's code; 1005 when its frame carried none
	Reason string // valid UTF-8 of at most 123 bytes, often empty
}

// Error tells the code and the reason.
func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("ws: peer closed with code %d", e.Code)
	}
	return fmt.Sprintf("ws: peer closed with code %d: %q", e.Code, e.Reason)
}

// ProtocolError is what [Conn.Read] returns when the peer has broken the protocol.
type ProtocolError struct {
	Code int    // the code to close with: 1002, 1007 for a text message that is no UTF-8, 1009 for one that is too long
	Text string // what came and what was wanted, for logs
}

// Error tells the code and what was wrong.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("ws: protocol violation (%d): %s", e.Code, e.Text)
}

func violation(format string, args ...any) *ProtocolError {
	return &ProtocolError{Code: codeProtocol, Text: fmt.Sprintf(format, args...)}
}

// validCode reports whether a peer may put code into a close frame (RFC 6455, 7.4).
func validCode(code int) bool {
	switch {
	case code < 1000, code == 1004, code == 1005, code == 1006:
		return false
	case code <= 1014:
		return true
	default:
		return code >= 3000 && code <= 4999
	}
}
