package relay

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// nodeChannel is the channel of the backplane on which nodes tell each other of events. What is for one node only goes to a channel
// of its own, the name of this one and the node's.
const nodeChannel = "relay-system"

// kind says what a node tells.
type kind string

const (
	kindEvent   kind = "event"   // Guid has fired; Ask is where the number of listeners goes
	kindCount   kind = "count"   // the answer: Count listeners
	kindHere    kind = "here"    // the node serves; with Ask it wants to know who else does
	kindGone    kind = "gone"    // the node stops
	kindArrived kind = "arrived" // the listener ID has connected to the node
)

// nodeMessage is what one node tells the others.
type nodeMessage struct {
	Node  string `json:"node"`
	Kind  kind   `json:"kind"`
	Ask   uint64 `json:"ask,omitempty"`
	Guid  []byte `json:"guid,omitempty"`
	Count int    `json:"count,omitempty"`
	ID    string `json:"id,omitempty"`
}

const (
	nodeRound  = 5 * time.Second  // between two words of a node that it is here
	nodeSilent = 16 * time.Second // after which a node is not waited for
	nodePause  = 2 * time.Second  // that an answer is waited for
)

// ask is a trigger whose listeners are counted.
type ask struct {
	id    uint64
	left  map[string]bool // nodes that have not answered
	count int
	done  chan struct{}
}

// nodes is this node among the others. Every event goes over the backplane, also to this node, so that all hear all events in
// the order in which they were triggered.
type nodes struct {
	s       *System
	b       hubbub.Backplane
	name    string
	cancels []func()

	mu    sync.Mutex
	peers map[string]time.Time // when each was heard of, this one too
	asks  map[uint64]*ask
	last  uint64
}

// newID returns 128 random bits as text.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func newNodes(ctx context.Context, s *System, b hubbub.Backplane) (*nodes, error) {
	n := &nodes{s: s, b: b, name: newID(), peers: make(map[string]time.Time), asks: make(map[uint64]*ask)}
	for _, channel := range []string{nodeChannel, nodeChannel + "-" + n.name} {
		cancel, err := b.Subscribe(ctx, channel, n.hear)
		if err != nil {
			n.close()
			return nil, err
		}
		n.cancels = append(n.cancels, cancel)
	}
	return n, n.publish(ctx, nodeChannel, &nodeMessage{Kind: kindHere, Ask: 1})
}

// close says that the node stops. It may be called before everything is there.
func (n *nodes) close() {
	if len(n.cancels) == 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n.publish(ctx, nodeChannel, &nodeMessage{Kind: kindGone}) // those who do not hear it notice the silence
	}
	for _, cancel := range n.cancels {
		cancel()
	}
}

func (n *nodes) publish(ctx context.Context, channel string, m *nodeMessage) error {
	m.Node = n.name
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return n.b.Publish(ctx, channel, data)
}

// run says that the node is here, until the system stops.
func (n *nodes) run() {
	t := time.NewTicker(nodeRound)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-n.s.ctx.Done():
			return
		}
		if err := n.publish(n.s.ctx, nodeChannel, &nodeMessage{Kind: kindHere}); err != nil && n.s.ctx.Err() == nil {
			n.s.log.Error("relay: tell other nodes", "error", err)
		}
		n.mu.Lock()
		for name, heard := range n.peers {
			if name != n.name && time.Since(heard) > nodeSilent {
				n.lose(name)
			}
		}
		n.mu.Unlock()
	}
}

// lose forgets a node and waits for it no more. It needs n.mu.
func (n *nodes) lose(name string) {
	delete(n.peers, name)
	for _, a := range n.asks {
		n.answered(a, name, 0)
	}
}

// tell tells every node of an event.
func (n *nodes) tell(ctx context.Context, guid string) (*ask, error) {
	n.mu.Lock()
	n.last++
	a := &ask{id: n.last, left: map[string]bool{n.name: true}, done: make(chan struct{})}
	for name := range n.peers {
		a.left[name] = true
	}
	n.asks[a.id] = a
	n.mu.Unlock()
	err := n.publish(ctx, nodeChannel, &nodeMessage{Kind: kindEvent, Ask: a.id, Guid: []byte(guid)})
	if err != nil {
		n.forget(a)
		return nil, err
	}
	return a, nil
}

func (n *nodes) forget(a *ask) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.asks, a.id)
}

// answers waits for what the nodes answer and returns the sum. Nodes that do not answer in time are not waited for until they are
// heard of again.
func (n *nodes) answers(ctx context.Context, a *ask) int {
	t := time.NewTimer(nodePause)
	defer t.Stop()
	select {
	case <-a.done:
	case <-t.C:
	case <-ctx.Done():
	case <-n.s.ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.asks, a.id)
	if len(a.left) > 0 && ctx.Err() == nil && n.s.ctx.Err() == nil {
		n.s.log.Warn("relay: nodes did not say how many listen", "nodes", len(a.left))
		for name := range a.left {
			delete(n.peers, name)
		}
	}
	return a.count
}

// answered notes the answer of a node. It needs n.mu.
func (n *nodes) answered(a *ask, node string, count int) {
	a.count += count
	if a.left[node] {
		if delete(a.left, node); len(a.left) == 0 {
			close(a.done)
		}
	}
}

// hear does what a node tells. The backplane calls it once at a time.
func (n *nodes) hear(data []byte) {
	var m nodeMessage
	if err := json.Unmarshal(data, &m); err != nil {
		n.s.log.Error("relay: message of another node cannot be read", "error", err)
		return
	}
	if m.Kind == kindGone {
		n.mu.Lock()
		n.lose(m.Node)
		n.mu.Unlock()
		return
	}
	n.mu.Lock()
	_, known := n.peers[m.Node]
	n.peers[m.Node] = time.Now()
	n.mu.Unlock()
	var err error
	switch m.Kind {
	case kindEvent:
		count := n.s.deliver(n.s.ctx, string(m.Guid))
		if m.Node == n.name {
			n.take(&nodeMessage{Node: n.name, Ask: m.Ask, Count: count})
			return
		}
		err = n.publish(n.s.ctx, nodeChannel+"-"+m.Node, &nodeMessage{Kind: kindCount, Ask: m.Ask, Count: count})
	case kindCount:
		n.take(&m)
	case kindHere:
		if m.Node != n.name && (m.Ask != 0 || !known) {
			err = n.publish(n.s.ctx, nodeChannel+"-"+m.Node, &nodeMessage{Kind: kindHere})
		}
	case kindArrived:
		if m.Node != n.name && n.s.keep != nil {
			n.s.keep.supersede(m.ID)
		}
	}
	if err != nil && n.s.ctx.Err() == nil {
		n.s.log.Error("relay: answer another node", "kind", string(m.Kind), "error", err)
	}
}

func (n *nodes) take(m *nodeMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := n.asks[m.Ask]; a != nil {
		n.answered(a, m.Node, m.Count)
	}
}
