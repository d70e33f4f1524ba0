package trading_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// BenchmarkPurchase has 50 players buy at the same time, over HTTP, and wait for the push: one iteration is one purchase through
// all services on a bus in the process, client side included.
func BenchmarkPurchase(b *testing.B) {
	for _, database := range storetest.Databases {
		b.Run(database, func(b *testing.B) { benchmarkPurchase(b, database) })
	}
}

func benchmarkPurchase(b *testing.B, database string) {
	w := newWorld(b, database, nil)
	potion := w.potion(nil)
	const players = 50
	var all [players]*listener
	var who [players]*player
	for i := range all {
		who[i] = w.player()
		if err := w.bank.give(b.Context(), who[i].id, 1_000_000*contracts.OneGil); err != nil {
			b.Fatal(err)
		}
		all[i] = who[i].listen(w.url)
	}
	w.rest()
	b.ReportAllocs()
	b.ResetTimer()
	var next sync.Mutex
	left := b.N
	var work sync.WaitGroup
	for i := range players {
		work.Go(func() {
			for {
				next.Lock()
				more := left > 0
				left--
				next.Unlock()
				if !more {
					return
				}
				id := uuid.New()
				who[i].buy(potion, 1, id)
				all[i].hears(id, "Completed")
			}
		})
	}
	work.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "purchases/s")
}
