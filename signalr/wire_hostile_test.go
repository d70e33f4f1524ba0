package signalr_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
)

// A connection that is not read, because too many of its calls wait, is given up all the same when its socket has died.
func TestHeldReaderNoticesTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, setup{hub: &hubbub.Options{KeepAliveInterval: time.Second}, methods: func(h *hubbub.Hub) {
		h.Handle("Wait", hubbub.Action0(func(ctx context.Context) error { <-ctx.Done(); return nil }))
	}})
	c := s.connect(t, rawclient.Options{})
	for range 70 {
		c.Send(`{"type":1,"target":"Wait","arguments":[]}`)
	}
	c.Reset()
	for end := time.Now().Add(15 * time.Second); s.hub.Stats().Connections != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the connection is still there")
		}
	}
}

// POSTs to one connection that wait for each other are bounded: one more is answered at once.
func TestPostsDoNotPileUp(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	c := s.connect(t, rawclient.Options{Way: rawclient.Way{Transport: rawclient.LongPolling, Protocol: "json"}})
	u, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan int, 200)
	post := func(length int, more, body string) net.Conn {
		n, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		fmt.Fprintf(n, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s", u.RequestURI(), length, more, body)
		return n
	}
	// It never sends its body. That the server wants it means that all others wait for it.
	stuck := post(29_000_000, "Expect: 100-continue\r\n", "")
	if line, err := bufio.NewReader(stuck).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("answer %q, %v, want 100", line, err)
	}
	for range 200 {
		n := post(11, "", "{\"type\":6}\x1e")
		go func() {
			if res, err := http.ReadResponse(bufio.NewReader(n), nil); err == nil {
				res.Body.Close()
				answers <- res.StatusCode
			}
		}()
	}
	for range 100 {
		select {
		case status := <-answers:
			if status != http.StatusServiceUnavailable {
				t.Fatalf("status %d, want 503", status)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("too few POSTs were refused")
		}
	}
}
