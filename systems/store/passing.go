package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// IsPassing reports whether err says nothing about what was to be done, and may be gone on another try: the database is away, starts,
// stops, is full or does not answer in time, or other transactions were in the way for too long. If it came from a commit, that
// may be done or not.
func IsPassing(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return isPassingCode(e.Code)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		primary := e.Code() & 0xff
		return primary == codes.SQLITE_BUSY || primary == codes.SQLITE_LOCKED || primary == codes.SQLITE_FULL
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, e := range []error{
		context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, pgx.ErrTxClosed,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return pgconn.SafeToRetry(err) // the connection was gone before
}

// isPassingCode is about the codes of PostgreSQL.
func isPassingCode(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "53": // connection, insufficient resources
		return true
	}
	switch code {
	case "40001", "40P01", "55P03", // lost against another transaction
		"57P01", "57P02", "57P03", "57P04", "57P05", // stops, crashed, starts
		"25006": // a standby, which does not write
		return true
	}
	return false
}
