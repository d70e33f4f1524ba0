// Command hello is a chat in one screen: run it, and open http://localhost:8080 in two windows.
package main

import (
	"context"
	_ "embed"
	"log"
	"net/http"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

//go:embed index.html
var page []byte

func handler() http.Handler {
	chat := hubbub.NewHub("chat", nil)
	chat.Handle("SendMessage", hubbub.Action2(func(ctx context.Context, user, message string) error {
		return chat.All().Send(ctx, "ReceiveMessage", user, message)
	}))

	mux := http.NewServeMux()
	signalr.MapHub(mux, "/chat", chat, nil)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	return mux
}

func main() {
	log.Print("listening on http://localhost:8080")
	log.Fatal(http.ListenAndServe("localhost:8080", handler()))
}
