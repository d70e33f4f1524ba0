package main

import (
	"context"
	"testing/fstest"

	"github.com/hubbub-go/hubbub/systems/bus/box"
)

// A warehouse and a bank are the same thing: they know how much there is of something, and what an order took of it.
var ledger = fstest.MapFS{"00020_ledger.sql": {Data: []byte(`-- +goose Up
CREATE TABLE account (name TEXT PRIMARY KEY, left_over BIGINT NOT NULL);
CREATE TABLE taken (order_id TEXT PRIMARY KEY, name TEXT NOT NULL, count BIGINT NOT NULL);
`)}}

func warehouse() *box.Handlers {
	h := &box.Handlers{}
	box.OnCommand(h, func(ctx context.Context, tx *box.Tx, m Reserve) error {
		return take(ctx, tx, m.Order, m.amount, Reserved{m.about})
	})
	box.OnCommand(h, func(ctx context.Context, tx *box.Tx, m Release) error {
		return putBack(ctx, tx, m.Order, Released(m))
	})
	return h
}

func bank() *box.Handlers {
	h := &box.Handlers{}
	box.OnCommand(h, func(ctx context.Context, tx *box.Tx, m Charge) error {
		return take(ctx, tx, m.Order, m.amount, Charged{m.about})
	})
	box.OnCommand(h, func(ctx context.Context, tx *box.Tx, m Refund) error {
		return putBack(ctx, tx, m.Order, Refunded(m))
	})
	return h
}

// take takes something out for an order, and answers in the same transaction. It never sees a double: the inbox does.
func take(ctx context.Context, tx *box.Tx, order string, a amount, answer box.Letter) error {
	n, err := tx.Exec(ctx, "INSERT INTO taken (order_id, name, count) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", order, a.Of, a.Count)
	if err == nil && n == 0 { // it was put back before it was taken: the command was overtaken
		return box.Refuse("CalledOff", "order %s was called off", order)
	}
	if err == nil {
		n, err = tx.Exec(ctx, "UPDATE account SET left_over = left_over - ? WHERE name = ? AND left_over >= ?", a.Count, a.Of, a.Count)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return box.Refuse("NotEnough", "there is less than %d %s", a.Count, a.Of)
	}
	return tx.Send(ctx, answer)
}

// putBack undoes take, whether it was done or is still to come: for that the row stays.
func putBack(ctx context.Context, tx *box.Tx, order string, answer box.Letter) error {
	for _, statement := range []string{
		"INSERT INTO taken (order_id, name, count) VALUES (?, '', 0) ON CONFLICT DO NOTHING",
		"UPDATE account SET left_over = left_over + taken.count FROM taken WHERE taken.name = account.name AND order_id = ?",
		"UPDATE taken SET count = 0 WHERE order_id = ?",
	} {
		if _, err := tx.Exec(ctx, statement, order); err != nil {
			return err
		}
	}
	return tx.Send(ctx, answer)
}
