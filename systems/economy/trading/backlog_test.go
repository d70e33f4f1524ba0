package trading_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// A buyer who has missed more than the queue of a connection holds, such as a program that buys and does not listen, hears all of it
// on one connection.
func TestMissedMuch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		w := newWorld(t, database, func(c *trading.Config) { c.Hub.MaximumQueuedBytes = 128 << 10 })
		const n = 1500
		a := w.player()
		now := time.Now().UnixMilli()
		missed := make(map[string]bool, n)
		err := w.trading.Box().Store().Tx(t.Context(), func(tx *store.Tx) error {
			for i := range n {
				id := uuid.NewString()
				missed[id] = true
				body, err := json.Marshal(trading.PurchaseState{CorrelationID: id, CurrentState: "Completed", UserID: a.id.String(), ItemID: uuid.NewString()})
				if _, ex := tx.Exec(t.Context(), "INSERT INTO push (purchase, user_id, body, trace, created, lease, told) VALUES (?, ?, ?, '', ?, 0, 0)",
					id, a.id.String(), string(body), now+int64(i)-n); err != nil || ex != nil {
					return errors.Join(err, ex)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l := a.listen(w.url)
		for range n {
			select {
			case s := <-l.status:
				if !missed[s.CorrelationID] {
					t.Fatalf("heard %s twice, or of nothing that was missed", s.CorrelationID)
				}
				delete(missed, s.CorrelationID)
			case <-time.After(patience):
				t.Fatalf("%d of %d were not heard of, the client is %v", len(missed), n, l.client.State())
			}
		}
		eventually(t, "all are noted", func() bool {
			var untold int
			if err := w.trading.Box().Store().QueryRow(t.Context(), "SELECT count(*) FROM push WHERE told = 0").Scan(&untold); err != nil {
				t.Fatal(err)
			}
			return untold == 0
		})
		l.silent()
	})
}
