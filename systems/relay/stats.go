package relay

// Stats are counters of a [System] on this node since its start, and what there is now.
type Stats struct {
	Events        uint64 // triggered here
	Unheard       uint64 // of those, events that nobody was there for on any node
	Delivered     uint64 // events handed to connections
	Refused       uint64 // subscriptions
	Posted        uint64 // events that webhooks took
	Dropped       uint64 // events that webhooks did not take, or had too many of
	Lost          uint64 // retained events that a listener did not come back for in time, or had too many of
	Pushes        uint64 // hints
	Heard         uint64 // events that this server had subscribed to, and that became tickets
	Unwanted      uint64 // events that it was sent and that became none, such as those with a cookie that is not its own
	Connections   int    // of the event hub
	Subscriptions int    // of those connections
}

// Stats returns the counters.
func (s *System) Stats() Stats {
	conns, subs := s.index.counts()
	c := &s.count
	st := Stats{
		Events: c.events.Load(), Unheard: c.unheard.Load(), Delivered: c.delivered.Load(), Refused: c.refused.Load(),
		Posted: c.posted.Load(), Dropped: c.dropped.Load(), Lost: c.lost.Load(), Pushes: c.pushes.Load(),
		Connections: conns, Subscriptions: subs,
	}
	if r := s.receiver; r != nil {
		st.Heard, st.Unwanted = r.count.tickets.Load(), r.count.refused.Load()
	}
	return st
}
