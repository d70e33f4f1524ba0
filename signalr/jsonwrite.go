package signalr

import "encoding/json"

func (p *jsonProtocol) appendAny(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

func (p *jsonProtocol) Decode(raw []byte, v any) error { return json.Unmarshal(raw, v) }
