//go:build race

package ticket_test

// orderTickets is how many tickets TestOrder drains, by database: the race detector makes SQLite in Go some twenty times slower.
var orderTickets = map[string]int{"sqlite": 300, "postgres": 300}
