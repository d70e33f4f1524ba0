package notify

import (
	"fmt"
	"sync"
)

// listener is one who hears of notifications, a connection or a webhook, with what it wants. The index guards it.
type listener struct {
	id     string
	reads  func(right string) bool // may it read resources that need this right
	subs   map[string]*filter      // by normal form
	wants  map[topic]int           // how many of subs want this single resource and action
	events map[string]int          // how many of subs want the whole event
	names  int                     // resources in all of subs
}

// index finds who wants a notification without asking everybody: listeners by event, and by event, resource and action. A
// listener that is found in both places counts once. It is safe for concurrent use.
type index struct {
	rights map[string]string // resource → right that reading it needs

	mu     sync.RWMutex
	all    map[string]*listener
	events map[string]map[*listener]struct{}
	topics map[topic]map[*listener]struct{}
}

func newIndex(rights map[string]string) *index {
	return &index{
		rights: rights,
		all:    make(map[string]*listener),
		events: make(map[string]map[*listener]struct{}),
		topics: make(map[topic]map[*listener]struct{}),
	}
}

// put adds a listener without subscriptions, or replaces what a known one may read.
func (x *index) put(id string, reads func(right string) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l := x.all[id]; l != nil {
		l.reads = reads
		return
	}
	x.all[id] = &listener{id: id, reads: reads, subs: make(map[string]*filter), wants: make(map[topic]int), events: make(map[string]int)}
}

// remove forgets a listener and returns what it wanted.
func (x *index) remove(id string) []*filter {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.all[id]
	if l == nil {
		return nil
	}
	delete(x.all, id)
	filters := make([]*filter, 0, len(l.subs))
	for _, f := range l.subs {
		filters = append(filters, f)
		x.count(l, f, -1)
	}
	return filters
}

// subscribe adds f to what a listener wants, within the limits; the same once more changes nothing. A listener that is gone is
// no error.
func (x *index) subscribe(id string, f *filter, limit Limits) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.all[id]
	if l == nil {
		return nil
	}
	key := f.key()
	switch {
	case l.subs[key] != nil:
		return nil
	case len(l.subs) >= limit.Subscriptions:
		return fmt.Errorf("the connection has %d subscriptions, want at most %d", len(l.subs)+1, limit.Subscriptions)
	case l.names+len(f.resources) > limit.Resources:
		return fmt.Errorf("the subscriptions of the connection name %d resources, want at most %d", l.names+len(f.resources), limit.Resources)
	}
	l.subs[key] = f
	x.count(l, f, 1)
	return nil
}

// unsubscribe takes exactly f away again. What is not there is no error.
func (x *index) unsubscribe(id string, f *filter) {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.all[id]
	if l == nil {
		return
	}
	key := f.key()
	if known := l.subs[key]; known != nil {
		delete(l.subs, key)
		x.count(l, known, -1)
	}
}

// count adds d to how many subscriptions of l want what f wants, and keeps the index as the counts say.
func (x *index) count(l *listener, f *filter, d int) {
	l.names += d * len(f.resources)
	if f.resources == nil {
		count(x.events, l.events, f.event, l, d)
		return
	}
	for name, set := range f.resources {
		for a := Created; a <= Deleted; a++ {
			if set.has(a) {
				count(x.topics, l.wants, topic{f.event, name, a}, l, d)
			}
		}
	}
}

func count[K comparable](index map[K]map[*listener]struct{}, own map[K]int, key K, l *listener, d int) {
	own[key] += d
	switch own[key] {
	case 0:
		delete(own, key)
		delete(index[key], l)
		if len(index[key]) == 0 {
			delete(index, key)
		}
	case 1:
		if index[key] == nil {
			index[key] = make(map[*listener]struct{})
		}
		index[key][l] = struct{}{}
	}
}

// match returns the ids of those who want a notification on t and may read it, each once, in no order.
func (x *index) match(t topic) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	whole, single := x.events[t.event], x.topics[t]
	if len(whole)+len(single) == 0 {
		return nil
	}
	right := ""
	if t.event == ResourcesChanged {
		right = x.rights[t.resource]
	}
	ids := make([]string, 0, len(whole)+len(single))
	for l := range whole {
		if right == "" || l.reads(right) {
			ids = append(ids, l.id)
		}
	}
	for l := range single {
		if _, twice := whole[l]; !twice && (right == "" || l.reads(right)) {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// wants reports whether the listener would be found by match.
func (x *index) wants(id string, t topic) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l := x.all[id]
	if l == nil || l.events[t.event] == 0 && l.wants[t] == 0 {
		return false
	}
	right := x.rights[t.resource]
	return t.event != ResourcesChanged || right == "" || l.reads(right)
}

// filters returns what a listener wants, in no order.
func (x *index) filters(id string) []*filter {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l := x.all[id]
	if l == nil {
		return nil
	}
	all := make([]*filter, 0, len(l.subs))
	for _, f := range l.subs {
		all = append(all, f)
	}
	return all
}

// replace makes x hold what fresh holds, which must not be used any more.
func (x *index) replace(fresh *index) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all, x.events, x.topics = fresh.all, fresh.events, fresh.topics
}
