package main

import (
	"context"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
)

// Order is what the machine keeps of an order.
type Order struct {
	Placed
	Why string `json:"why,omitempty"` // it was cancelled
}

// An order waits for its goods, is packed and waits for its money, and is done or cancelled.
const (
	Waiting   saga.State = "Waiting"
	Packed    saga.State = "Packed"
	Done      saga.State = "Done"
	Cancelled saga.State = "Cancelled"
)

// orders is the life of an order: goods are reserved, money is taken. What goes wrong on the way is taken back.
func orders() (*saga.Machine[Order], saga.Event[Order, Placed]) {
	m := saga.New[Order]("order")
	var (
		release = saga.Commands(m, func(o *Order) Release { return Release{o.about} })
		refund  = saga.Commands(m, func(o *Order) Refund { return Refund{o.about} })
		reserve = saga.Commands(m, func(o *Order) Reserve { return Reserve{o.about, o.Goods} }).UndoneBy(release)
		charge  = saga.Commands(m, func(o *Order) Charge { return Charge{o.about, amount{"gold of " + o.Customer, o.Price}} }).UndoneBy(refund)

		placed                = saga.On[Placed](m)
		reserved, notReserved = saga.AnswerTo[Reserved](reserve), saga.FaultOf(reserve)
		charged, notCharged   = saga.AnswerTo[Charged](charge), saga.FaultOf(charge)
		_                     = saga.AnswerTo[Released](release)
		_                     = saga.AnswerTo[Refunded](refund)
		deadline              = m.Timer("deadline", time.Minute)
	)
	begin := func(_ context.Context, c *saga.Change[Order], e Placed) error { c.Data.Placed = e; return nil }
	late := func(_ context.Context, c *saga.Change[Order], _ saga.Due) error { return because(c, "not in time") }

	m.Initially(
		saga.When(placed).Then(begin).Send(reserve).Schedule(deadline).TransitionTo(Waiting))
	m.During(Waiting,
		saga.When(reserved).Send(charge).TransitionTo(Packed),
		saga.When(notReserved).Then(refused[Reserve]).Compensate().TransitionTo(Cancelled),
		saga.When(deadline).Then(late).Compensate().TransitionTo(Cancelled))
	m.During(Packed,
		saga.When(charged).TransitionTo(Done),
		saga.When(notCharged).Then(refused[Charge]).Compensate().TransitionTo(Cancelled),
		saga.When(deadline).Then(late).Compensate().TransitionTo(Cancelled))
	m.Finally(Done, Cancelled)
	return m, placed
}

func refused[M box.Letter](_ context.Context, c *saga.Change[Order], f box.Fault[M]) error {
	return because(c, f.Reason())
}

func because(c *saga.Change[Order], why string) error {
	c.Data.Why = why
	c.Note(why)
	return nil
}
