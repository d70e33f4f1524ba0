package trading

import (
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
)

// States of a purchase. The names that the original has are those of the original; ItemsGranted means here that the items are
// reserved, and GilDebited that they are paid and about to be handed out.
const (
	Accepted     saga.State = "Accepted"
	ItemsGranted saga.State = "ItemsGranted"
	GilDebited   saga.State = "GilDebited"
	Completed    saga.State = "Completed"
	Faulted      saga.State = "Faulted"
)

//go:generate go run ./draw -o machine.mmd

// newMachine is the life of a purchase.
func (s *Service) newMachine() *saga.Machine[Purchase] {
	m := saga.New[Purchase]("purchase")
	var (
		subtract = saga.Commands(m, (*Purchase).subtractItems)
		refund   = saga.Commands(m, (*Purchase).refundGil)
		grant    = saga.Commands(m, s.grantItems).UndoneBy(subtract)
		debit    = saga.Commands(m, (*Purchase).debitGil).UndoneBy(refund)
		deliver  = saga.Commands(m, (*Purchase).deliverItems).UndoneBy(subtract)

		granted, notGranted     = saga.AnswerTo[contracts.InventoryItemsGranted](grant), saga.FaultOf(grant)
		debited, notDebited     = saga.AnswerTo[contracts.GilDebited](debit), saga.FaultOf(debit)
		delivered, notDelivered = saga.AnswerTo[contracts.InventoryItemsDelivered](deliver), saga.FaultOf(deliver)
		_                       = saga.AnswerTo[contracts.InventoryItemsSubtracted](subtract)
		_                       = saga.AnswerTo[contracts.GilRefunded](refund)
		deadline                = m.Timer("deadline", s.config.Deadline)
	)
	s.requested = saga.On[contracts.PurchaseRequested](m)
	late := saga.When(deadline).Then(s.late).Compensate().TransitionTo(Faulted)
	paid := saga.When(debited).Send(deliver).TransitionTo(GilDebited)
	if s.config.GrantFirst { // they have the items already
		paid = saga.When(debited).TransitionTo(Completed)
	}

	m.Initially(
		saga.When(s.requested).Then(s.begin).Then(s.calculateTotal).Send(grant).Schedule(deadline).TransitionTo(Accepted).
			OnRefusal(s.refused, Faulted))
	m.During(Accepted,
		saga.When(granted).Send(debit).TransitionTo(ItemsGranted),
		saga.When(notGranted).Then(because[contracts.GrantItems]).Compensate().TransitionTo(Faulted),
		late)
	m.During(ItemsGranted,
		paid,
		saga.When(notDebited).Then(because[contracts.DebitGil]).Compensate().TransitionTo(Faulted),
		late)
	m.During(GilDebited,
		saga.When(delivered).TransitionTo(Completed),
		saga.When(notDelivered).Then(because[contracts.DeliverItems]).Compensate().TransitionTo(Faulted),
		late)
	m.Finally(Completed, Faulted)

	for _, state := range []saga.State{Accepted, ItemsGranted, GilDebited} {
		m.WhenEnter(state, s.tellProgress)
	}
	m.WhenEnter(Completed, s.tellEnd)
	m.WhenEnter(Faulted, s.tellEnd)
	return m
}

// Draw returns the machine of purchases as a state diagram in Mermaid's language.
func Draw(grantFirst bool) string {
	s := &Service{config: Config{GrantFirst: grantFirst}}
	s.config.setDefaults()
	return s.newMachine().Draw()
}
