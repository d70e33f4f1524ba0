package bus_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/hubbub-go/hubbub/systems/bus"
)

func Example() {
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Config{Dir: dir, Name: "economy"}, bus.Queue{Name: "inventory", Topics: []string{"GrantItems"}})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	if err := b.Publish(ctx, &bus.Message{ID: "1", Topic: "GrantItems", Body: []byte("two potions")}); err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	_, err = b.Consume("inventory", nil, func(_ context.Context, batch []*bus.Delivery) {
		for _, d := range batch {
			fmt.Printf("%s: %s\n", d.Topic, d.Body)
			d.Ack()
		}
		close(done)
	})
	if err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: GrantItems: two potions
}
