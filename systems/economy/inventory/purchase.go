package inventory

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
)

// States of a reservation.
const (
	reserved   = "reserved"
	granted    = "granted"
	subtracted = "subtracted"
)

// reservation returns the state of what was done for a purchase, "" for nothing, and how many items it was about.
func reservation(ctx context.Context, tx *box.Tx, purchase uuid.UUID) (state string, quantity int64, err error) {
	err = tx.QueryRow(ctx, "SELECT state, quantity FROM reservation WHERE purchase = ?", purchase.String()).Scan(&state, &quantity)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return state, quantity, err
}

func note(ctx context.Context, tx *box.Tx, purchase, user, item uuid.UUID, quantity int64, state string) error {
	_, err := tx.Exec(ctx, `INSERT INTO reservation (purchase, user_id, item_id, quantity, state, at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (purchase) DO UPDATE SET state = excluded.state, at = excluded.at`,
		purchase.String(), user.String(), item.String(), quantity, state, tx.Now().UnixMilli())
	return err
}

func calledOff(purchase uuid.UUID) error {
	return box.Refuse("PurchaseCalledOffException", "Purchase '%s' was called off", purchase)
}

// grant reserves items for a purchase, or hands them out at once as the original does.
func (s *Service) grant(ctx context.Context, tx *box.Tx, m contracts.GrantItems) error {
	switch state, _, err := reservation(ctx, tx, m.CorrelationID); {
	case err != nil:
		return err
	case state == subtracted: // the command was overtaken
		return calledOff(m.CorrelationID)
	case state != "":
		return tx.Send(ctx, contracts.InventoryItemsGranted{CorrelationID: m.CorrelationID})
	}
	i, err := find(ctx, tx, m.CatalogItemID)
	switch {
	case err != nil:
		return err
	case i == nil || i.deleted:
		return box.Refuse("UnknownItemException", "Unknown item '%s'", m.CatalogItemID)
	case m.Quantity < 1:
		return box.Refuse("InvalidQuantityException", "Quantity %d is not positive", m.Quantity)
	case i.supply != nil && *i.supply-i.sold < m.Quantity:
		return box.Refuse("InsufficientStockException", "There is insufficient stock of item '%s': %d left, %d wanted", m.CatalogItemID,
			max(*i.supply-i.sold, 0), m.Quantity)
	}
	if err := s.sell(ctx, tx, m.CatalogItemID, m.Quantity); err != nil {
		return err
	}
	state := reserved
	if !m.Reserve {
		state = granted
		if err := s.add(ctx, tx, m.UserID, m.CatalogItemID, m.Quantity); err != nil {
			return err
		}
	}
	if err := note(ctx, tx, m.CorrelationID, m.UserID, m.CatalogItemID, m.Quantity, state); err != nil {
		return err
	}
	tx.AfterCommit(func() { s.counts.granted(m.CatalogItemID) })
	return tx.Send(ctx, contracts.InventoryItemsGranted{CorrelationID: m.CorrelationID})
}

// deliver hands out what was reserved.
func (s *Service) deliver(ctx context.Context, tx *box.Tx, m contracts.DeliverItems) error {
	state, quantity, err := reservation(ctx, tx, m.CorrelationID)
	switch {
	case err != nil:
		return err
	case state == subtracted:
		return calledOff(m.CorrelationID)
	case state == "":
		return box.Refuse("UnknownReservationException", "Nothing is reserved for purchase '%s'", m.CorrelationID)
	case state == reserved:
		if err := s.add(ctx, tx, m.UserID, m.CatalogItemID, quantity); err != nil {
			return err
		}
		if err := note(ctx, tx, m.CorrelationID, m.UserID, m.CatalogItemID, quantity, granted); err != nil {
			return err
		}
		tx.AfterCommit(s.counts.delivered)
	}
	return tx.Send(ctx, contracts.InventoryItemsDelivered{CorrelationID: m.CorrelationID})
}

// subtract undoes whatever was done for a purchase, and keeps what is still on its way from being done.
func (s *Service) subtract(ctx context.Context, tx *box.Tx, m contracts.SubtractItems) error {
	state, quantity, err := reservation(ctx, tx, m.CorrelationID)
	if err != nil {
		return err
	}
	if state == granted {
		if err := s.add(ctx, tx, m.UserID, m.CatalogItemID, -quantity); err != nil {
			return err
		}
	}
	if state == granted || state == reserved {
		if err := s.sell(ctx, tx, m.CatalogItemID, -quantity); err != nil {
			return err
		}
		tx.AfterCommit(s.counts.subtracted)
	}
	if err := note(ctx, tx, m.CorrelationID, m.UserID, m.CatalogItemID, m.Quantity, subtracted); err != nil {
		return err
	}
	return tx.Send(ctx, contracts.InventoryItemsSubtracted{CorrelationID: m.CorrelationID})
}

// add gives a player items, or takes them with a negative quantity, and tells the others.
func (s *Service) add(ctx context.Context, tx *box.Tx, user, item uuid.UUID, quantity int64) error {
	e := contracts.InventoryItemUpdated{UserID: user, CatalogItemID: item}
	if err := tx.QueryRow(ctx, `INSERT INTO inventory_item (user_id, item_id, quantity, acquired, version) VALUES (?, ?, ?, ?, 1)
		ON CONFLICT (user_id, item_id) DO UPDATE SET quantity = inventory_item.quantity + excluded.quantity, version = inventory_item.version + 1
		RETURNING quantity, version`, user.String(), item.String(), quantity, tx.Now().UnixMilli()).Scan(&e.NewTotalQuantity, &e.Version); err != nil {
		return err
	}
	return tx.Send(ctx, e)
}
