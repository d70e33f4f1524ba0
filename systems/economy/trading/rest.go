package trading

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
	"github.com/hubbub-go/hubbub/systems/economy/web"
)

func (s *Service) routes() {
	s.rest = web.NewService(s.config.Verify, s.Ready, s.config.Logger)
	s.rest.Handle("GET /store", web.Anybody, s.getStore)
	s.rest.Handle("POST /purchase", web.Anybody, s.postPurchase)
	s.rest.Handle("GET /purchase/{first}/{second}", web.Anybody, s.getPurchase)
}

// StoreItem is the StoreItemDto of the original. Stock is ours: how many are left, absent for any number.
type StoreItem struct {
	ID            uuid.UUID     `json:"id"`
	Name          string        `json:"name"`
	Description   string        `json:"description"`
	Price         contracts.Gil `json:"price"`
	OwnedQuantity int64         `json:"ownedQuantity"`
	Stock         *int64        `json:"stock,omitempty"`
}

// Store is the StoreDto of the original.
type Store struct {
	Items   []StoreItem   `json:"items"`
	UserGil contracts.Gil `json:"userGil"`
}

// Store returns what there is to buy, and what a player has, as far as the service has heard.
func (s *Service) Store(ctx context.Context, user string) (Store, error) {
	all := Store{Items: []StoreItem{}}
	err := s.store.QueryRow(ctx, "SELECT gil FROM account WHERE user_id = ?", user).Scan(&all.UserGil)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return all, fmt.Errorf("trading: read account: %w", err)
	}
	rows, err := s.store.Query(ctx, `SELECT c.id, c.name, c.description, c.price, coalesce(i.quantity, 0), s.remaining FROM catalog_item c
		LEFT JOIN inventory_item i ON i.item_id = c.id AND i.user_id = ? LEFT JOIN stock s ON s.item_id = c.id
		WHERE NOT c.deleted ORDER BY c.name, c.id`, user)
	if err != nil {
		return all, fmt.Errorf("trading: read store: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var i StoreItem
		if err := rows.Scan(&i.ID, &i.Name, &i.Description, &i.Price, &i.OwnedQuantity, &i.Stock); err != nil {
			return all, fmt.Errorf("trading: read store: %w", err)
		}
		all.Items = append(all.Items, i)
	}
	return all, rows.Err()
}

func (s *Service) getStore(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Store(r.Context(), hubbub.UserFrom(r.Context()).ID)
	if err != nil {
		return err
	}
	return web.Write(w, http.StatusOK, all)
}

func (s *Service) postPurchase(w http.ResponseWriter, r *http.Request) error {
	b, err := web.Read(w, r)
	if err != nil {
		return err
	}
	e := contracts.PurchaseRequested{ItemID: b.ID("itemId"), Quantity: b.Int("quantity", 1, 100), CorrelationID: b.ID("idempotencyId")}
	if err := b.Err(); err != nil {
		return err
	}
	if e.UserID, err = web.UserID(r); err != nil {
		return err
	}
	if err := s.Purchase(r.Context(), e); err != nil {
		return err
	}
	s.config.Border("accepted")
	id := e.CorrelationID.String()
	w.Header().Set("Location", s.config.PathBase+"/purchase/status/"+id)
	return web.Write(w, http.StatusAccepted, map[string]string{"idempotencyId": id})
}

// errOthers is the problem of an id that another player has used.
var errOthers = web.Failure(http.StatusConflict, "The idempotencyId was used for another purchase.")

// Purchase begins a purchase, which is stored when it returns. The same one again changes nothing; one with the id of another
// player's is refused. It blocks for the database.
func (s *Service) Purchase(ctx context.Context, e contracts.PurchaseRequested) error {
	select {
	case s.storing <- struct{}{}:
		defer func() { <-s.storing }()
	case <-ctx.Done():
		return fmt.Errorf("trading: purchase: %w", ctx.Err())
	}
	for try := 1; ; try++ {
		err := s.box.Tx(ctx, func(tx *box.Tx) error {
			i, begun, err := saga.Begin(ctx, tx, s.requested, e)
			if err == nil && !begun && i.Data.UserID != e.UserID {
				err = errOthers
			}
			return err
		})
		if !errors.Is(err, saga.ErrConflict) || try == 5 {
			return err
		}
	}
}

// Status is the PurchaseDto of the original.
type Status struct {
	UserID        uuid.UUID      `json:"userId"`
	ItemID        uuid.UUID      `json:"itemId"`
	PurchaseTotal *contracts.Gil `json:"purchaseTotal,omitempty"`
	Quantity      int64          `json:"quantity"`
	State         saga.State     `json:"state"`
	Reason        *string        `json:"reason,omitempty"`
	Received      time.Time      `json:"received"`
	LastUpdated   time.Time      `json:"lastUpdated"`
}

// Step is what has happened to a purchase.
type Step struct {
	State   saga.State `json:"state"`
	At      time.Time  `json:"at"`
	Message string     `json:"message"`
}

// getPurchase serves status/{id} and {id}/history, which are one pattern to a mux.
func (s *Service) getPurchase(w http.ResponseWriter, r *http.Request) error {
	first, second := r.PathValue("first"), r.PathValue("second")
	switch {
	case second == "history":
		return s.getHistory(w, r, first)
	case first == "status":
		return s.getStatus(w, r, second)
	}
	return web.Failure(http.StatusNotFound, "There is no such endpoint.")
}

// own returns a purchase of who asks; an administrator may see all. To others it is not there.
func (s *Service) own(r *http.Request, text string) (*saga.Instance[Purchase], error) {
	id, err := web.ParseID(text)
	if err != nil {
		return nil, web.Failure(http.StatusNotFound, "The path has no id.")
	}
	i, err := s.machine.Load(r.Context(), s.store, id.String())
	u := hubbub.UserFrom(r.Context())
	if errors.Is(err, sql.ErrNoRows) || err == nil && i.Data.UserID.String() != u.ID && !u.HasRole(web.AdminRole) {
		return nil, web.NotFound("purchase", id)
	}
	return i, err
}

func (s *Service) getStatus(w http.ResponseWriter, r *http.Request, id string) error {
	i, err := s.own(r, id)
	if err != nil {
		return err
	}
	return web.Write(w, http.StatusOK, Status{
		UserID: i.Data.UserID, ItemID: i.Data.ItemID, PurchaseTotal: i.Data.Total, Quantity: i.Data.Quantity, State: i.State, Reason: i.Data.Error,
		Received: i.Created, LastUpdated: i.Updated,
	})
}

func (s *Service) getHistory(w http.ResponseWriter, r *http.Request, id string) error {
	i, err := s.own(r, id)
	if err != nil {
		return err
	}
	entries, err := s.machine.History(r.Context(), s.store, i.ID)
	if err != nil {
		return err
	}
	steps := []Step{}
	for _, e := range entries {
		message := e.Event
		if e.Note != "" {
			message += ": " + e.Note
		}
		steps = append(steps, Step{e.State, e.At, message})
	}
	return web.Write(w, http.StatusOK, steps)
}
