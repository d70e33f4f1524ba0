package contracts

import "github.com/google/uuid"

// CatalogItemCreated tells that the catalog has a new item.
type CatalogItemCreated struct {
	ItemID      uuid.UUID `json:"itemId"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Price       Gil       `json:"price"`
	Stock       *int64    `json:"stock,omitempty"`   // ours: how many there were ever to sell, nil for any number
	Version     int64     `json:"version,omitempty"` // ours
}

// CatalogItemUpdated tells that an item is now like this.
type CatalogItemUpdated CatalogItemCreated

// CatalogItemDeleted tells that there is no such item any more.
type CatalogItemDeleted struct {
	ItemID  uuid.UUID `json:"itemId"`
	Version int64     `json:"version,omitempty"` // ours
}

// PurchaseRequested tells that a player wants to buy.
type PurchaseRequested struct {
	UserID        uuid.UUID `json:"userId"`
	ItemID        uuid.UUID `json:"itemId"`
	Quantity      int64     `json:"quantity"`
	CorrelationID uuid.UUID `json:"correlationId"`
}

// GrantItems commands to give items to a player, or with Reserve to keep them for the player until they are delivered or
// subtracted.
type GrantItems struct {
	UserID        uuid.UUID `json:"userId"`
	CatalogItemID uuid.UUID `json:"catalogItemId"`
	Quantity      int64     `json:"quantity"`
	CorrelationID uuid.UUID `json:"correlationId"`
	Reserve       bool      `json:"reserve,omitempty"` // ours
}

// InventoryItemsGranted answers GrantItems.
type InventoryItemsGranted struct {
	CorrelationID uuid.UUID `json:"correlationId"`
}

// DeliverItems commands to hand out what was reserved. Ours.
type DeliverItems struct {
	UserID        uuid.UUID `json:"userId"`
	CatalogItemID uuid.UUID `json:"catalogItemId"`
	Quantity      int64     `json:"quantity"`
	CorrelationID uuid.UUID `json:"correlationId"`
}

// InventoryItemsDelivered answers DeliverItems. Ours.
type InventoryItemsDelivered struct {
	CorrelationID uuid.UUID `json:"correlationId"`
}

// SubtractItems undoes GrantItems and DeliverItems of the same purchase, whether they were done or are still to come.
type SubtractItems struct {
	UserID        uuid.UUID `json:"userId"`
	CatalogItemID uuid.UUID `json:"catalogItemId"`
	Quantity      int64     `json:"quantity"`
	CorrelationID uuid.UUID `json:"correlationId"`
}

// InventoryItemsSubtracted answers SubtractItems.
type InventoryItemsSubtracted struct {
	CorrelationID uuid.UUID `json:"correlationId"`
}

// InventoryItemUpdated tells how many of an item a player has now.
type InventoryItemUpdated struct {
	UserID           uuid.UUID `json:"userId"`
	CatalogItemID    uuid.UUID `json:"catalogItemId"`
	NewTotalQuantity int64     `json:"newTotalQuantity"`
	Version          int64     `json:"version,omitempty"` // ours
}

// StockUpdated tells how many of an item are left to sell; what is reserved is not. Ours.
type StockUpdated struct {
	CatalogItemID uuid.UUID `json:"catalogItemId"`
	Left          *int64    `json:"left"` // nil: any number
	Version       int64     `json:"version"`
}

// DebitGil commands to take gil from a player.
type DebitGil struct {
	UserID        uuid.UUID `json:"userId"`
	Gil           Gil       `json:"gil"`
	CorrelationID uuid.UUID `json:"correlationId"`
}

// GilDebited answers DebitGil.
type GilDebited struct {
	CorrelationID uuid.UUID `json:"correlationId"`
}

// RefundGil undoes DebitGil of the same purchase, whether it was done or is still to come. Ours.
type RefundGil struct {
	UserID        uuid.UUID `json:"userId"`
	Gil           Gil       `json:"gil"`
	CorrelationID uuid.UUID `json:"correlationId"`
}

// GilRefunded answers RefundGil. Ours.
type GilRefunded struct {
	CorrelationID uuid.UUID `json:"correlationId"`
}

// UserUpdated tells what an account has now. A deleted one has no gil.
type UserUpdated struct {
	UserID      uuid.UUID `json:"userId"`
	Email       string    `json:"email"`
	NewTotalGil Gil       `json:"newTotalGil"`
	Version     int64     `json:"version,omitempty"` // ours
}

// Topic returns the name of the type.
func (CatalogItemCreated) Topic() string { return "CatalogItemCreated" }

// Key returns "": each is another one.
func (CatalogItemCreated) Key() string { return "" }

// Topic returns the name of the type.
func (CatalogItemUpdated) Topic() string { return "CatalogItemUpdated" }

// Key returns "": each is another one.
func (CatalogItemUpdated) Key() string { return "" }

// Topic returns the name of the type.
func (CatalogItemDeleted) Topic() string { return "CatalogItemDeleted" }

// Key returns "": each is another one.
func (CatalogItemDeleted) Key() string { return "" }

// Topic returns the name of the type.
func (InventoryItemUpdated) Topic() string { return "InventoryItemUpdated" }

// Key returns "": each is another one.
func (InventoryItemUpdated) Key() string { return "" }

// Topic returns the name of the type.
func (StockUpdated) Topic() string { return "StockUpdated" }

// Key returns "": each is another one.
func (StockUpdated) Key() string { return "" }

// Topic returns the name of the type.
func (UserUpdated) Topic() string { return "UserUpdated" }

// Key returns "": each is another one.
func (UserUpdated) Key() string { return "" }

// Topic returns the name of the type.
func (PurchaseRequested) Topic() string { return "PurchaseRequested" }

// Key returns the purchase.
func (m PurchaseRequested) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (GrantItems) Topic() string { return "GrantItems" }

// Key returns the purchase.
func (m GrantItems) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (InventoryItemsGranted) Topic() string { return "InventoryItemsGranted" }

// Key returns the purchase.
func (m InventoryItemsGranted) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (DeliverItems) Topic() string { return "DeliverItems" }

// Key returns the purchase.
func (m DeliverItems) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (InventoryItemsDelivered) Topic() string { return "InventoryItemsDelivered" }

// Key returns the purchase.
func (m InventoryItemsDelivered) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (SubtractItems) Topic() string { return "SubtractItems" }

// Key returns the purchase.
func (m SubtractItems) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (InventoryItemsSubtracted) Topic() string { return "InventoryItemsSubtracted" }

// Key returns the purchase.
func (m InventoryItemsSubtracted) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (DebitGil) Topic() string { return "DebitGil" }

// Key returns the purchase.
func (m DebitGil) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (GilDebited) Topic() string { return "GilDebited" }

// Key returns the purchase.
func (m GilDebited) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (RefundGil) Topic() string { return "RefundGil" }

// Key returns the purchase.
func (m RefundGil) Key() string { return m.CorrelationID.String() }

// Topic returns the name of the type.
func (GilRefunded) Topic() string { return "GilRefunded" }

// Key returns the purchase.
func (m GilRefunded) Key() string { return m.CorrelationID.String() }
