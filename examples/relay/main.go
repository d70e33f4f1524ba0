// Command relay is two servers that know nothing of each other: payments, where invoices are paid, and orders, which ships what is
// paid. The first has an event for each invoice; the second leaves a cookie with it, and gets it back. Run it, then
//
//	curl -X POST 'localhost:8081/orders/1?invoice=700'   # an order waits for its invoice
//	curl -X POST localhost:8082/invoices/700/pay         # which is paid
//	curl localhost:8081/orders/1                         # and the order is shipped
//
// Stop one of them in between (-only orders, -only payments run them apart): nothing is lost.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
)

// server is one of the two: what it answers, and how to end it.
type server struct {
	http.Handler
	close func() error
}

func main() {
	dir := flag.String("dir", filepath.Join(os.TempDir(), "hubbub-relay"), "folder of the databases")
	only := flag.String("only", "", "the one to run, orders or payments, instead of both")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *only != "orders" {
		s, err := payments(ctx, *dir)
		serve("payments", "localhost:8082", s, err)
		defer s.close()
	}
	if *only != "payments" {
		s, err := orders(ctx, *dir, "http://localhost:8082")
		serve("orders", "localhost:8081", s, err)
		defer s.close()
	}
	<-ctx.Done()
}

func serve(name, address string, s *server, err error) {
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%s on http://%s", name, address)
	go func() { log.Fatal(http.ListenAndServe(address, s)) }()
}
