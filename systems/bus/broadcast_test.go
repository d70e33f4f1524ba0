package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus"
)

// hear subscribes to a channel of a broadcast.
func hear(t *testing.T, r *bus.Broadcast, channel string) <-chan string {
	t.Helper()
	heard := make(chan string, 1000)
	cancel, err := r.Subscribe(t.Context(), channel, func(data []byte) { heard <- string(data) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return heard
}

func expect(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("heard nothing, want %q", want)
	}
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c bus.Config) {
		b := open(t, c, stock)
		if b.External() != (c.URL != "") {
			t.Errorf("external is %v of a bus at %q", b.External(), c.URL)
		}
		one, other := b.Broadcast(), b.Broadcast()
		first, second := hear(t, one, "user/a.>"), hear(t, other, "user/a.>")
		long := hear(t, other, strings.Repeat("*", 5000))
		for _, to := range []string{"user/a", "user/a.>", strings.Repeat("*", 5000)} {
			if err := one.Publish(t.Context(), to, []byte("to "+to)); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, first, "to user/a.>")
		expect(t, second, "to user/a.>")
		expect(t, long, "to "+strings.Repeat("*", 5000))
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		if err := one.Publish(t.Context(), "x", nil); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("published on a closed one: %v", err)
		}
		if err := other.Publish(t.Context(), "user/a.>", []byte("again")); err != nil {
			t.Fatal(err)
		}
		expect(t, second, "again")
		b.Close()
		eventually(t, "the broadcast ends with its bus", func() bool {
			_, err := other.Subscribe(t.Context(), "x", func([]byte) {})
			return errors.Is(err, bus.ErrClosed)
		})
	})
}

// What is said while the server is away is lost and said to be; who subscribes meanwhile hears what is said afterwards.
func TestBroadcastWithoutServer(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	open := func() *bus.Broadcast {
		return open(t, bus.Config{URL: s.url(), Name: "test", Logger: quiet()}, stock).Broadcast()
	}
	one, other := open(), open()
	before := hear(t, one, "before")
	s.kill()
	eventually(t, "publishing fails", func() bool { return other.Publish(t.Context(), "before", []byte("lost")) != nil })
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	after := make(chan string, 1000)
	if _, err := one.Subscribe(brief, "after", func(data []byte) { after <- string(data) }); err != nil {
		t.Fatal(err)
	}
	s.start()
	for _, heard := range []struct {
		channel string
		by      <-chan string
	}{{"before", before}, {"after", after}} {
		eventually(t, heard.channel+" is heard", func() bool {
			other.Publish(t.Context(), heard.channel, []byte("found"))
			select {
			case got := <-heard.by:
				return got == "found"
			default:
				return false
			}
		})
	}
}
