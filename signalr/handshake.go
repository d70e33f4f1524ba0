package signalr

import (
	"errors"

	"github.com/hubbub-go/hubbub"
)

// handshakeRequest is the first record of a client. It is JSON whatever the protocol (HubProtocol.md, "Overview").
type handshakeRequest struct {
	Protocol string
	Version  int
}

// parseHandshake reads a handshake request without its record separator. Unknown members are skipped, the last of a name
// wins, what stands behind the object is ignored. An error is a [hubbub.Classify] error with the class and sentence of
// ASP.NET Core.
func parseHandshake(record []byte) (handshakeRequest, error) {
	var h handshakeRequest
	hasProtocol, hasVersion := false, false
	err := handshakeMembers(record, func(s *jsonScanner, name []byte) (err error) {
		switch string(name) {
		case "protocol":
			hasProtocol = true
			h.Protocol, err = s.wireString("protocol")
		case "version":
			if s.peek() == 'n' {
				hasVersion = false
				return s.word("null")
			}
			hasVersion = true
			var n int64
			n, err = s.wireInt("version", 32)
			h.Version = int(n)
		default:
			err = s.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return handshakeRequest{}, err
	case !hasProtocol:
		return handshakeRequest{}, invalidData("Missing required property 'protocol'. Message content: %s", record)
	case !hasVersion:
		return handshakeRequest{}, invalidData("Missing required property 'version'. Message content: %s", record)
	}
	return h, nil
}

// handshakeMembers calls member for each member of the record, to read its value.
func handshakeMembers(record []byte, member func(s *jsonScanner, name []byte) error) error {
	s := &jsonScanner{b: record}
	err := openObject(s)
	for first := true; err == nil; first = false {
		var ok bool
		if ok, err = s.more(first, '}'); err != nil || !ok {
			break
		}
		var name []byte
		if name, err = s.name(); err == nil {
			err = member(s, name)
		}
	}
	if errors.Is(err, errSyntax) || errors.Is(err, errDepth) {
		return hubbub.Classify("JsonReaderException", err, "The handshake is not valid JSON.")
	}
	if err != nil {
		return rejection(err)
	}
	return nil
}

// appendHandshake writes the answer to a handshake request, record separator included: the empty object for errText "".
func appendHandshake(dst []byte, errText string) []byte {
	dst = append(dst, '{')
	if errText != "" {
		dst = appendString(append(dst, `"error":`...), errText)
	}
	return append(dst, '}', recordSeparator)
}
