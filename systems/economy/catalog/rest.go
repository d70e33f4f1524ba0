package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/web"
)

// Item is the ItemDto of the original. Stock is ours: how many there were ever to sell, absent for any number.
type Item struct {
	ID          uuid.UUID     `json:"id"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Price       contracts.Gil `json:"price"`
	CreatedDate time.Time     `json:"createdDate"`
	Stock       *int64        `json:"stock,omitempty"`
}

func (s *Service) routes() {
	s.rest = web.NewService(s.config.Verify, s.Ready, s.config.Logger)
	read := web.Admin("catalog.readaccess", "catalog.fullaccess")
	write := web.Admin("catalog.writeaccess", "catalog.fullaccess")
	s.rest.Handle("GET /items", read, s.getItems)
	s.rest.Handle("GET /items/{id}", read, s.getItem)
	s.rest.Handle("POST /items", write, s.postItem)
	s.rest.Handle("PUT /items/{id}", write, s.putItem)
	s.rest.Handle("DELETE /items/{id}", write, s.deleteItem)
}

const columns = "id, name, description, price, stock, created"

func scan(row interface{ Scan(...any) error }) (Item, error) {
	var i Item
	var created int64
	err := row.Scan(&i.ID, &i.Name, &i.Description, &i.Price, &i.Stock, &created)
	i.CreatedDate = time.UnixMilli(created).UTC()
	return i, err
}

// Items returns all items, oldest first.
func (s *Service) Items(ctx context.Context) ([]Item, error) {
	rows, err := s.store.Query(ctx, "SELECT "+columns+" FROM item ORDER BY created, id")
	if err != nil {
		return nil, fmt.Errorf("catalog: list items: %w", err)
	}
	defer rows.Close()
	all := []Item{}
	for rows.Next() {
		i, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("catalog: list items: %w", err)
		}
		all = append(all, i)
	}
	return all, rows.Err()
}

func (s *Service) getItems(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Items(r.Context())
	if err != nil {
		return err
	}
	return web.Write(w, http.StatusOK, all)
}

func (s *Service) getItem(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathID(r, "id")
	if err != nil {
		return err
	}
	i, err := scan(s.store.QueryRow(r.Context(), "SELECT "+columns+" FROM item WHERE id = ?", id.String()))
	if errors.Is(err, sql.ErrNoRows) {
		return web.NotFound("item", id)
	}
	if err != nil {
		return fmt.Errorf("catalog: read item: %w", err)
	}
	return web.Write(w, http.StatusOK, i)
}

// readItem reads a CreateItemDto or UpdateItemDto.
func readItem(w http.ResponseWriter, r *http.Request) (Item, error) {
	b, err := web.Read(w, r)
	if err != nil {
		return Item{}, err
	}
	i := Item{
		Name: b.Text("name", true, 200), Description: b.Text("description", false, 4000), Price: b.Gil("price", MaximumPrice),
		Stock: b.OptionalInt("stock", 0, 1_000_000_000),
	}
	return i, b.Err()
}

func (i Item) event(version int64) contracts.CatalogItemCreated {
	return contracts.CatalogItemCreated{ItemID: i.ID, Name: i.Name, Description: i.Description, Price: i.Price, Stock: i.Stock, Version: version}
}

// Create adds an item, whose ID and CreatedDate it sets, and tells the others.
func (s *Service) Create(ctx context.Context, i Item) (Item, error) {
	i.ID, i.CreatedDate = uuid.New(), s.box.Now()
	if err := s.box.Tx(ctx, func(tx *box.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO item (id, name, description, price, stock, created, version) VALUES (?, ?, ?, ?, ?, ?, 1)",
			i.ID.String(), i.Name, i.Description, int64(i.Price), i.Stock, i.CreatedDate.UnixMilli()); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.counts.note(func(n *Stats) { n.Created++ }) })
		return tx.Send(ctx, i.event(1))
	}); err != nil {
		return Item{}, fmt.Errorf("catalog: create item: %w", err)
	}
	return i, nil
}

func (s *Service) postItem(w http.ResponseWriter, r *http.Request) error {
	i, err := readItem(w, r)
	if err != nil {
		return err
	}
	if i, err = s.Create(r.Context(), i); err != nil {
		return err
	}
	w.Header().Set("Location", s.config.PathBase+"/items/"+i.ID.String())
	return web.Write(w, http.StatusCreated, i)
}

func (s *Service) putItem(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathID(r, "id")
	if err != nil {
		return err
	}
	i, err := readItem(w, r)
	if err != nil {
		return err
	}
	i.ID = id
	ctx := r.Context()
	err = s.box.Tx(ctx, func(tx *box.Tx) error {
		var version int64
		if err := tx.QueryRow(ctx, "UPDATE item SET name = ?, description = ?, price = ?, stock = ?, version = version + 1 WHERE id = ? RETURNING version",
			i.Name, i.Description, int64(i.Price), i.Stock, id.String()).Scan(&version); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.counts.updated(id) })
		return tx.Send(ctx, contracts.CatalogItemUpdated(i.event(version)))
	})
	return changed(w, id, err)
}

func (s *Service) deleteItem(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathID(r, "id")
	if err != nil {
		return err
	}
	ctx := r.Context()
	err = s.box.Tx(ctx, func(tx *box.Tx) error {
		var version int64
		if err := tx.QueryRow(ctx, "DELETE FROM item WHERE id = ? RETURNING version", id.String()).Scan(&version); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.counts.note(func(n *Stats) { n.Deleted++ }) })
		return tx.Send(ctx, contracts.CatalogItemDeleted{ItemID: id, Version: version + 1})
	})
	return changed(w, id, err)
}

// changed answers after a change of an item.
func changed(w http.ResponseWriter, id uuid.UUID, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return web.NotFound("item", id)
	}
	if err != nil {
		return fmt.Errorf("catalog: change item: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
