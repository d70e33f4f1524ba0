// Package storetest tests stores: [Run] is what every database of systems/store must do, [Postgres] starts a PostgreSQL server
// for tests, [SQLite] and [Each] open stores of systems for their own tests.
package storetest

import (
	"io/fs"
	"testing"

	"github.com/hubbub-go/hubbub/systems/store"
)

// Opener opens the same database again and again during one test: what one store has written, the next one reads.
type Opener func(t testing.TB, name string, migrations fs.FS) (*store.Store, error)

// Databases are the names of the databases that [Each] tests.
var Databases = []string{"sqlite", "postgres"}

// Config returns the configuration of a new, empty database of that kind, for as long as the test runs.
func Config(t testing.TB, database, name string) store.Config {
	t.Helper()
	c := store.Config{Name: name}
	switch database {
	case "sqlite":
		c.Dir = t.TempDir()
	case "postgres":
		c.URL = Postgres(t)
	default:
		t.Fatalf("database %q: want sqlite or postgres", database)
	}
	return c
}

// Each runs a test once for each database, in parallel subtests.
func Each(t *testing.T, test func(t *testing.T, database string)) {
	for _, database := range Databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			test(t, database)
		})
	}
}
