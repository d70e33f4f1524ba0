package trading

import (
	"sync"

	"github.com/google/uuid"
)

// Count is how many purchases of an item there were since the service was opened.
type Count struct{ Started, Success, Failed uint64 }

// counts has a Count for each item.
type counts struct {
	mu     sync.Mutex
	byItem map[uuid.UUID]*Count
}

func (c *counts) of(item uuid.UUID, f func(*Count)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byItem == nil {
		c.byItem = make(map[uuid.UUID]*Count)
	}
	n := c.byItem[item]
	if n == nil {
		n = &Count{}
		c.byItem[item] = n
	}
	f(n)
}

func (c *counts) started(item uuid.UUID) { c.of(item, func(n *Count) { n.Started++ }) }

func (c *counts) ended(item uuid.UUID, well bool) {
	c.of(item, func(n *Count) {
		if well {
			n.Success++
		} else {
			n.Failed++
		}
	})
}

// Counts returns how many purchases there were since the service was opened, by item; those of items that the catalog does not know
// are under the nil UUID. It does not block.
func (s *Service) Counts() map[uuid.UUID]Count {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	all := make(map[uuid.UUID]Count, len(s.counts.byItem))
	for item, n := range s.counts.byItem {
		all[item] = *n
	}
	return all
}
