package classic_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

func ExampleNewClient() {
	hub := hubbub.NewHub("ResourceEventHub", nil)
	hub.Handle("SubscribeToPart", hubbub.Action1(func(ctx context.Context, part string) error {
		return hubbub.CallerFrom(ctx).Send(ctx, "Update", part)
	}))
	server := httptest.NewServer(classic.Handler(nil, hub))
	defer server.Close()
	defer hub.Shutdown(context.Background(), 0)

	c := classic.NewClient(server.URL, nil)
	events := c.Hub("ResourceEventHub")
	updates := make(chan string, 1)
	events.On("Update", hubbub.Action1(func(_ context.Context, part string) error {
		updates <- part
		return nil
	}))
	ctx := context.Background()
	if err := c.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if err := events.Invoke(ctx, nil, "SubscribeToPart", "1882708"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-updates)
	// Output: 1882708
}
