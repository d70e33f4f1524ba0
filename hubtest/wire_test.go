package hubtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubbub-go/hubbub/hubtest"
)

// pipe returns both ends of one connection over a new link.
func pipe(t *testing.T) (link *hubtest.Link, client, server net.Conn) {
	t.Helper()
	taken := make(chan net.Conn, 1)
	s := hubtest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		taken <- c
	}))
	link = s.Link()
	dial := link.HTTPClient().Transport.(*http.Transport).DialContext
	client, err := dial(t.Context(), "tcp", "hub.test:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: hub.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	server = <-taken
	t.Cleanup(func() { server.Close() })
	return link, client, server
}

func TestWireCarriesMuchBothWays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		link, client, server := pipe(t)
		link.Delay(time.Millisecond)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB, more than a wire holds
		var all sync.WaitGroup
		for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
			all.Go(func() {
				if n, err := pair[0].Write(sent); n != len(sent) || err != nil {
					t.Errorf("write: %d, %v, want %d", n, err, len(sent))
				}
			})
			all.Go(func() {
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(pair[1], got); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("read: %v, want what was sent", err)
				}
			})
		}
		all.Wait()
	})
}

func TestWireEndsAfterWhatWasSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		link, client, server := pipe(t)
		link.Delay(time.Second)
		begin := time.Now()
		_, _ = io.WriteString(client, "goodbye")
		client.Close()
		if err := client.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: %v, want it to say so", err)
		}
		got, err := io.ReadAll(server)
		if string(got) != "goodbye" || err != nil || time.Since(begin) != time.Second {
			t.Errorf("read %q, %v after %v, want goodbye and the end after 1s", got, err, time.Since(begin))
		}
		if _, err := io.WriteString(server, "too late"); err == nil || !strings.Contains(err.Error(), "broken pipe") {
			t.Errorf("write: %v, want a broken pipe", err)
		}
		for what, err := range map[string]error{"deadline": client.SetDeadline(time.Now()), "read": second(client.Read(nil)), "write": second(client.Write([]byte{1}))} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after close: %v, want it to say so", what, err)
			}
		}
	})
}

func second(_ int, err error) error { return err }

func TestWireDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		link, client, server := pipe(t)
		link.Stall()
		wantTimeout := func(what string, after time.Duration, f func() error) {
			t.Helper()
			begin := time.Now()
			err := f()
			var timeout net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(begin) != after {
				t.Errorf("%s: %v after %v, want a timeout after %v", what, err, time.Since(begin), after)
			}
		}
		read := func() error { return second(client.Read(make([]byte, 1))) }
		write := func() error { return second(client.Write(make([]byte, 300<<10))) }
		client.SetReadDeadline(time.Now().Add(time.Second))
		wantTimeout("read", time.Second, read)
		wantTimeout("read again", 0, read)
		client.SetWriteDeadline(time.Now().Add(2 * time.Second))
		wantTimeout("write", 2*time.Second, write)
		client.SetDeadline(time.Now().Add(-time.Second))
		wantTimeout("read with a past deadline", 0, read)
		wantTimeout("write with a past deadline", 0, write)

		client.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			client.SetReadDeadline(time.Now()) // wakes a reader that waits without one
		}()
		wantTimeout("read that is called off", time.Second, read)
		client.SetReadDeadline(time.Time{})
		link.Resume()
		if n, err := server.Read(make([]byte, 1<<20)); n != 256<<10 || err != nil {
			t.Errorf("read %d bytes, %v, want the 256 KiB that a stalled wire takes", n, err)
		}
	})
}

func TestWireFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault func(*hubtest.Link)
		write string // the error of writing, by either side; "" is none
		read  string // the error of reading; "" is that nothing comes
	}{
		{"drop", (*hubtest.Link).Drop, "connection reset by peer", "connection reset by peer"},
		{"down", (*hubtest.Link).Down, "connection reset by peer", "connection reset by peer"},
		{"half-open", (*hubtest.Link).HalfOpen, "", ""},
		{"half-open, then drop", func(l *hubtest.Link) { l.HalfOpen(); l.Drop() }, "", ""},
		{"stall", (*hubtest.Link).Stall, "", ""},
		{"stall and drop", func(l *hubtest.Link) { l.Stall(); l.Drop() }, "connection reset by peer", "connection reset by peer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				link, client, server := pipe(t)
				for _, c := range []net.Conn{client, server} {
					_, _ = io.WriteString(c, "under way")
				}
				tt.fault(link)
				for side, c := range map[string]net.Conn{"client": client, "server": server} {
					c.SetReadDeadline(time.Now().Add(time.Hour))
					check := func(what string, err error, want string) {
						if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
							t.Errorf("%s %s: %v, want %q", side, what, err, want)
						}
					}
					check("write", second(c.Write([]byte("x"))), tt.write)
					err := second(c.Read(make([]byte, 1)))
					if errors.Is(err, os.ErrDeadlineExceeded) {
						err = nil
					}
					check("read", err, tt.read)
				}
			})
		})
	}
}

// TestHalfOpenHidesTheEnd: one side closes, the other hears nothing of it.
func TestHalfOpenHidesTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		link, client, server := pipe(t)
		link.HalfOpen()
		client.Close()
		server.SetReadDeadline(time.Now().Add(24 * time.Hour))
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v, want a day of silence", err)
		}
		if _, err := server.Write([]byte("anybody there?")); err != nil {
			t.Errorf("write: %v, want no error", err)
		}
	})
}

func TestDialRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		link := hubtest.NewServer(t, http.NotFoundHandler()).Link()
		link.Down()
		_, err := link.HTTPClient().Get("http://hub.test/")
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("request: %v, want a refused connection", err)
		}
		if n := link.Dialled(); n != 0 {
			t.Errorf("%d connections, want none", n)
		}
		link.Up()
		res, err := link.HTTPClient().Get("http://hub.test/")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	})
}

// TestServerCloseEndsWhatRuns: a handler hears it, and so does its client.
func TestServerCloseEndsWhatRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		heard := make(chan error, 1)
		s := hubtest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			heard <- context.Cause(r.Context())
		}))
		res, err := s.Link().HTTPClient().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		s.Close()
		synctest.Wait()
		select {
		case <-heard:
		default:
			t.Error("the handler did not hear of the end")
		}
		if body, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("the client read %q and a proper end, want an error", fmt.Sprint(body))
		}
		s.Close()
	})
}
