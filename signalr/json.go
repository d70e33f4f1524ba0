package signalr

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/jsonvalue"
)

// recordSeparator ends every record of a text protocol and the handshake (HubProtocol.md, "JSON Encoding").
const recordSeparator = 0x1e

// errTooLarge is the sentence of ASP.NET Core for a record beyond the size limit.
func errTooLarge(max int) error {
	return invalidData("The maximum message size of %dB was exceeded. The message size can be configured in AddHubOptions.", max)
}

// jsonProtocol is the hub protocol "json". What Go values look like, and which errors come of those that do not fit, is told
// by the package jsonvalue.
type jsonProtocol struct {
	*jsonvalue.Codec // of values
}

// newJSON returns the hub protocol "json". naming is for struct fields without a tag on their way out; on their way in names
// match without regard to case.
func newJSON(naming hubbub.Naming) protocol { return &jsonProtocol{jsonvalue.New(naming)} }

func (p *jsonProtocol) Name() string { return "json" }

func (p *jsonProtocol) binary() bool { return false }

// next looks at all of buf each time, at the speed of memchr: a record that dribbles in costs the square of the size limit at
// worst, 32 KiB in single bytes about 20 ms.
func (p *jsonProtocol) next(buf []byte, max int) (record []byte, n int, err error) {
	if max > 0 && len(buf) > max {
		buf = buf[:max]
	}
	i := bytes.IndexByte(buf, recordSeparator)
	if i >= 0 {
		return buf[:i:i], i + 1, nil
	}
	if max > 0 && len(buf) == max {
		return nil, 0, errTooLarge(max)
	}
	return nil, 0, nil
}

// Append writes a message with its members in the order of ASP.NET Core.
func (p *jsonProtocol) Append(dst []byte, m hubbub.Message) ([]byte, error) {
	out, err := p.append(dst, m)
	if err != nil {
		return dst, fmt.Errorf("json: %w", err)
	}
	return append(out, '}', recordSeparator), nil
}

func (p *jsonProtocol) append(dst []byte, m hubbub.Message) (_ []byte, err error) {
	switch m := m.(type) {
	case *hubbub.Invocation:
		return p.appendCall(dst, m)
	case *hubbub.StreamItem:
		dst = append(dst, `{"type":2`...)
		dst = appendMember(dst, `,"invocationId":`, m.InvocationID)
		return p.AppendValue(append(dst, `,"item":`...), m.Item)
	case *hubbub.Completion:
		dst = append(dst, `{"type":3`...)
		dst = appendMember(dst, `,"invocationId":`, m.InvocationID)
		dst = appendMember(dst, `,"error":`, m.Error)
		if m.HasResult && m.Error == "" {
			return p.AppendValue(append(dst, `,"result":`...), m.Result)
		}
	case *hubbub.CancelInvocation:
		dst = append(dst, `{"type":5`...)
		dst = appendMember(dst, `,"invocationId":`, m.InvocationID)
	case hubbub.Ping:
		dst = append(dst, `{"type":6`...)
	case *hubbub.Close:
		dst = append(dst, `{"type":7`...)
		dst = appendMember(dst, `,"error":`, m.Error)
		if m.AllowReconnect {
			dst = append(dst, `,"allowReconnect":true`...)
		}
	case ack:
		dst = strconv.AppendInt(append(dst, `{"type":8,"sequenceId":`...), m.SequenceID, 10)
	case sequence:
		dst = strconv.AppendInt(append(dst, `{"type":9,"sequenceId":`...), m.SequenceID, 10)
	default:
		return dst, fmt.Errorf("message of type %T, want one of the hub protocol", m)
	}
	return dst, nil
}

// appendMember writes a member that is left out when it is empty. name comes with its punctuation.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return jsonvalue.AppendString(append(dst, name...), value)
}

func (p *jsonProtocol) appendCall(dst []byte, in *hubbub.Invocation) (_ []byte, err error) {
	if in.Stream {
		dst = append(dst, `{"type":4`...)
	} else {
		dst = append(dst, `{"type":1`...)
	}
	if len(in.Headers) > 0 {
		dst = appendHeaders(append(dst, `,"headers":{`...), in.Headers)
	}
	dst = appendMember(dst, `,"invocationId":`, in.ID)
	dst = jsonvalue.AppendString(append(dst, `,"target":`...), in.Target)
	dst = append(dst, `,"arguments":[`...)
	for i := range in.Args.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = p.AppendValue(dst, in.Args.At(i)); err != nil {
			return dst, fmt.Errorf("argument %d of %s: %w", i, in.Target, err)
		}
	}
	dst = append(dst, ']')
	if len(in.StreamIDs) > 0 {
		dst = append(dst, `,"streamIds":[`...)
		for i, id := range in.StreamIDs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = jsonvalue.AppendString(dst, id)
		}
		dst = append(dst, ']')
	}
	return dst, nil
}

func appendHeaders(dst []byte, headers map[string]string) []byte {
	for i, name := range sortedKeys(headers) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jsonvalue.AppendString(dst, name)
		dst = jsonvalue.AppendString(append(dst, ':'), headers[name])
	}
	return append(dst, '}')
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
