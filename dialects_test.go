package hubbub_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// bothDialects serves one hub to clients of both generations.
func bothDialects(t testing.TB) (*hubbub.Hub, *httptest.Server) {
	t.Helper()
	hub := hubbub.NewHub("Chat", &hubbub.Options{Logger: slog.New(slog.DiscardHandler)})
	hub.Handle("Join", hubbub.Action1(func(ctx context.Context, g string) error { return hubbub.CallerFrom(ctx).Join(ctx, g) }))
	mux := http.NewServeMux()
	signalr.MapHub(mux, "/chat", hub, nil)
	classic.MapHubs(mux, "/signalr", nil, hub)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := hub.Shutdown(ctx, 0); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return hub, server
}

// upgradeTo opens a WebSocket by hand, so that a thousand of them cost little.
func upgradeTo(t testing.TB, address, uri string) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", uri, address)
	br := bufio.NewReader(nc)
	for line := ""; line != "\r\n"; {
		if line, err = br.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return nc, br
}

// masked is a text frame of a client, with a mask of zeros.
func masked(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// until reads until the text has come.
func until(t testing.TB, br *bufio.Reader, text string) {
	t.Helper()
	var all []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(all, []byte(text)) {
		n, err := br.Read(buf)
		if err != nil {
			t.Fatalf("read %q: %v", all, err)
		}
		all = append(all, buf[:n]...)
	}
}

func coreClient(t testing.TB, server *httptest.Server) (net.Conn, *bufio.Reader) {
	nc, br := upgradeTo(t, server.Listener.Addr().String(), "/chat")
	nc.Write(masked(`{"protocol":"json","version":1}` + "\x1e"))
	until(t, br, "{}\x1e")
	return nc, br
}

func classicClient(t testing.TB, server *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	get := func(command, token string) []byte {
		q := url.Values{"clientProtocol": {"2.1"}, "connectionData": {`[{"name":"chat"}]`}, "transport": {"webSockets"}, "connectionToken": {token}}
		res, err := http.Get(server.URL + "/signalr/" + command + "?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, body %q, error %v", command, res.StatusCode, b, err)
		}
		return b
	}
	var a struct{ ConnectionToken string }
	if err := json.Unmarshal(get("negotiate", ""), &a); err != nil {
		t.Fatal(err)
	}
	nc, br := upgradeTo(t, server.Listener.Addr().String(), "/signalr/connect?transport=webSockets&clientProtocol=2.1&connectionData=%5B%7B%22name%22%3A%22chat%22%7D%5D&connectionToken="+a.ConnectionToken)
	until(t, br, `"S":1,"M":[]}`)
	get("start", a.ConnectionToken)
	return nc, br
}

// TestBothDialects: a message to a group reaches clients of both generations, encoded once for each, and methods are the same.
func TestBothDialects(t *testing.T) {
	t.Parallel()
	hub, server := bothDialects(t)
	var readers []*bufio.Reader
	for range 3 {
		nc, br := coreClient(t, server)
		nc.Write(masked(`{"type":1,"invocationId":"1","target":"join","arguments":["g"]}` + "\x1e"))
		until(t, br, `"invocationId":"1"`)
		readers = append(readers, br)
		nc, br = classicClient(t, server)
		nc.Write(masked(`{"H":"chat","M":"join","A":["g"],"I":1}`))
		until(t, br, `{"I":"1"}`)
		readers = append(readers, br)
	}
	before := hub.Stats().Encoded
	if err := hub.Group("g").Send(t.Context(), "Hello", struct{ FirstName string }{"Ann"}); err != nil {
		t.Fatal(err)
	}
	for i, br := range readers {
		want := `{"type":1,"target":"Hello","arguments":[{"firstName":"Ann"}]}`
		if i%2 == 1 {
			want = `{"H":"Chat","M":"Hello","A":[{"FirstName":"Ann"}]}`
		}
		until(t, br, want)
	}
	if n := hub.Stats().Encoded - before; n != 2 {
		t.Errorf("encoded %d times, want once for each dialect", n)
	}
}

