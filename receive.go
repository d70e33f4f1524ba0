package hubbub

import (
	"context"
	"errors"
	"strings"
)

// receive does what another node wants. channel tells whom it is for.
func (r *remote) receive(channel string, data []byte) {
	e, err := parseEnvelope(data)
	if err != nil {
		r.hub.opts.Logger.Error("backplane", "hub", r.hub.name, "channel", channel, "error", err)
		return
	}
	if e.node == r.hub.opts.Node {
		return // delivered when it was sent
	}
	kind, name, _ := strings.Cut(strings.TrimPrefix(channel, r.hub.name+"/"), "/")
	switch e.kind {
	case envelopeSend:
		r.deliver(kind, name, e)
	case envelopeJoin, envelopeLeave:
		if l := r.hub.life.find(name); l != nil {
			// Not here: a subscription may wait for the goroutine that runs this.
			go func() {
				if err := r.membership(l, e.group, e.kind == envelopeJoin); err == nil {
					r.reply(e, &envelope{kind: envelopeAck})
				}
			}()
		}
	case envelopeInvoke:
		r.question(name, e)
	case envelopeForget:
		if l := r.hub.life.find(name); l != nil {
			r.hub.results.forget(e.key, l)
		}
	case envelopeAck:
		r.acknowledged(e.key)
	case envelopeResult, envelopeGone:
		r.answer(e)
		r.acknowledged(e.key)
	}
}

// acknowledged lets the one go on who waits for word of the node that he asked.
func (r *remote) acknowledged(key string) {
	r.mu.Lock()
	done := r.acks[key]
	delete(r.acks, key)
	r.mu.Unlock()
	if done != nil {
		done <- struct{}{}
	}
}

func (e *envelope) frame(h *Hub) *frame {
	f := h.newFrame(nil)
	for i, n := range e.names {
		f.records = append(f.records, record{protocol: n, b: e.records[i]})
	}
	return f
}

func (r *remote) deliver(kind, name string, e *envelope) {
	c := Clients{hub: r.hub, except: e.except, names: []string{name}}
	switch kind {
	case "all":
		c.kind = toAll
	case "group":
		c.kind = toGroups
	case "user":
		c.kind = toUsers
	case "connection":
		c.kind = toClients
	default:
		return
	}
	if err := r.hub.deliver(c, e.frame(r.hub)); err != nil {
		r.hub.opts.Logger.Error("message of another node not delivered", "hub", r.hub.name, "error", err)
	}
}

// question asks a connection of this node what another node wants to know.
func (r *remote) question(id string, e *envelope) {
	l := r.hub.life.find(id)
	if l == nil {
		return
	}
	_, q := r.hub.results.open(l, e.key)
	b, err := e.frame(r.hub).bytes(l.enc)
	if err == nil {
		err = l.out.Push(b, TypeInvocation)
	}
	if err != nil {
		r.hub.results.close(e.key)
		r.hub.opts.Logger.Error("question of another node not asked", "hub", r.hub.name, "connection", id, "error", err)
		if errors.Is(err, ErrSlow) {
			l.conn.Close(nil, ErrSlow)
		}
		r.reply(e, &envelope{kind: envelopeGone, err: errDisconnected(id).Error()})
		return
	}
	r.hub.count.sent.Add(1)
	r.reply(e, &envelope{kind: envelopeAck})
	go r.forward(e, q, l)
}

// forward waits for the answer of a connection and sends it to the node that asked.
func (r *remote) forward(e *envelope, q *question, l *Link) {
	m, err := q.wait(context.Background())
	switch {
	case err == errForgotten:
		return
	case err != nil:
		r.hub.results.close(e.key)
		r.reply(e, &envelope{kind: envelopeGone, err: err.Error()})
		return
	}
	out := &envelope{kind: envelopeResult, err: m.Error, has: m.HasResult}
	if raw, _ := m.Result.Raw(); m.HasResult {
		out.names, out.records = []string{l.enc.protocol.Name()}, [][]byte{raw}
	}
	r.reply(e, out)
}

func (r *remote) reply(to, e *envelope) {
	e.node, e.key = r.hub.opts.Node, to.key
	ctx, stop := context.WithTimeout(context.Background(), answerTimeout)
	defer stop()
	if err := r.bus.Publish(ctx, r.channel("node", to.node), e.append(nil)); err != nil {
		r.hub.opts.Logger.Error("answer to another node not sent", "hub", r.hub.name, "node", to.node, "error", err)
	}
}

// answer gives what another node's connection said to the question that waits for it.
func (r *remote) answer(e *envelope) {
	q, ok, foreign := r.hub.results.take(e.key, nil)
	if !ok || foreign {
		return
	}
	if e.kind == envelopeGone {
		q.gone = Classify("IOException", ErrClosed, e.err)
		close(q.answer)
		return
	}
	m := &Completion{InvocationID: e.key, Error: e.err, HasResult: e.has}
	if len(e.names) == 1 {
		r.hub.encMu.RLock()
		dec, _ := r.hub.protocol(e.names[0]).(Decoder)
		r.hub.encMu.RUnlock()
		if dec == nil {
			m.Error, m.HasResult = "The answer came in a protocol that this node does not speak.", false
		} else {
			m.Result = RawValue(e.records[0], dec)
		}
	}
	q.answer <- m
}
