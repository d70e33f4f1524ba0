package inventory

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/web"
)

// Item is the InventoryItemsDto of the original. Of an item that the catalog does not know name and description are empty.
type Item struct {
	CatalogItemID uuid.UUID `json:"catalogItemId"`
	Name          string    `json:"name"`
	Description   string    `json:"description"`
	Quantity      int64     `json:"quantity"`
	AcquiredDate  time.Time `json:"acquiredDate"`
}

func (s *Service) routes() {
	s.rest = web.NewService(s.config.Verify, s.Ready, s.config.Logger)
	s.rest.Handle("GET /items", web.Anybody, s.getItems)
	s.rest.Handle("POST /items", web.Admin(), s.postItems)
}

// Items returns what a player has, in the order in which the first of each came.
func (s *Service) Items(ctx context.Context, user uuid.UUID) ([]Item, error) {
	rows, err := s.store.Query(ctx, `SELECT i.item_id, coalesce(c.name, ''), coalesce(c.description, ''), i.quantity, i.acquired
		FROM inventory_item i LEFT JOIN catalog_item c ON c.id = i.item_id WHERE i.user_id = ? ORDER BY i.acquired, i.item_id`, user.String())
	if err != nil {
		return nil, fmt.Errorf("inventory: list items: %w", err)
	}
	defer rows.Close()
	all := []Item{}
	for rows.Next() {
		var i Item
		var acquired int64
		if err := rows.Scan(&i.CatalogItemID, &i.Name, &i.Description, &i.Quantity, &acquired); err != nil {
			return nil, fmt.Errorf("inventory: list items: %w", err)
		}
		i.AcquiredDate = time.UnixMilli(acquired).UTC()
		all = append(all, i)
	}
	return all, rows.Err()
}

func (s *Service) getItems(w http.ResponseWriter, r *http.Request) error {
	user, err := web.QueryID(r, "userId")
	if err != nil {
		return err
	}
	if u := hubbub.UserFrom(r.Context()); u.ID != user.String() && !u.HasRole(web.AdminRole) {
		return web.Failure(http.StatusForbidden, "The items of another player are for administrators.")
	}
	all, err := s.Items(r.Context(), user)
	if err != nil {
		return err
	}
	return web.Write(w, http.StatusOK, all)
}

// postItems gives items as an administrator, of any kind and also a negative number of them, as the original does.
func (s *Service) postItems(w http.ResponseWriter, r *http.Request) error {
	b, err := web.Read(w, r)
	if err != nil {
		return err
	}
	user, item, quantity := b.ID("userId"), b.ID("catalogItemId"), b.Int("quantity", -1_000_000_000, 1_000_000_000)
	if err := b.Err(); err != nil {
		return err
	}
	ctx := r.Context()
	if err := s.box.Tx(ctx, func(tx *box.Tx) error { return s.add(ctx, tx, user, item, quantity) }); err != nil {
		return fmt.Errorf("inventory: give items: %w", err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
