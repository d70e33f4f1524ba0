package hubtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/hubtest"
)

// TestCrowd: many connections of one test, for two minutes, and an end that takes no longer than one of a single connection.
func TestCrowd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		chat := newHub(hubbub.Options{})
		crowd := make([]*hubtest.Conn, 20)
		for i := range crowd {
			crowd[i] = hubtest.Connect(t, chat, fmt.Sprint(i))
		}
		time.Sleep(2 * time.Minute)
		if n := chat.Stats().Connections; n != len(crowd) {
			t.Errorf("%d connections after two minutes, want %d", n, len(crowd))
		}
		_ = crowd[0].Send(t.Context(), "SendMessage", "0", "hi")
		for _, c := range crowd {
			hubtest.Expect(t, c, "ReceiveMessage", "0", "hi")
			hubtest.ExpectNothing(t, c)
		}
	})
}

// BenchmarkConnect joins and leaves a hub.
func BenchmarkConnect(b *testing.B) {
	chat := newHub(hubbub.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if err := hubtest.Connect(b, chat, "ann").Close(); err != nil {
			b.Fatal(err)
		}
	}
}
