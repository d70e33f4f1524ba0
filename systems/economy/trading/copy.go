package trading

import (
	"context"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
)

// listen says what the service does with messages that are not of the machine: it keeps copies for the store page.
func (s *Service) listen(h *box.Handlers) {
	box.OnEvent(h, s.itemCreated)
	box.OnEvent(h, s.itemUpdated)
	box.OnEvent(h, s.itemDeleted)
	box.OnEvent(h, s.stockUpdated)
	box.OnEvent(h, s.inventoryUpdated)
	box.OnEvent(h, s.userUpdated)
}

func (s *Service) itemCreated(ctx context.Context, tx *box.Tx, e contracts.CatalogItemCreated) error {
	_, err := tx.Exec(ctx, `INSERT INTO catalog_item (id, name, description, price, version, deleted) VALUES (?, ?, ?, ?, ?, FALSE)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, price = excluded.price, version = excluded.version
		WHERE catalog_item.version < excluded.version`, e.ItemID.String(), e.Name, e.Description, int64(e.Price), e.Version)
	return err
}

func (s *Service) itemUpdated(ctx context.Context, tx *box.Tx, e contracts.CatalogItemUpdated) error {
	return s.itemCreated(ctx, tx, contracts.CatalogItemCreated(e))
}

func (s *Service) itemDeleted(ctx context.Context, tx *box.Tx, e contracts.CatalogItemDeleted) error {
	_, err := tx.Exec(ctx, `INSERT INTO catalog_item (id, name, description, price, version, deleted) VALUES (?, '', '', 0, ?, TRUE)
		ON CONFLICT (id) DO UPDATE SET deleted = TRUE, version = excluded.version`, e.ItemID.String(), e.Version)
	return err
}

func (s *Service) stockUpdated(ctx context.Context, tx *box.Tx, e contracts.StockUpdated) error {
	_, err := tx.Exec(ctx, `INSERT INTO stock (item_id, remaining, version) VALUES (?, ?, ?)
		ON CONFLICT (item_id) DO UPDATE SET remaining = excluded.remaining, version = excluded.version WHERE stock.version < excluded.version`,
		e.CatalogItemID.String(), e.Left, e.Version)
	return err
}

func (s *Service) inventoryUpdated(ctx context.Context, tx *box.Tx, e contracts.InventoryItemUpdated) error {
	_, err := tx.Exec(ctx, `INSERT INTO inventory_item (user_id, item_id, quantity, version) VALUES (?, ?, ?, ?)
		ON CONFLICT (user_id, item_id) DO UPDATE SET quantity = excluded.quantity, version = excluded.version
		WHERE inventory_item.version < excluded.version`, e.UserID.String(), e.CatalogItemID.String(), e.NewTotalQuantity, e.Version)
	return err
}

func (s *Service) userUpdated(ctx context.Context, tx *box.Tx, e contracts.UserUpdated) error {
	_, err := tx.Exec(ctx, `INSERT INTO account (user_id, gil, version) VALUES (?, ?, ?)
		ON CONFLICT (user_id) DO UPDATE SET gil = excluded.gil, version = excluded.version WHERE account.version < excluded.version`,
		e.UserID.String(), int64(e.NewTotalGil), e.Version)
	return err
}
