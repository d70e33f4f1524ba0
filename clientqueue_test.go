package hubbub_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/hubtest"
	"github.com/hubbub-go/hubbub/signalr"
)

// TestClientHearsWhatCameBeforeTheEnd: calls that wait behind a slow handler when the connection ends still get theirs, in order
// and before the client hears of the end, as in the .NET client. Only a client that closes by itself drops them.
func TestClientHearsWhatCameBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(c *hubtest.Conn, caller *hubbub.Caller)
		want []int
	}{
		"server closes": {func(_ *hubtest.Conn, caller *hubbub.Caller) { caller.Abort() }, []int{1, 2, 3, 0}},
		"network cut":   {func(c *hubtest.Conn, _ *hubbub.Caller) { c.Link().Drop() }, []int{1, 2, 3, 0}},
		"client closes": {func(c *hubtest.Conn, _ *hubbub.Caller) { go c.Close() }, []int{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(nil)
				callers := make(chan *hubbub.Caller, 1)
				h.OnConnected(func(ctx context.Context) error {
					callers <- hubbub.CallerFrom(ctx)
					return nil
				})
				var heard []int
				c := hubtest.ConnectAs(t, h, nil, &signalr.ClientOptions{ClientOptions: hubbub.ClientOptions{
					OnClosed: func(error) { heard = append(heard, 0) },
				}})
				gate := make(chan struct{})
				c.On("Number", hubbub.Action1(func(_ context.Context, n int) error {
					<-gate
					heard = append(heard, n)
					return nil
				}))
				for n := range 3 {
					if err := h.All().Send(t.Context(), "Number", n+1); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				tt.end(c, <-callers)
				synctest.Wait()
				close(gate)
				synctest.Wait()
				if !slices.Equal(heard, tt.want) {
					t.Errorf("the client heard %v, want %v with 0 for the end", heard, tt.want)
				}
			})
		})
	}
}
