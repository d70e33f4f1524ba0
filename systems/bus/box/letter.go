package box

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/hubbub-go/hubbub/systems/bus"
)

// Letter is a message as a Go value; on the bus it is JSON.
type Letter interface {
	// Topic is the same for all values of a type.
	Topic() string
	// Key says what it is about, such as the purchase that a command is part of: it and the topic make two of them the same.
	// "": every one that is sent is another one.
	Key() string
}

// Send puts letters into the outbox. They are published after the commit and not before, in the order of the commits as long as no
// more than some thousands wait and the process lives: receivers must stand another one. Without a commit they are not. The trace that ctx is part of goes with them.
func (t *Tx) Send(ctx context.Context, letters ...Letter) error {
	for _, l := range letters {
		body, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("box: send %s: %w", l.Topic(), err)
		}
		m := &bus.Message{ID: rand.Text(), Key: l.Key(), Topic: l.Topic(), Body: body}
		bus.Inject(ctx, m)
		if err := t.put(ctx, m); err != nil {
			return fmt.Errorf("box: send: %w", err)
		}
	}
	return nil
}

// put has a message written at the end of the transaction, with the others that it sends.
func (t *Tx) put(_ context.Context, m *bus.Message) error {
	if m.Key == "" {
		m.Key = m.ID
	}
	if err := m.Check(); err != nil {
		return err
	}
	t.sent = append(t.sent, m)
	t.kept.add(m)
	return nil
}

// answers are what a command was answered with: what its handler sent under the key of the command.
type answers struct {
	key  string
	list []answer
}

type answer struct {
	Topic string          `json:"topic"`
	Body  json.RawMessage `json:"body"`
}

func (a *answers) add(m *bus.Message) {
	if a != nil && m.Key == a.key {
		a.list = append(a.list, answer{m.Topic, m.Body})
	}
}

func (a *answers) encode() ([]byte, error) {
	if a == nil || len(a.list) == 0 {
		return []byte{}, nil
	}
	return json.Marshal(a.list)
}

// repeat sends kept answers again, as new messages with the old key.
func (t *Tx) repeat(ctx context.Context, key string, kept []byte) error {
	if len(kept) == 0 {
		return nil
	}
	var list []answer
	if err := json.Unmarshal(kept, &list); err != nil {
		return fmt.Errorf("kept answer: %w", err)
	}
	for _, a := range list {
		m := &bus.Message{ID: rand.Text(), Key: key, Topic: a.Topic, Body: a.Body}
		bus.Inject(ctx, m)
		if err := t.put(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
