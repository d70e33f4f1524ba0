package trading

import (
	"context"
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/bus"
)

var tracer = otel.Tracer("github.com/hubbub-go/hubbub/systems/economy/trading")

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
func (s *Service) tellProgress(ctx context.Context, c *change) error {
	p := stateOf(&c.Instance)
	ctx = context.WithoutCancel(ctx)
	c.Tx.AfterCommit(func() {
		if err := s.push(ctx, TargetProgress, p); err != nil {
			s.config.Logger.Debug("trading: tell progress", "purchase", p.CorrelationID, "error", err) // other nodes miss a step
		}
	})
	return nil
}

// push sends a state to all connections of its buyer, in a span of the trace that ctx is part of.
func (s *Service) push(ctx context.Context, target string, p PurchaseState) error {
	ctx, span := tracer.Start(ctx, "push "+target, trace.WithSpanKind(trace.SpanKindProducer))
	defer span.End()
	if span.IsRecording() {
		span.SetAttributes(attribute.String("purchase", p.CorrelationID), attribute.String("purchase.state", p.CurrentState))
	}
	err := s.hub.User(p.UserID).Send(ctx, target, p)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// tellEnd stores how a purchase ended in the transaction in which it does; the teller tells the buyer afterwards.
func (s *Service) tellEnd(ctx context.Context, c *change) error {
	p := stateOf(&c.Instance)
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if _, err := c.Tx.Exec(ctx, "INSERT INTO push (purchase, user_id, body, trace, created, lease, told) VALUES (?, ?, ?, ?, ?, 0, 0)", c.ID, p.UserID,
		string(body), bus.TraceText(ctx), c.Now.UnixMilli()); err != nil {
		return fmt.Errorf("store what the buyer is told: %w", err)
	}
	item, well := c.Data.countedAs(), c.State == Completed
	c.Tx.AfterCommit(func() {
		s.counts.ended(item, well)
		s.teller.wakeAll(p.UserID)
	})
	return nil
}
