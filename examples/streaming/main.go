// Command streaming sends streams both ways and cancels them: the server's side is in server.go, the client's in client.go. It
// runs both, or only the client's against a server that has the same methods, with -url.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"

	"github.com/hubbub-go/hubbub/signalr"
)

func main() {
	url := flag.String("url", "", "address of a hub with the methods of server.go; without it there is one of our own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *url == "" {
		listener, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			log.Fatal(err)
		}
		mux := http.NewServeMux()
		signalr.MapHub(mux, "/streams", newHub(log.Printf), nil)
		go http.Serve(listener, mux)
		*url = "http://" + listener.Addr().String() + "/streams"
	}
	if err := talk(ctx, *url, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
