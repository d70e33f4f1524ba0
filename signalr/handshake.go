package signalr

import (
	"errors"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// handshakeCodec is for the handshake. It holds no struct, so the naming does not matter.
var handshakeCodec = jsonvalue.New(hubbub.CamelCase)

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
	err := handshakeMembers(record, func(s *jsonvalue.Scanner, name []byte) (err error) {
		switch string(name) {
		case "protocol":
			hasProtocol = true
			h.Protocol, err = wireString(s, "protocol")
		case "version":
			var null bool
			if null, err = s.Null(); null {
				hasVersion = false
				return err
			}
			hasVersion = true
			var n int64
			n, err = wireInt(s, "version", 32)
			h.Version = int(n)
		default:
			err = s.Skip()
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
func handshakeMembers(record []byte, member func(s *jsonvalue.Scanner, name []byte) error) error {
	scanner := handshakeCodec.Scan(record)
	s := &scanner
	err := openObject(s)
	for first := true; err == nil; first = false {
		var ok bool
		if ok, err = s.More(first, '}'); err != nil || !ok {
			break
		}
		var name []byte
		if name, err = s.Name(); err == nil {
			err = member(s, name)
		}
	}
	if errors.Is(err, jsonvalue.ErrSyntax) || errors.Is(err, jsonvalue.ErrDepth) {
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
		dst = jsonvalue.AppendString(append(dst, `"error":`...), errText)
	}
	return append(dst, '}', recordSeparator)
}
