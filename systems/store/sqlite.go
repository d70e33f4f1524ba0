package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

var sqliteDialect = &dialect{
	name: "sqlite",
	words: map[string]string{
		"@identity@": "INTEGER PRIMARY KEY AUTOINCREMENT",
		"@bytes@":    "BLOB",
		"@keyed@":    "WITHOUT ROWID",
	},
	retry: func(err error) bool {
		e, ok := errors.AsType[*sqlite.Error](err)
		if !ok {
			return false
		}
		primary := e.Code() & 0xff // extended codes have the primary one in their low byte
		return primary == codes.SQLITE_BUSY || primary == codes.SQLITE_LOCKED
	},
	unique: func(err error) bool {
		e, ok := errors.AsType[*sqlite.Error](err)
		return ok && (e.Code() == codes.SQLITE_CONSTRAINT_UNIQUE || e.Code() == codes.SQLITE_CONSTRAINT_PRIMARYKEY)
	},
}

// isConstraint reports whether a statement broke a rule of its table: then nothing of it stays, and the transaction goes on.
func isConstraint(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == codes.SQLITE_CONSTRAINT
}

// walPages is how many pages the write-ahead log has before they are brought into the file: a page that many transactions change is
// brought there once. writerCache bounds the pages, in bytes, that the writer keeps in memory.
const (
	walPages    = 8 << 10
	writerCache = 32 << 20
)

// openSQLite opens the file twice: one connection that writes, so that writers queue here and not in SQLite, and some that
// read beside it, which WAL allows.
func openSQLite(ctx context.Context, c Config) (*Store, error) {
	if c.Dir == "" {
		return nil, errors.New("no folder for the SQLite file, want Config.Dir or a database URL")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(c.Dir, c.Name+".db"))
	if err != nil {
		return nil, err
	}
	// SQLite gives its other files the mode of this one.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	pragmas := []string{
		fmt.Sprintf("busy_timeout(%d)", c.BusyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)",
		fmt.Sprintf("wal_autocheckpoint(%d)", walPages), fmt.Sprintf("journal_size_limit(%d)", walPages*4096),
	}
	// The writer touches pages all over the indexes of random keys; readers look at few.
	write, err := openFile(path, append(slices.Clone(pragmas), fmt.Sprintf("cache_size(-%d)", writerCache>>10)), "immediate", 1)
	if err != nil {
		return nil, err
	}
	if err := write.PingContext(ctx); err != nil { // makes the WAL before anybody reads
		write.Close()
		return nil, err
	}
	readers := c.MaxReaders
	if readers <= 0 {
		readers = 4
	}
	read, err := openFile(path, append(pragmas, "query_only(1)"), "deferred", readers)
	if err != nil {
		write.Close()
		return nil, err
	}
	return &Store{read: read, write: write, dialect: sqliteDialect, group: &group{db: write, pause: c.GroupTime}}, nil
}

func openFile(path string, pragmas []string, lock string, conns int) (*sql.DB, error) {
	q := url.Values{"_pragma": pragmas, "_txlock": {lock}}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode(), OmitHost: true}
	db := sql.OpenDB(&connector{&sqlite.Driver{}, u.String()})
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}
