// Command gateway is a chat hub and a gateway in front of it: run it, and open http://localhost:8080 in two windows. The pages never
// speak to the hub: they post to the gateway, which calls it, and hear from the gateway what it says.
package main

import (
	"context"
	_ "embed"
	"log"
	"net/http"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

//go:embed index.html
var page []byte

// chat is the server downstream. It could be anywhere, and be ASP.NET of either generation.
func chat() http.Handler {
	hub := hubbub.NewHub("ChatHub", nil)
	type request struct{ Name, Message string }
	hub.Handle("SendMessage", hubbub.Action1(func(ctx context.Context, r request) error {
		return hub.All().Send(ctx, "ReceiveMessage", r.Name, r.Message)
	}))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/ChatHub", hub, nil)
	return mux
}

// front is the gateway, with one route and the page.
func front(chat string) (*gateway.Gateway, http.Handler) {
	g := gateway.New(gateway.Config{})
	g.AddHub("chatservice", gateway.Hub{URL: chat + "/ChatHub"}).
		AddRoute("room", gateway.HubRoute{InvokeMethod: "SendMessage", ReceiveMethod: "ReceiveMessage", Unwrap: true})
	mux := http.NewServeMux()
	g.Mount(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	return g, g.FoldCase(mux)
}

func main() {
	go func() { log.Fatal(http.ListenAndServe("localhost:5006", chat())) }()
	g, handler := front("http://localhost:5006")
	if err := g.Start(); err != nil {
		log.Fatal(err)
	}
	log.Print("listening on http://localhost:8080, with all routes at http://localhost:8080/swagger")
	log.Fatal(http.ListenAndServe("localhost:8080", handler))
}
