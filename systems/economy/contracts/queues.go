package contracts

import (
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
)

// BusName is the name of the bus of Play Economy.
const BusName = "economy"

// Names of the queues, one for each service that listens.
const (
	InventoryQueue = "inventory"
	IdentityQueue  = "identity"
	TradingQueue   = "trading"
)

// Queues are those of all services. Every process declares all of them, so that a message waits for a service that was never
// started. A service has one queue, so what another one told before its answer has arrived before it: who is told that a purchase
// is complete finds the items and the gil of it in the store.
func Queues() []bus.Queue {
	return []bus.Queue{
		{Name: InventoryQueue, Topics: topics(CatalogItemCreated{}, CatalogItemUpdated{}, CatalogItemDeleted{}, GrantItems{}, DeliverItems{}, SubtractItems{})},
		{Name: IdentityQueue, Topics: topics(DebitGil{}, RefundGil{})},
		{Name: TradingQueue, Topics: append(topics(CatalogItemCreated{}, CatalogItemUpdated{}, CatalogItemDeleted{}, InventoryItemUpdated{}, StockUpdated{},
			UserUpdated{}, PurchaseRequested{}, InventoryItemsGranted{}, InventoryItemsDelivered{}, InventoryItemsSubtracted{}, GilDebited{}, GilRefunded{}),
			faults(GrantItems{}, DeliverItems{}, SubtractItems{}, DebitGil{}, RefundGil{})...)},
	}
}

func topics(letters ...box.Letter) (all []string) {
	for _, l := range letters {
		all = append(all, l.Topic())
	}
	return all
}

func faults(letters ...box.Letter) (all []string) {
	for _, l := range letters {
		all = append(all, box.FaultTopic(l.Topic()))
	}
	return all
}
