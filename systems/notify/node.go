package notify

import (
	"context"
	"encoding/json"
	"time"
)

// nodeChannel is the channel of the backplane on which nodes tell each other what happens. Each of them hears everything once
// and matches it against its own connections.
const nodeChannel = "notify-system"

// kind says what a node tells.
type kind string

const (
	kindNotification kind = "notification"
	kindSession      kind = "session"  // ID has ended
	kindLicence      kind = "licence"  // is a new one
	kindWebhooks     kind = "webhooks" // have changed
)

// nodeMessage is what one node tells the others.
type nodeMessage struct {
	Node     string          `json:"node"`
	Kind     kind            `json:"kind"`
	ID       string          `json:"id,omitempty"`
	Seq      int64           `json:"seq,omitempty"`
	Event    string          `json:"event,omitempty"`
	Resource string          `json:"resource,omitempty"`
	Action   Action          `json:"action,omitempty"`
	Expires  int64           `json:"expires,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`
}

// tell tells the other nodes. What cannot be told is logged: this node has done its part, and the publisher shall not do it
// again.
func (s *System) tell(ctx context.Context, m *nodeMessage) {
	b := s.config.Hub.Backplane
	if b == nil {
		return
	}
	m.Node = s.node
	data, err := encode(m)
	if err == nil {
		err = b.Publish(ctx, nodeChannel, data)
	}
	if err != nil {
		s.log.ErrorContext(ctx, "notify: tell other nodes", "kind", string(m.Kind), "error", err)
	}
}

// hear does what another node tells.
func (s *System) hear(data []byte) {
	var m nodeMessage
	if err := json.Unmarshal(data, &m); err != nil {
		s.log.Error("notify: message of another node cannot be read", "error", err)
		return
	}
	if m.Node == s.node {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	var err error
	switch m.Kind {
	case kindNotification:
		n := &accepted{id: m.ID, seq: m.Seq, topic: topic{m.Event, m.Resource, m.Action}, expires: m.Expires, body: m.Body}
		if s.keep != nil {
			s.keep.mu.Lock()
			defer s.keep.mu.Unlock()
		}
		err = s.deliver(ctx, n)
	case kindSession:
		s.closeSession(m.ID)
	case kindLicence:
		err = s.loadLicence(ctx)
	case kindWebhooks:
		err = s.loadWebhooks(ctx)
	}
	if err != nil {
		s.log.Error("notify: do what another node tells", "kind", string(m.Kind), "error", err)
	}
}
