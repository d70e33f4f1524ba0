package main

import (
	"context"
	"io/fs"
	"log/slog"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/store"
)

var quiet = slog.New(slog.DiscardHandler)

// service opens a database with outbox and inbox, and handles what comes to the queue of its name.
func service(ctx context.Context, dir, name string, b *bus.Bus, tables fs.FS, h *box.Handlers) (*box.Box, error) {
	s, err := store.Open(ctx, store.Config{Dir: dir, Name: name, Logger: quiet}, box.Migrations(tables))
	if err != nil {
		return nil, err
	}
	x, err := box.Open(ctx, box.Config{Store: s, Bus: b, Logger: quiet})
	if err != nil {
		s.Close()
		return nil, err
	}
	return x, x.Consume(name, h)
}

// fill says how much of something a ledger has.
func fill(ctx context.Context, b *box.Box, name string, count int) error {
	_, err := b.Store().Exec(ctx, "INSERT INTO account (name, left_over) VALUES (?, ?)", name, count)
	return err
}

// left is how much of something a ledger has.
func left(ctx context.Context, b *box.Box, name string) (n int, err error) {
	err = b.Store().QueryRow(ctx, "SELECT left_over FROM account WHERE name = ?", name).Scan(&n)
	return n, err
}
