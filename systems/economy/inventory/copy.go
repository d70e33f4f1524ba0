package inventory

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
)

// listen says what the service does with messages.
func (s *Service) listen(h *box.Handlers) {
	box.OnEvent(h, s.itemCreated)
	box.OnEvent(h, s.itemUpdated)
	box.OnEvent(h, s.itemDeleted)
	box.OnCommand(h, s.grant)
	box.OnCommand(h, s.deliver)
	box.OnCommand(h, s.subtract)
}

func (s *Service) itemCreated(ctx context.Context, tx *box.Tx, e contracts.CatalogItemCreated) error {
	return s.copyItem(ctx, tx, e)
}

func (s *Service) itemUpdated(ctx context.Context, tx *box.Tx, e contracts.CatalogItemUpdated) error {
	return s.copyItem(ctx, tx, contracts.CatalogItemCreated(e))
}

// copyItem takes over what is newer than our copy.
func (s *Service) copyItem(ctx context.Context, tx *box.Tx, e contracts.CatalogItemCreated) error {
	n, err := tx.Exec(ctx, `INSERT INTO catalog_item (id, name, description, supply, sold, told, version, deleted) VALUES (?, ?, ?, ?, 0, 0, ?, FALSE)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, supply = excluded.supply, version = excluded.version
		WHERE catalog_item.version < excluded.version`, e.ItemID.String(), e.Name, e.Description, e.Stock, e.Version)
	if err != nil || n == 0 {
		return err
	}
	return s.tellStock(ctx, tx, e.ItemID)
}

// itemDeleted also notes an item that we have not heard of, against its late creation.
func (s *Service) itemDeleted(ctx context.Context, tx *box.Tx, e contracts.CatalogItemDeleted) error {
	_, err := tx.Exec(ctx, `INSERT INTO catalog_item (id, name, description, sold, told, version, deleted) VALUES (?, '', '', 0, 0, ?, TRUE)
		ON CONFLICT (id) DO UPDATE SET deleted = TRUE, version = excluded.version`, e.ItemID.String(), e.Version)
	return err
}

// item is our copy of one of the catalog.
type item struct {
	supply  *int64
	sold    int64
	deleted bool
}

// find returns our copy of an item, nil if there is none.
func find(ctx context.Context, tx *box.Tx, id uuid.UUID) (*item, error) {
	i := &item{}
	err := tx.QueryRow(ctx, "SELECT supply, sold, deleted FROM catalog_item WHERE id = ?", id.String()).Scan(&i.supply, &i.sold, &i.deleted)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return i, err
}

// sell takes items out of what is left, or puts them back with a negative quantity.
func (s *Service) sell(ctx context.Context, tx *box.Tx, id uuid.UUID, quantity int64) error {
	var supply *int64
	err := tx.QueryRow(ctx, "UPDATE catalog_item SET sold = sold + ? WHERE id = ? RETURNING supply", quantity, id.String()).Scan(&supply)
	if errors.Is(err, sql.ErrNoRows) || err == nil && supply == nil {
		return nil
	}
	if err != nil {
		return err
	}
	return s.tellStock(ctx, tx, id)
}

// tellStock tells how many are left, where there is a bound or was one.
func (s *Service) tellStock(ctx context.Context, tx *box.Tx, id uuid.UUID) error {
	var supply *int64
	var sold, told int64
	if err := tx.QueryRow(ctx, "SELECT supply, sold, told FROM catalog_item WHERE id = ?", id.String()).Scan(&supply, &sold, &told); err != nil {
		return err
	}
	if supply == nil && told == 0 {
		return nil // never had one
	}
	e := contracts.StockUpdated{CatalogItemID: id, Version: told + 1}
	if supply != nil {
		left := max(*supply-sold, 0)
		e.Left = &left
	}
	if _, err := tx.Exec(ctx, "UPDATE catalog_item SET told = ? WHERE id = ?", e.Version, id.String()); err != nil {
		return err
	}
	return tx.Send(ctx, e)
}
