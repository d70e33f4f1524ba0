package catalog

import (
	"maps"
	"sync"

	"github.com/google/uuid"
)

// Stats count what has happened to items since the service was opened.
type Stats struct {
	Created, Deleted uint64
	// Updated is by item, and the caller's own.
	Updated map[uuid.UUID]uint64
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

func (c *counts) updated(item uuid.UUID) {
	c.note(func(s *Stats) {
		if s.Updated == nil {
			s.Updated = make(map[uuid.UUID]uint64)
		}
		s.Updated[item]++
	})
}

// Stats returns what has happened to items since the service was opened. It does not block.
func (s *Service) Stats() Stats {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	n := s.counts.Stats
	n.Updated = maps.Clone(n.Updated)
	return n
}
