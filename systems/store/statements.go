package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
)

// maxStatements bounds the prepared statements that a connection keeps.
const maxStatements = 200

// connector opens SQLite connections that keep their prepared statements: parsing a statement costs more than running it.
// PostgreSQL's driver does so by itself.
type connector struct {
	driver driver.Driver
	name   string
}

// Connect implements [driver.Connector].
func (c *connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.driver.Open(c.name)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(fullConn)
	if !ok {
		inner.Close()
		return nil, errors.New("the driver of SQLite lacks what the store needs")
	}
	return &conn{fullConn: full, kept: make(map[string]*statement)}, nil
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return c.driver }

// fullConn is what a connection of the driver does.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	driver.Pinger
}

// fullStmt is what a statement of the driver does.
type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is a connection with its statements. One goroutine at a time uses it.
type conn struct {
	fullConn
	kept map[string]*statement
}

// statement is a prepared one; its rows are open while it is busy.
type statement struct {
	fullStmt
	busy bool
}

// statement returns the prepared statement of a query, or nil where it must run without: because its rows are open, because it may
// be several statements, or because it cannot be prepared, which the caller finds out again.
func (c *conn) statement(ctx context.Context, query string) *statement {
	if s := c.kept[query]; s != nil {
		if s.busy {
			return nil
		}
		return s
	}
	if strings.Contains(query, ";") {
		return nil
	}
	if len(c.kept) >= maxStatements {
		c.drop()
	}
	prepared, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	full, ok := prepared.(fullStmt)
	if !ok {
		prepared.Close()
		return nil
	}
	s := &statement{fullStmt: full}
	c.kept[query] = s
	return s
}

// drop closes the statements that nobody uses.
func (c *conn) drop() {
	for query, s := range c.kept {
		if !s.busy {
			s.Close()
			delete(c.kept, query)
		}
	}
}

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if s := c.statement(ctx, query); s != nil {
		return s.ExecContext(ctx, args)
	}
	return c.fullConn.ExecContext(ctx, query, args)
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s := c.statement(ctx, query)
	if s == nil {
		return c.fullConn.QueryContext(ctx, query, args)
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &heldRows{r, s}, nil
}

// Close implements [driver.Conn].
func (c *conn) Close() error {
	for _, s := range c.kept {
		s.Close()
	}
	return c.fullConn.Close()
}

// heldRows are rows of a kept statement.
type heldRows struct {
	driver.Rows
	s *statement
}

// Close implements [driver.Rows].
func (r *heldRows) Close() error {
	r.s.busy = false
	return r.Rows.Close()
}
