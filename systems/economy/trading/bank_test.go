package trading_test

import (
	"context"
	"database/sql"
	"errors"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store"
)

// bank does with gil what the identity service does, and nothing else.
type bank struct {
	store *store.Store
	box   *box.Box
}

var bankMigrations = fstest.MapFS{"00020_bank.sql": {Data: []byte(`-- +goose Up
CREATE TABLE account (id TEXT PRIMARY KEY, gil BIGINT NOT NULL, version BIGINT NOT NULL);
CREATE TABLE debit (purchase TEXT PRIMARY KEY, gil BIGINT NOT NULL, state TEXT NOT NULL);
`)}}

func openBank(ctx context.Context, c store.Config, b *bus.Bus, bc box.Config) (*bank, error) {
	s, err := store.Open(ctx, c, box.Migrations(bankMigrations))
	if err != nil {
		return nil, err
	}
	bc.Store, bc.Bus = s, b
	x, err := box.Open(ctx, bc)
	if err != nil {
		return nil, err
	}
	own := &bank{s, x}
	h := &box.Handlers{}
	box.OnCommand(h, own.debit)
	box.OnCommand(h, own.refund)
	return own, x.Consume(contracts.IdentityQueue, h)
}

func (b *bank) close() {
	b.box.Close()
	b.store.Close()
}

// open opens an account, unless it is there.
func (b *bank) open(ctx context.Context, id uuid.UUID, gil contracts.Gil) error {
	return b.box.Tx(ctx, func(tx *box.Tx) error {
		n, err := tx.Exec(ctx, "INSERT INTO account (id, gil, version) VALUES (?, ?, 1) ON CONFLICT DO NOTHING", id.String(), int64(gil))
		if err != nil || n == 0 {
			return err
		}
		return tx.Send(ctx, contracts.UserUpdated{UserID: id, NewTotalGil: gil, Version: 1})
	})
}

func (b *bank) balance(ctx context.Context, id uuid.UUID) (g contracts.Gil, err error) {
	err = b.store.QueryRow(ctx, "SELECT gil FROM account WHERE id = ?", id.String()).Scan(&g)
	return g, err
}

func (b *bank) add(ctx context.Context, tx *box.Tx, user uuid.UUID, gil contracts.Gil) (contracts.Gil, error) {
	e := contracts.UserUpdated{UserID: user}
	if err := tx.QueryRow(ctx, "UPDATE account SET gil = gil + ?, version = version + 1 WHERE id = ? RETURNING gil, version", int64(gil), user.String()).
		Scan(&e.NewTotalGil, &e.Version); err != nil {
		return 0, err
	}
	return e.NewTotalGil, tx.Send(ctx, e)
}

func (b *bank) done(ctx context.Context, tx *box.Tx, purchase uuid.UUID) (state string, gil contracts.Gil, err error) {
	err = tx.QueryRow(ctx, "SELECT state, gil FROM debit WHERE purchase = ?", purchase.String()).Scan(&state, &gil)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return state, gil, err
}

func (b *bank) debit(ctx context.Context, tx *box.Tx, m contracts.DebitGil) error {
	state, _, err := b.done(ctx, tx, m.CorrelationID)
	if err != nil {
		return err
	}
	switch state {
	case "refunded":
		return box.Refuse("PurchaseCalledOffException", "Purchase '%s' was called off", m.CorrelationID)
	case "":
		left, err := b.add(ctx, tx, m.UserID, -m.Gil)
		if errors.Is(err, sql.ErrNoRows) {
			return box.Refuse("UnknownUserException", "Unknown user '%s'", m.UserID)
		}
		if err != nil {
			return err
		}
		if left < 0 {
			return box.Refuse("InsufficientFundsException", "Not enough gil to debit %s from user '%s'", m.Gil, m.UserID)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO debit (purchase, gil, state) VALUES (?, ?, 'debited')", m.CorrelationID.String(), int64(m.Gil)); err != nil {
			return err
		}
	}
	return tx.Send(ctx, contracts.GilDebited{CorrelationID: m.CorrelationID})
}

func (b *bank) refund(ctx context.Context, tx *box.Tx, m contracts.RefundGil) error {
	state, gil, err := b.done(ctx, tx, m.CorrelationID)
	if err != nil {
		return err
	}
	if state == "debited" {
		if _, err := b.add(ctx, tx, m.UserID, gil); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `INSERT INTO debit (purchase, gil, state) VALUES (?, ?, 'refunded')
		ON CONFLICT (purchase) DO UPDATE SET state = excluded.state`, m.CorrelationID.String(), int64(m.Gil)); err != nil {
		return err
	}
	return tx.Send(ctx, contracts.GilRefunded{CorrelationID: m.CorrelationID})
}

// give adds to an account.
func (b *bank) give(ctx context.Context, id uuid.UUID, gil contracts.Gil) error {
	return b.box.Tx(ctx, func(tx *box.Tx) error {
		_, err := b.add(ctx, tx, id, gil)
		return err
	})
}
