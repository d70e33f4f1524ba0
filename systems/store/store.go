package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// Config says which database to open. Zero fields have the default of their comment.
type Config struct {
	// URL of a PostgreSQL server, postgres://… or postgresql://…, as libpq takes it. Default "": SQLite.
	URL string
	// Dir is the folder of the SQLite files, made with mode 0700 if it is missing. Needed for SQLite, ignored for PostgreSQL.
	Dir string
	// Name of the system: the SQLite file is Dir/Name.db, the PostgreSQL schema is Name. Lower-case letters, digits and _,
	// beginning with a letter, at most 40. Needed.
	Name string
	// BusyTimeout is how long a statement waits for a lock of another process on the SQLite file. Default 5 s.
	BusyTimeout time.Duration
	// MaxReaders bounds the connections that read. Default 4 for SQLite; 10 for PostgreSQL, where they also write.
	MaxReaders int
	// GroupTime makes a write transaction of SQLite begin so long after the one before it at the earliest, so that more of them share
	// a commit and its wait for the disk. It is for systems with many writers at once; one that writes alone gets slower. Default
	// 0: as soon as it can.
	GroupTime time.Duration
	// Timeout bounds a transaction, and a statement of Exec, on PostgreSQL, so that a server that has gone without a word is given
	// up. Default 1 min; negative: none.
	Timeout time.Duration
	// Logger hears of migrations. Default slog.Default().
	Logger *slog.Logger
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// dialect is what differs between the databases.
type dialect struct {
	name     string
	numbered bool              // $1 in place of ?
	words    map[string]string // of migrations
	retry    func(error) bool  // the same transaction may succeed on another try
	unique   func(error) bool
	tx       *sql.TxOptions
}

// Store is one open database. It is safe for concurrent use.
type Store struct {
	read    *sql.DB
	write   *sql.DB
	dialect *dialect
	group   *group        // of SQLite
	limit   time.Duration // of PostgreSQL, 0 for none
	turn    chan struct{} // of PostgreSQL: has the transaction that is tried again
}

// Queryer runs single statements: a [Store] or a [Tx]. Statements have ? for arguments on every database; a question mark
// inside quotes or comments is left alone.
type Queryer interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Query runs a statement that returns rows. The caller closes them.
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	// QueryRow runs a statement of at most one row; without one, Scan returns [sql.ErrNoRows].
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// Open opens the database and brings its schema up to date with the migrations, *.sql files of pressly/goose at the root of
// the file system. Three words in them stand for what the databases call differently: @identity@ for the type of a column that
// numbers its rows and is their primary key, @bytes@ for the type of a column of bytes, and @keyed@ behind a table for one that is kept in the order of its primary key, where
// the database can do that: it spares an index whose keys are texts. Several processes may open the same
// PostgreSQL schema at once, one migrates and the others wait; a SQLite file belongs to one process. It blocks until the
// database is ready or ctx ends. Close the store when done.
func Open(ctx context.Context, c Config, migrations fs.FS) (*Store, error) {
	if !nameRule.MatchString(c.Name) {
		return nil, fmt.Errorf("store: name %q: want a lower-case letter, then letters, digits and _, at most 40", c.Name)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.BusyTimeout == 0 {
		c.BusyTimeout = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	var s *Store
	var err error
	switch {
	case c.URL == "":
		s, err = openSQLite(ctx, c)
	case strings.HasPrefix(c.URL, "postgres://"), strings.HasPrefix(c.URL, "postgresql://"):
		s, err = openPostgres(ctx, c)
	default:
		scheme, _, _ := strings.Cut(c.URL, ":")
		return nil, fmt.Errorf("store: database URL begins with %q, want postgres:// or nothing for SQLite", scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", c.Name, err)
	}
	if err := s.migrate(ctx, c, migrations); err != nil {
		s.Close()
		return nil, fmt.Errorf("store: migrate %s: %w", c.Name, err)
	}
	return s, nil
}

// Database returns "sqlite" or "postgres".
func (s *Store) Database() string { return s.dialect.name }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.read.PingContext(ctx); err != nil {
		return fmt.Errorf("store: ping: %w", err)
	}
	return nil
}

// Close closes the database after running statements have ended. Using the store afterwards fails.
func (s *Store) Close() error {
	var err error
	if s.group != nil {
		err = s.group.close()
	}
	err = errors.Join(err, s.write.Close())
	if s.read != s.write {
		err = errors.Join(s.read.Close(), err)
	}
	if err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// Exec implements [Queryer] outside a transaction. Like [Store.Tx] it tries again where another transaction was in the way.
func (s *Store) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	if s.group != nil {
		err := s.Tx(ctx, func(tx *Tx) (err error) {
			n, err = tx.Exec(ctx, query, args...)
			return err
		})
		return n, err
	}
	err := s.again(ctx, func() (err error) {
		ctx, cancel := s.limited(ctx)
		defer cancel()
		n, err = rows(s.write.ExecContext(ctx, s.rebind(query), args...))
		return err
	})
	return n, err
}

// limited returns ctx with the limit of a transaction.
func (s *Store) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.limit <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.limit)
}

// Query implements [Queryer] for reading. It sees what was committed before it.
func (s *Store) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.read.QueryContext(ctx, s.rebind(query), args...)
}

// QueryRow implements [Queryer] for reading.
func (s *Store) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return s.read.QueryRowContext(ctx, s.rebind(query), args...)
}

// IsUnique reports whether err says that a row with the same unique key is there already.
func (s *Store) IsUnique(err error) bool { return err != nil && s.dialect.unique(err) }

func (s *Store) rebind(query string) string {
	if !s.dialect.numbered {
		return query
	}
	return number(query)
}

func rows(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
