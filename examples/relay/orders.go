package main

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hubbub-go/hubbub/systems/relay"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
)

// models are what orders does, and when: OrderPlaced leaves a cookie that names OrderPaid with the payments server, and OrderPaid runs
// when the cookie comes back.
func models(payments string) viewmodel.Options {
	return viewmodel.Options{
		ViewModels: []viewmodel.Config{{
			Name: "OrderPlaced", Class: "Order",
			Columns: []string{
				"realtimehub = '" + payments + "'",
				"eventguid = 'invoice '+self.invoice+' paid'",
				"eventcookie = 'Viewmodel=OrderPaid&RootId='+self.externalid",
			},
			Actions: []string{"realtimesubscribetoevent"},
		}, {
			Name: "OrderPaid", Class: "Order", Actions: []string{"ship"},
		}},
		Functions: map[string]viewmodel.Function{"ship": func(_ context.Context, r *viewmodel.Run) error {
			r.Update(func(order map[string]any) error { order["state"] = "shipped"; return nil })
			return nil
		}},
	}
}

// orders listens. Orders, tickets and subscriptions are in its database, so it may be stopped at any time.
func orders(ctx context.Context, dir, payments string) (*server, error) {
	system, err := relay.Open(ctx, relay.Config{
		Database: store.Config{Dir: dir, Name: "orders"},
		Tickets:  &ticket.Config{Database: store.Config{Name: "orders_ticket"}, ViewModels: models(payments)},
	})
	if err != nil {
		return nil, err
	}
	tickets := system.Tickets()
	mux := http.NewServeMux()
	system.Mount(mux)
	mux.HandleFunc("POST /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := "Order|" + r.PathValue("id")
		err := tickets.PutObject(r.Context(), id, map[string]any{"invoice": r.FormValue("invoice"), "state": "placed"})
		if err == nil {
			_, err = tickets.Create(r.Context(), ticket.Ticket{ViewModel: "OrderPlaced", RootID: id})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		order, err := tickets.Object(r.Context(), "Order|"+r.PathValue("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(order)
	})
	return &server{system.FoldCase(mux), func() error { return shutdown(system) }}, nil
}
