// Package sse writes event streams (HTML Living Standard, "Server-sent events").
package sse

import "bytes"

// Comment is a line that clients skip. It is sent first, so that they see the stream open.
const Comment = ":\r\n"

// AppendEvent appends one event whose data is payload: a data line for each of its lines, without the CR that may stand before
// an LF, and an empty line. A payload that ends with LF gets one more, empty data line, so that the client reads it unchanged.
func AppendEvent(dst, payload []byte) []byte {
	for {
		line, rest, more := bytes.Cut(payload, []byte{'\n'})
		if more {
			line = bytes.TrimSuffix(line, []byte{'\r'})
		}
		dst = append(dst, "data: "...)
		dst = append(dst, line...)
		dst = append(dst, '\r', '\n')
		if !more {
			break
		}
		payload = rest
	}
	return append(dst, '\r', '\n')
}