// TestOnePath serves both generations at one address: each gets the answers that it knows.
func TestOnePath(t *testing.T) {
	t.Parallel()
	hub := hubbub.NewHub("Chat", &hubbub.Options{Logger: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(classic.Handler(&classic.Options{Otherwise: signalr.Handler(hub, nil)}, hub))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := hub.Shutdown(ctx, 0); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	for _, test := range []struct{ method, uri, want string }{
		{"POST", "/signalr/negotiate?negotiateVersion=1", `"availableTransports":`},
		{"POST", "/signalr/negotiate", `"availableTransports":`},
		{"GET", "/signalr/negotiate?clientProtocol=2.1&connectionData=%5B%5D", `"TryWebSockets":true`},
		{"POST", "/signalr/negotiate?clientProtocol=2.1", `"TryWebSockets":true`},
		{"GET", "/signalr/negotiate", `"ProtocolVersion":"1.2"`},
		{"GET", "/signalr/ping", `"pong"`},
		{"GET", "/signalr/hubs", `createHubProxies`},
		{"GET", "/signalr?id=unknown", "No Connection with that ID"},
		{"POST", "/signalr?id=unknown", "No Connection with that ID"},
		{"POST", "/signalr/send?transport=longPolling", "Protocol error: Missing connection token."},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.uri, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(b), test.want) {
			t.Errorf("%s %s: status %d, body %q, want %s", test.method, test.uri, res.StatusCode, b, test.want)
		}
	}
	_, core := upgradeTo(t, server.Listener.Addr().String(), "/signalr")
	nc, br := classicClient(t, server)
	_ = core
	nc.Write(masked(`{"H":"chat","M":"nothing","I":1}`))
	until(t, br, `"I":"1"`)
}

// BenchmarkDialects sends to 1,000 WebSockets of each dialect and waits until all have it, eight messages at a time.
func BenchmarkDialects(b *testing.B) {
	for _, d := range []struct {
		name    string
		connect func(testing.TB, *httptest.Server) (net.Conn, *bufio.Reader)
	}{{"core", coreClient}, {"classic", classicClient}} {
		b.Run(d.name, func(b *testing.B) {
			hub, server := bothDialects(b)
			const clients, burst = 1000, 8
			var arrived sync.WaitGroup
			for range clients {
				nc, _ := d.connect(b, server)
				go func() {
					buf, have := make([]byte, 8<<10), 0
					for {
						n, err := nc.Read(buf[have:])
						if err != nil {
							return
						}
						have += n
						arrived.Add(-bytes.Count(buf[:have], []byte("~~~")))
						have = copy(buf, buf[max(0, have-2):have]) // a mark may be cut
					}
				}()
			}
			text := "~~~" + strings.Repeat("x", 97)
			b.ResetTimer()
			for range b.N {
				arrived.Add(clients * burst)
				for range burst {
					if err := hub.All().Send(b.Context(), "Msg", text); err != nil {
						b.Fatal(err)
					}
				}
				arrived.Wait()
			}
			b.ReportMetric(float64(b.N)*clients*burst/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkIdle reports what an idle WebSocket of each dialect keeps in memory: on the heap and on stacks, of the server alone.
func BenchmarkIdle(b *testing.B) {
	for _, d := range []struct {
		name    string
		connect func(testing.TB, *httptest.Server) (net.Conn, *bufio.Reader)
	}{{"core", coreClient}, {"classic", classicClient}} {
		b.Run(d.name, func(b *testing.B) {
			_, server := bothDialects(b)
			const clients = 1000
			in := func() uint64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapInuse + m.StackInuse
			}
			for range b.N {
				before := in()
				var conns []net.Conn
				for range clients {
					nc, _ := d.connect(b, server)
					conns = append(conns, nc)
				}
				http.DefaultClient.CloseIdleConnections()
				b.ReportMetric(float64(in()-before)/clients, "bytes/connection")
				for _, nc := range conns {
					nc.Close()
				}
			}
		})
	}
}
