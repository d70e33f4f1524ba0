package box

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Handlers are what a service does with messages, by topic. Fill them before [Box.Consume].
type Handlers struct {
	byTopic map[string]handler
}

type handler struct {
	command bool
	do      func(ctx context.Context, tx *Tx, body []byte) error
}

// badBody is the error of a message that is no JSON of its type.
type badBody struct{ err error }

func (b *badBody) Error() string { return "body: " + b.err.Error() }

// OnCommand says what is done with commands of type M: f runs once for each key, in a transaction. What it sends under the key
// of the command is its answer, and is sent again to those who command the same again. A [Refusal] is answered by a [Fault]. f
// may run again when the transaction does, and must do nothing outside of it. It panics if the topic has a handler.
func OnCommand[M Letter](h *Handlers, f func(ctx context.Context, tx *Tx, m M) error) {
	add(h, true, f)
}

// OnEvent says what is done with events of type M: f runs once for each key, in a transaction. A [Refusal] makes a dead letter,
// for nobody waits for an answer. Otherwise it is as [OnCommand].
func OnEvent[M Letter](h *Handlers, f func(ctx context.Context, tx *Tx, m M) error) { add(h, false, f) }

func add[M Letter](h *Handlers, command bool, f func(ctx context.Context, tx *Tx, m M) error) {
	var zero M
	topic := zero.Topic()
	if _, found := h.byTopic[topic]; found {
		panic(fmt.Sprintf("box: two handlers of %s", topic))
	}
	if h.byTopic == nil {
		h.byTopic = make(map[string]handler)
	}
	h.byTopic[topic] = handler{command, func(ctx context.Context, tx *Tx, body []byte) error {
		var m M
		if err := json.Unmarshal(body, &m); err != nil {
			return &badBody{err}
		}
		return f(ctx, tx, m)
	}}
}

// Topics returns the topics that have a handler, in order.
func (h *Handlers) Topics() []string {
	var all []string
	for t := range h.byTopic {
		all = append(all, t)
	}
	slices.Sort(all)
	return all
}
