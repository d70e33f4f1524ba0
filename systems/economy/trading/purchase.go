package trading

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
)

// Purchase is what the machine keeps of a purchase.
type Purchase struct {
	CorrelationID uuid.UUID      `json:"correlationId"`
	UserID        uuid.UUID      `json:"userId"`
	ItemID        uuid.UUID      `json:"itemId"`
	Quantity      int64          `json:"quantity"`
	Total         *contracts.Gil `json:"total,omitempty"`
	Error         *string        `json:"error,omitempty"`
}

// PurchaseState is what a buyer is told, the PurchaseState of the original. In MessagePack its members have the names of the
// original's class.
type PurchaseState struct {
	CorrelationID string    `json:"correlationId" msgpack:"CorrelationId"`
	CurrentState  string    `json:"currentState"`
	UserID        string    `json:"userId" msgpack:"UserId"`
	ItemID        string    `json:"itemId" msgpack:"ItemId"`
	Quantity      int64     `json:"quantity"`
	Received      time.Time `json:"received"`
	PurchaseTotal *float64  `json:"purchaseTotal"`
	LastUpdated   time.Time `json:"lastUpdated"`
	ErrorMessage  *string   `json:"errorMessage"`
	Version       int64     `json:"version"`
}

func stateOf(i *saga.Instance[Purchase]) PurchaseState {
	p := PurchaseState{
		CorrelationID: i.ID, CurrentState: string(i.State), UserID: i.Data.UserID.String(), ItemID: i.Data.ItemID.String(),
		Quantity: i.Data.Quantity, Received: i.Created, LastUpdated: i.Updated, ErrorMessage: i.Data.Error, Version: i.Version,
	}
	if i.Data.Total != nil {
		total := float64(*i.Data.Total) / float64(contracts.OneGil)
		p.PurchaseTotal = &total
	}
	return p
}

func (s *Service) grantItems(p *Purchase) contracts.GrantItems {
	return contracts.GrantItems{
		UserID: p.UserID, CatalogItemID: p.ItemID, Quantity: p.Quantity, CorrelationID: p.CorrelationID, Reserve: !s.config.GrantFirst,
	}
}

func (p *Purchase) deliverItems() contracts.DeliverItems {
	return contracts.DeliverItems{UserID: p.UserID, CatalogItemID: p.ItemID, Quantity: p.Quantity, CorrelationID: p.CorrelationID}
}

func (p *Purchase) subtractItems() contracts.SubtractItems {
	return contracts.SubtractItems{UserID: p.UserID, CatalogItemID: p.ItemID, Quantity: p.Quantity, CorrelationID: p.CorrelationID}
}

func (p *Purchase) debitGil() contracts.DebitGil {
	return contracts.DebitGil{UserID: p.UserID, Gil: *p.Total, CorrelationID: p.CorrelationID}
}

func (p *Purchase) refundGil() contracts.RefundGil {
	return contracts.RefundGil{UserID: p.UserID, Gil: *p.Total, CorrelationID: p.CorrelationID}
}

// change is a purchase at which something happens.
type change = saga.Change[Purchase]

// begin takes over what the buyer wants.
func (s *Service) begin(_ context.Context, c *change, e contracts.PurchaseRequested) error {
	c.Data = Purchase{CorrelationID: e.CorrelationID, UserID: e.UserID, ItemID: e.ItemID, Quantity: e.Quantity}
	return nil
}

// calculateTotal looks the price up in our copy of the catalog.
func (s *Service) calculateTotal(ctx context.Context, c *change, e contracts.PurchaseRequested) error {
	var price contracts.Gil
	err := c.Tx.QueryRow(ctx, "SELECT price FROM catalog_item WHERE id = ? AND NOT deleted", e.ItemID.String()).Scan(&price)
	if errors.Is(err, sql.ErrNoRows) {
		c.Tx.AfterCommit(func() { s.counts.started(uuid.Nil) })
		return box.Refuse("UnknownItemException", "Unknown item '%s'", e.ItemID)
	}
	if err != nil {
		return err
	}
	total := price * contracts.Gil(e.Quantity)
	c.Data.Total = &total
	c.Tx.AfterCommit(func() { s.counts.started(e.ItemID) })
	return nil
}

// refused notes why a purchase did not even begin.
func (s *Service) refused(_ context.Context, c *change, r *box.Refusal) error {
	fail(c, r.Text)
	return nil
}

// late notes that a purchase was not done in time.
func (s *Service) late(_ context.Context, c *change, _ saga.Due) error {
	fail(c, "The purchase was not done in "+s.config.Deadline.String()+" and was called off")
	return nil
}

// because notes why a service did not do its part.
func because[M box.Letter](_ context.Context, c *change, f box.Fault[M]) error {
	fail(c, f.Reason())
	return nil
}

// countedAs is the item that a purchase is counted under: none, if it is of one that the catalog does not know.
func (p *Purchase) countedAs() uuid.UUID {
	if p.Total == nil {
		return uuid.Nil
	}
	return p.ItemID
}

func fail(c *change, why string) {
	c.Data.Error = &why
	c.Note(why)
}
