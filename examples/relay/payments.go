package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/store"
)

// payments is the generic system. Whoever wants to hear of an invoice subscribes to the event "invoice 700 paid"; who that is, and what
// its cookie means, is nothing to it. What fires while a listener is away is kept for an hour.
func payments(ctx context.Context, dir string) (*server, error) {
	system, err := relay.Open(ctx, relay.Config{
		Database:  store.Config{Dir: dir, Name: "payments"},
		Retention: relay.Retention{Window: time.Hour},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	system.Mount(mux)
	mux.HandleFunc("POST /invoices/{id}/pay", func(w http.ResponseWriter, r *http.Request) {
		listeners, err := system.Trigger(r.Context(), "invoice "+r.PathValue("id")+" paid")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "paid, and %d are here to know it\n", listeners)
	})
	return &server{system.FoldCase(mux), func() error { return shutdown(system) }}, nil
}

// shutdown ends a relay after its clients have been told.
func shutdown(system *relay.System) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, hub := range system.Hubs() {
		if err := hub.Shutdown(ctx, 0); err != nil {
			return err
		}
	}
	return system.Close()
}
