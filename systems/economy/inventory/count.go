package inventory

import (
	"maps"
	"sync"

	"github.com/google/uuid"
)

// Stats count purchases by what was done for them since the service was opened. What was only said again is not in them.
type Stats struct {
	// Granted are those whose items were reserved, or handed out before they were paid, by item. The map is the caller's own.
	Granted map[uuid.UUID]uint64
	// Delivered are those whose reserved items were handed out, and Subtracted those whose items were taken back.
	Delivered, Subtracted uint64
}

// counts are Stats while they grow.
type counts struct {
	mu sync.Mutex
	Stats
}

func (c *counts) note(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.Stats)
}

func (c *counts) granted(item uuid.UUID) {
	c.note(func(s *Stats) {
		if s.Granted == nil {
			s.Granted = make(map[uuid.UUID]uint64)
		}
		s.Granted[item]++
	})
}

func (c *counts) delivered() { c.note(func(s *Stats) { s.Delivered++ }) }

func (c *counts) subtracted() { c.note(func(s *Stats) { s.Subtracted++ }) }

// Stats returns what was done for purchases since the service was opened. It does not block.
func (s *Service) Stats() Stats {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	n := s.counts.Stats
	n.Granted = maps.Clone(n.Granted)
	return n
}
