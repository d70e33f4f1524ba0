package relay_test

import (
	"fmt"
	"testing"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// BenchmarkReceive measures how fast the events of a hub become tickets, from the hub's call on: cookies looked up, read and stored.
// Nothing runs the tickets.
func BenchmarkReceive(b *testing.B) {
	for _, database := range []string{"sqlite", "postgres"} {
		b.Run(database, func(b *testing.B) {
			address, subscribed, hub := foreignHub(b)
			c := config(b, database)
			c.Database = storetest.Config(b, database, "relay")
			c.Tickets = &ticket.Config{ViewModels: viewmodel.Options{}}
			deaf(&c)
			s := start(b, c)
			const guids = 1000
			for i := range guids {
				s.subscribe(address+"/core", fmt.Sprint("g", i), cookieFor(fmt.Sprint("1|", i)))
				<-subscribed
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				n := i % guids
				if err := hub.All().Send(b.Context(), "ReceiveEvent", fmt.Sprint("g", n), cookieFor(fmt.Sprint("1|", n))); err != nil {
					b.Fatal(err)
				}
				if i%256 == 255 { // the hub drops clients that are too far behind
					eventually(b, "tickets", func() bool { return s.Stats().Heard >= uint64(i-512) || i < 512 })
				}
			}
			eventually(b, "all tickets", func() bool { return s.Stats().Heard >= uint64(b.N) })
			if st := s.Stats(); st.Unwanted > 0 {
				b.Fatalf("%d events were refused", st.Unwanted)
			}
		})
	}
}
