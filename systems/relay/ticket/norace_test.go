//go:build !race

package ticket_test

// orderTickets is how many tickets TestOrder drains, by database.
var orderTickets = map[string]int{"sqlite": 10_000, "postgres": 2_000}
