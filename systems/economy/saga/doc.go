// Package saga is a small typed state machine for work that goes through several services: it commands them one after the other,
// and when one of them refuses or none answers in time, it has undone what was done.
//
//	m := saga.New[Order]("order")
//	pay := saga.Commands(m, (*Order).pay).UndoneBy(saga.Commands(m, (*Order).refund))
//	placed, paid, refused := saga.On[Placed](m), saga.AnswerTo[Paid](pay), saga.FaultOf(pay)
//	deadline := m.Timer("deadline", time.Minute)
//
//	m.Initially(saga.When(placed).Then(copy).Send(pay).Schedule(deadline).TransitionTo(Waiting))
//	m.During(Waiting,
//		saga.When(paid).TransitionTo(Done),
//		saga.When(refused).Then(because).Compensate().TransitionTo(Failed),
//		saga.When(deadline).Compensate().TransitionTo(Failed))
//	m.Finally(Done, Failed)
//
// What happens at one event, the state, what is sent, what handlers write into the same database, is one transaction, of
// package box. A command that gets no answer is sent again, under the same key, so that it is done once. Compensation sends the
// undoing commands of all that was or may have been done, and sends them again until they are answered, however long that takes,
// also after the machine has reached a final state.
//
// An event that its state has no branch for is not lost in silence. In a final state it is late; after it has happened before it
// is a double; both are noted and counted. Otherwise it is early: it comes again later, and at last becomes a dead letter.
//
// The drawing of a machine comes from the machine: see [Machine.Draw].
package saga
