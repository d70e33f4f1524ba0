package trading_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// deaf is a backplane that refuses what is for users.
type deaf struct{ hubbub.Backplane }

func (d deaf) Publish(ctx context.Context, channel string, data []byte) error {
	if strings.Contains(channel, "/user/") {
		return errors.New("the backplane is away")
	}
	return d.Backplane.Publish(ctx, channel, data)
}

// A buyer who was told here is told once, though other nodes could not be reached.
func TestToldOnceWithoutBackplane(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		noted := make(chan struct{}, 1000)
		w := newWorld(t, database, func(c *trading.Config) {
			c.Hub.Backplane = deaf{hubbub.NewLocal()}
			c.Border = func(name string) {
				if name == "noted" {
					noted <- struct{}{}
				}
			}
		})
		potion, a := w.potion(nil), w.player()
		l := a.listen(w.url)
		id := uuid.New()
		a.buy(potion, 1, id)
		l.hears(id, "Completed")
		select {
		case <-noted:
		case <-time.After(patience):
			t.Fatal("it was not noted that the buyer knows")
		}
		a.listen(w.url).silent()
		l.silent()
	})
}
