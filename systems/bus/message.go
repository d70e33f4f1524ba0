package bus

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Message is something said to whoever listens to its topic. The bus does not change it and keeps nothing of it after Publish.
type Message struct {
	// ID names this sending of the message; the bus takes a second one with the same id, within two minutes, as the first.
	// Needed: printable ASCII without spaces, at most 200.
	ID string
	// Key names what the message is about, and is the same when it is sent again under a new ID: with the topic it is what a
	// receiver recognises a double by. Same form as ID. Default: ID.
	Key string
	// Topic is one to four words with dots between, such as GrantItems or Fault.GrantItems. Needed.
	Topic string
	// Body is at most [MaximumBody] bytes.
	Body []byte
	// Header has what goes with the message, such as the trace context that [Inject] writes. Names are like those of HTTP
	// headers; those that begin with "Nats-" or "Hubbub-" belong to the bus. Values have no line ends.
	Header map[string]string
}

// Headers of ours on the wire.
const (
	headerKey      = "Hubbub-Key"
	headerTopic    = "Hubbub-Topic"
	headerReason   = "Hubbub-Reason"
	headerID       = "Hubbub-Id"
	headerAttempts = "Hubbub-Attempts"
)

// Check reports what is wrong with m, and so whether Publish would refuse it.
func (m *Message) Check() error {
	if err := checkTopic(m.Topic); err != nil {
		return err
	}
	if len(m.Body) > MaximumBody {
		return fmt.Errorf("%s: body of %d bytes, want at most %d", m.Topic, len(m.Body), MaximumBody)
	}
	if m.ID == "" {
		return fmt.Errorf("%s: message without an id", m.Topic)
	}
	if err := errors.Join(checkName(m.ID), checkName(m.Key)); err != nil {
		return fmt.Errorf("%s: %w", m.Topic, err)
	}
	return nil
}

func checkName(s string) error {
	if len(s) > 200 {
		return fmt.Errorf("id of %d bytes, want at most 200", len(s))
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("id %q, want printable ASCII without spaces", s)
		}
	}
	return nil
}

// wire returns m as NATS carries it.
func (m *Message) wire(subject string) *nats.Msg {
	h := make(nats.Header, len(m.Header)+2)
	for name, value := range m.Header {
		h.Set(name, value)
	}
	h.Set(nats.MsgIdHdr, m.ID)
	if m.Key != "" && m.Key != m.ID {
		h.Set(headerKey, m.Key)
	}
	return &nats.Msg{Subject: subject, Header: h, Data: m.Body}
}

// fromWire is the reverse of wire.
func fromWire(topic string, h nats.Header, body []byte) Message {
	m := Message{ID: h.Get(nats.MsgIdHdr), Key: h.Get(headerKey), Topic: topic, Body: body, Header: make(map[string]string, len(h))}
	for name, values := range h {
		if len(values) > 0 && !reserved(name) {
			m.Header[name] = values[0]
		}
	}
	if m.Key == "" {
		m.Key = m.ID
	}
	return m
}

func reserved(name string) bool {
	return len(name) >= 5 && name[:5] == "Nats-" || len(name) >= 7 && name[:7] == "Hubbub-"
}
