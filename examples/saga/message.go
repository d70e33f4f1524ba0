package main

import (
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
)

// about is what every message has: the order that it is about. It is the key, by which a double is known.
type about struct {
	Order string `json:"order"`
}

// Key returns the order.
func (a about) Key() string { return a.Order }

// amount is so much of something: of goods, or of somebody's money.
type amount struct {
	Of    string `json:"of"`
	Count int    `json:"count"`
}

// Placed tells that somebody wants something.
type Placed struct {
	about
	Customer string `json:"customer"`
	Goods    amount `json:"goods"`
	Price    int    `json:"price"`
}

// Reserve commands the warehouse to keep goods for an order.
type Reserve struct {
	about
	amount
}

// Reserved answers Reserve.
type Reserved struct{ about }

// Release undoes Reserve.
type Release struct{ about }

// Released answers Release.
type Released struct{ about }

// Charge commands the bank to take the money for an order.
type Charge struct {
	about
	amount
}

// Charged answers Charge.
type Charged struct{ about }

// Refund undoes Charge.
type Refund struct{ about }

// Refunded answers Refund.
type Refunded struct{ about }

// Topic returns the name of the type.
func (Placed) Topic() string { return "Placed" }

// Topic returns the name of the type.
func (Reserve) Topic() string { return "Reserve" }

// Topic returns the name of the type.
func (Reserved) Topic() string { return "Reserved" }

// Topic returns the name of the type.
func (Release) Topic() string { return "Release" }

// Topic returns the name of the type.
func (Released) Topic() string { return "Released" }

// Topic returns the name of the type.
func (Charge) Topic() string { return "Charge" }

// Topic returns the name of the type.
func (Charged) Topic() string { return "Charged" }

// Topic returns the name of the type.
func (Refund) Topic() string { return "Refund" }

// Topic returns the name of the type.
func (Refunded) Topic() string { return "Refunded" }

// queues say who gets what. A message waits there for a service that is away.
func queues(machine, warehouse, bank *box.Handlers) []bus.Queue {
	return []bus.Queue{
		{Name: "orders", Topics: machine.Topics()}, {Name: "warehouse", Topics: warehouse.Topics()}, {Name: "bank", Topics: bank.Topics()},
	}
}
