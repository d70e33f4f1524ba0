// Package ticket is the queue of asynchronous work of the relay: a ticket says which view model to run for which object, now or
// later, and how urgent it is. Tickets are kept in SQL and survive the process; a worker that dies leaves its ticket to the next
// one, so a ticket runs at least once.
//
//	queue, err := ticket.Open(ctx, ticket.Config{Database: db, ViewModels: viewmodel.Options{…}})
//	queue.Start()
//	t, err := queue.Create(ctx, ticket.Ticket{ViewModel: "OrderVM", RootID: "12|7"})
//
// The path of a ticket: create.go stores it, take.go claims the most urgent ones for this process, dispatch.go has them run by
// run.go, and end.go stores what came of them, together with the changes that they make to objects.
package ticket
