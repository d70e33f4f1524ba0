package ticket_test

import (
	"context"
	"fmt"
	"os"

	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
	"github.com/hubbub-go/hubbub/systems/store"
)

func ExampleQueue() {
	dir, err := os.MkdirTemp("", "tickets")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	shipped := make(chan string)
	ctx := context.Background()
	queue, err := ticket.Open(ctx, ticket.Config{
		Database: store.Config{Dir: dir},
		ViewModels: viewmodel.Options{Functions: map[string]viewmodel.Function{
			"Order.Ship": func(_ context.Context, r *viewmodel.Run) error {
				shipped <- fmt.Sprint(r.Object.Attributes["name"], " of ", r.Object.ID)
				return nil
			},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()
	queue.Start()

	err = queue.PutObject(ctx, "Order|7", map[string]any{"name": "Bolts"})
	t, err2 := queue.Create(ctx, ticket.Ticket{ViewModel: "Order.Ship", RootID: "Order|7", Priority: new(1)})
	fmt.Println(t.State, err, err2)
	fmt.Println(<-shipped)
	// Output:
	// ready <nil> <nil>
	// Bolts of Order|7
}
