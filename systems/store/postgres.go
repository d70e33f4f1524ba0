package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgresDialect = &dialect{
	name:     "postgres",
	numbered: true,
	words: map[string]string{
		"@identity@": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		"@bytes@":    "BYTEA",
		"@keyed@":    "",
	},
	retry: func(err error) bool {
		return hasCode(err, "40001", "40P01") // serialization_failure, deadlock_detected
	},
	unique: func(err error) bool { return hasCode(err, "23505") },
	tx:     &sql.TxOptions{Isolation: sql.LevelSerializable},
}

func hasCode(err error, codes ...string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// openPostgres opens a pool whose connections see the schema of the system alone, so that statements need no prefix.
func openPostgres(ctx context.Context, c Config) (*Store, error) {
	pc, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, err // pgx leaves the password out
	}
	pc.RuntimeParams["search_path"] = c.Name
	// A serializable transaction that reads a small table from end to end conflicts with whoever writes into it; one that reads it by
	// an index, with its own rows alone. What has no index is read as before, for which nothing is to be compiled.
	for name, value := range map[string]string{"enable_seqscan": "off", "jit": "off"} {
		if pc.RuntimeParams[name] == "" {
			pc.RuntimeParams[name] = value
		}
	}
	if pc.RuntimeParams["application_name"] == "" {
		pc.RuntimeParams["application_name"] = "hubbub " + c.Name
	}
	db := stdlib.OpenDB(*pc)
	conns := c.MaxReaders
	if conns <= 0 {
		conns = 10
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	s := &Store{read: db, write: db, dialect: postgresDialect, limit: c.Timeout, turn: make(chan struct{}, 1)}
	if err := s.schema(ctx, c.Name); err != nil {
		db.Close()
		return nil, fmt.Errorf("schema: %w", err)
	}
	return s, nil
}

// schema makes the schema where it is missing. IF NOT EXISTS alone does not help against another process that makes it at the
// same moment, and a user without the right to make schemas may use one that is there.
func (s *Store) schema(ctx context.Context, name string) error {
	const there = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)"
	for {
		var exists bool
		if err := s.write.QueryRowContext(ctx, there, name).Scan(&exists); err != nil || exists {
			return err
		}
		_, err := s.write.ExecContext(ctx, "CREATE SCHEMA "+pgx.Identifier{name}.Sanitize())
		if err == nil {
			return nil
		}
		if !hasCode(err, "23505", "42P06") { // made by another one: look again
			return err
		}
	}
}
