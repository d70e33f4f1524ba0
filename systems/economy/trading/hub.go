package trading

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hubbub-go/hubbub"
)

// Targets that buyers listen to: how a purchase ended, and what it has come to meanwhile.
const (
	TargetStatus   = "ReceivePurchaseStatus"
	TargetProgress = "ReceivePurchaseProgress"
)

// newHub makes the hub. It has no methods: what buyers are told comes from the machine alone.
func (s *Service) newHub() {
	s.hub = hubbub.NewHub("MessageHub", &s.config.Hub)
	s.hub.OnConnected(func(ctx context.Context) error {
		s.teller.wake(hubbub.CallerFrom(ctx).User().ID)
		return nil
	})
}

// tellProgress tells a buyer what a purchase has come to, if somebody is there to hear it.
func (s *Service) tellProgress(_ context.Context, c *change) error {
	p := stateOf(&c.Instance)
	c.Tx.AfterCommit(func() {
		if err := s.hub.User(p.UserID).Send(context.Background(), TargetProgress, p); err != nil {
			s.config.Logger.Warn("trading: tell progress", "purchase", p.CorrelationID, "error", err)
		}
	})
	return nil
}

// tellEnd stores how a purchase ended in the transaction in which it does; the teller tells the buyer afterwards.
func (s *Service) tellEnd(ctx context.Context, c *change) error {
	p := stateOf(&c.Instance)
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if _, err := c.Tx.Exec(ctx, "INSERT INTO push (purchase, user_id, body, created, lease, told) VALUES (?, ?, ?, ?, 0, 0)", c.ID, p.UserID,
		string(body), c.Now.UnixMilli()); err != nil {
		return fmt.Errorf("store what the buyer is told: %w", err)
	}
	item, well := c.Data.countedAs(), c.State == Completed
	c.Tx.AfterCommit(func() {
		s.counts.ended(item, well)
		s.teller.wakeAll(p.UserID)
	})
	return nil
}
