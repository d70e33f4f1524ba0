package processtest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
)

// player buys, and listens for how it ended, whatever dies meanwhile.
type player struct {
	w      *world
	id     uuid.UUID
	token  string
	client *signalr.Client

	mu    sync.Mutex
	heard map[string][]hearing // by purchase
}

// hearing is that a player was told how a purchase ended.
type hearing struct {
	state string
	at    time.Time
}

// player registers somebody and connects to the hub.
func (w *world) player() *player {
	w.t.Helper()
	p := &player{w: w, id: w.register().ID, heard: make(map[string][]hearing)}
	var err error
	if p.token, err = issuer(trading.Audience).Sign(map[string]any{"sub": p.id.String()}, 24*time.Hour); err != nil {
		w.t.Fatal(err)
	}
	p.client = signalr.NewClient(w.of("trading").url+"/trading-svc"+trading.HubPath, &signalr.ClientOptions{
		Token: func(context.Context) (string, error) { return p.token, nil },
		ClientOptions: hubbub.ClientOptions{
			Reconnect: hubbub.RetryForever(20*time.Millisecond, 200*time.Millisecond), Logger: slog.New(slog.DiscardHandler),
		},
	})
	p.client.On(trading.TargetStatus, hubbub.Action1(func(_ context.Context, s trading.PurchaseState) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.heard[s.CorrelationID] = append(p.heard[s.CorrelationID], hearing{s.CurrentState, time.Now()})
		return nil
	}))
	w.eventually("the player is connected", func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
		defer cancel()
		return p.client.Start(ctx) == nil
	})
	w.t.Cleanup(func() { p.client.Close() })
	return p
}

// try posts a purchase, and reports whether it was accepted.
func (p *player) try(ctx context.Context, item uuid.UUID, quantity int, id uuid.UUID) bool {
	status, body := p.w.ask(ctx, "POST", "trading", "/trading-svc/purchase", p.token,
		fmt.Sprintf(`{"itemId":%q,"quantity":%d,"idempotencyId":%q}`, item, quantity, id))
	if status != 0 && status != 202 && status != 503 {
		p.w.t.Errorf("purchase %s: answered with %d, %s, want 202", id, status, body)
	}
	return status == 202
}

// state asks for the state of a purchase, "" if nobody answers or nobody knows it.
func (p *player) state(id uuid.UUID) (s trading.Status) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	status, body := p.w.ask(ctx, "GET", "trading", "/trading-svc/purchase/status/"+id.String(), p.token, "")
	if status == 200 {
		if err := json.Unmarshal(body, &s); err != nil {
			p.w.t.Error(err)
		}
	}
	return s
}

// told returns what the player has heard of a purchase.
func (p *player) told(id uuid.UUID) []hearing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]hearing(nil), p.heard[id.String()]...)
}
