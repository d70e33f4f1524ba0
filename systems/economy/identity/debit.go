package identity

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
)

// States of a debit.
const (
	debited  = "debited"
	refunded = "refunded"
)

// counts are what the service has done since it was opened.
type counts struct{ debited, refunded, registered, failedSignIns atomic.Uint64 }

// Stats are what a service has done since it was opened.
type Stats struct {
	// GilDebited and GilRefunded count purchases.
	GilDebited, GilRefunded uint64
	// Registered accounts; FailedSignIns had a wrong password or came too often.
	Registered, FailedSignIns uint64
}

// Stats returns the counts of the service. It does not block.
func (s *Service) Stats() Stats {
	c := &s.counts
	return Stats{c.debited.Load(), c.refunded.Load(), c.registered.Load(), c.failedSignIns.Load()}
}

// debitRow is what was done for a purchase, state "" for nothing.
type debitRow struct {
	account uuid.UUID
	gil     contracts.Gil
	state   string
}

func findDebit(ctx context.Context, tx *box.Tx, purchase uuid.UUID) (debitRow, error) {
	var d debitRow
	err := tx.QueryRow(ctx, "SELECT account, gil, state FROM debit WHERE purchase = ?", purchase.String()).Scan(&d.account, &d.gil, &d.state)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return d, err
}

func noteDebit(ctx context.Context, tx *box.Tx, purchase uuid.UUID, d debitRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO debit (purchase, account, gil, state, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (purchase) DO UPDATE SET state = excluded.state, at = excluded.at`,
		purchase.String(), d.account.String(), int64(d.gil), d.state, tx.Now().UnixMilli())
	return err
}

// debit takes gil from an account for a purchase, once.
func (s *Service) debit(ctx context.Context, tx *box.Tx, m contracts.DebitGil) error {
	d, err := findDebit(ctx, tx, m.CorrelationID)
	switch {
	case err != nil:
		return err
	case d.state == refunded: // the command was overtaken
		return box.Refuse("PurchaseCalledOffException", "Purchase '%s' was called off", m.CorrelationID)
	case d.state == debited:
		return tx.Send(ctx, contracts.GilDebited{CorrelationID: m.CorrelationID})
	case m.Gil < 0:
		return box.Refuse("InvalidAmountException", "Amount %s is negative", m.Gil)
	}
	a, err := accountByID(ctx, tx, m.UserID)
	switch {
	case errors.Is(err, ErrNoAccount):
		return box.Refuse("UnknownUserException", "Unknown user '%s'", m.UserID)
	case err != nil:
		return err
	case a.Gil < m.Gil:
		return box.Refuse("InsufficientFundsException", "Not enough gil to debit %s from user %s", m.Gil, m.UserID)
	}
	a.Gil -= m.Gil
	if err := save(ctx, tx, a); err != nil {
		return err
	}
	if err := noteDebit(ctx, tx, m.CorrelationID, debitRow{m.UserID, m.Gil, debited}); err != nil {
		return err
	}
	tx.AfterCommit(func() { s.counts.debited.Add(1) })
	return tx.Send(ctx, contracts.GilDebited{CorrelationID: m.CorrelationID})
}

// refund gives back what was debited for a purchase, and keeps a debit that is still on its way from being done. What a deleted
// account had is gone.
func (s *Service) refund(ctx context.Context, tx *box.Tx, m contracts.RefundGil) error {
	d, err := findDebit(ctx, tx, m.CorrelationID)
	if err != nil {
		return err
	}
	if d.state == debited {
		a, err := accountByID(ctx, tx, d.account)
		if err != nil && !errors.Is(err, ErrNoAccount) {
			return err
		}
		if err == nil {
			a.Gil += d.gil
			if err := save(ctx, tx, a); err != nil {
				return err
			}
			tx.AfterCommit(func() { s.counts.refunded.Add(1) })
		}
	}
	if err := noteDebit(ctx, tx, m.CorrelationID, debitRow{m.UserID, m.Gil, refunded}); err != nil {
		return err
	}
	return tx.Send(ctx, contracts.GilRefunded{CorrelationID: m.CorrelationID})
}
