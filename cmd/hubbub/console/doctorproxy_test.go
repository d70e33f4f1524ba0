package console_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/signalr"
)

// tcpProxy passes bytes between clients and a server, ends a connection that was quiet for as long as idle says, and one on
// which a client has sent more than most bytes. 0 is no bound.
func tcpProxy(t *testing.T, target string, idle time.Duration, most int64) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", u.Host)
			if err != nil {
				client.Close()
				continue
			}
			extend := func() {
				if idle > 0 {
					client.SetDeadline(time.Now().Add(idle))
					server.SetDeadline(time.Now().Add(idle))
				}
			}
			extend()
			pass := func(to, from net.Conn, most int64) {
				defer client.Close()
				defer server.Close()
				buf, total := make([]byte, 4096), int64(0)
				for {
					n, err := from.Read(buf)
					if total += int64(n); err != nil || most > 0 && total > most {
						return
					}
					extend()
					if _, err := to.Write(buf[:n]); err != nil {
						return
					}
				}
			}
			all.Go(func() { pass(server, client, most) })
			all.Go(func() { pass(client, server, 0) })
		}
	})
	return "http://" + l.Addr().String() + u.Path
}

// httpProxy is a reverse proxy that changes requests, and answers where hold is true only once they have ended.
func httpProxy(t *testing.T, target string, change func(r *http.Request), hold bool) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host
			if change != nil {
				change(r.Out)
			}
		},
		Transport: transport,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	if hold {
		p.ModifyResponse = func(res *http.Response) error {
			body := res.Body
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
				return nil
			}
			all, err := io.ReadAll(body) // ends with the request
			if err != nil {
				return err
			}
			res.Body = io.NopCloser(strings.NewReader(string(all)))
			return body.Close()
		}
	}
	srv := httptest.NewServer(p)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close(); transport.CloseIdleConnections() })
	return srv.URL + u.Path
}

// TestDoctorProxies puts faulty proxies between doctor and a good hub.
func TestDoctorProxies(t *testing.T) {
	t.Parallel()
	plain := serve(t, nil, nil, nil)
	// Without Upgrade a request is a poll, whose connection would outlive the test by its timeout.
	unpolled := serve(t, nil, &signalr.Options{Transports: signalr.WebSockets | signalr.ServerSentEvents}, nil)
	guarded := serve(t, nil, nil, bearing(true))
	for _, x := range []struct {
		name    string
		url     string
		flags   []string
		check   string // what has a problem, empty: nothing
		text    string
		fix     string
		besides string // what has a problem then, too
	}{
		{name: "good proxy", url: httpProxy(t, plain.url, nil, false)},
		{name: "good proxy with a token", url: httpProxy(t, guarded.url, nil, false), flags: []string{"--token", "good"}},
		{name: "quiet connections are cut", url: tcpProxy(t, plain.url, time.Second, 0), flags: []string{"--idle", "10s"},
			check: "idle", text: "a quiet connection over WebSockets was cut after ", fix: "proxy_read_timeout"},
		{name: "quiet connections last", url: tcpProxy(t, plain.url, 10*time.Second, 0), flags: []string{"--idle", "1s"}},
		{name: "event streams are collected", url: httpProxy(t, plain.url, nil, true), flags: []string{"--timeout", "1s"},
			check: "sse buffering", text: "something holds it back", fix: "proxy_buffering off", besides: "sse"},
		{name: "Upgrade is dropped", url: httpProxy(t, unpolled.url, func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Del("Connection") }, false),
			check: "websockets", text: "offered, but it does not work", fix: "proxy_set_header Upgrade"},
		{name: "the query is dropped", url: httpProxy(t, guarded.url, func(r *http.Request) {
			q := r.URL.Query()
			q.Del("access_token")
			r.URL.RawQuery = q.Encode()
		}, false), flags: []string{"--token", "good"}, check: "token in query", text: "refused with status 401", fix: "access_token"},
		{name: "large messages end the connection", url: tcpProxy(t, plain.url, 0, 20_000), check: "largest message",
			text: "a message of 32 KiB ends the connection", fix: "let messages of 32 KiB through"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			code, findings := examine(t, x.url, x.flags...)
			if want := map[bool]int{false: 17}[x.check == ""]; code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			for name, f := range findings {
				if bad := f["state"] == "problem"; bad != (x.check != "" && (name == x.check || name == x.besides)) {
					t.Errorf("%s is %s: %s", name, f["state"], f["text"])
				}
			}
			if f := findings[x.check]; x.check != "" && (!strings.Contains(f["text"], x.text) || !strings.Contains(f["fix"], x.fix)) {
				t.Errorf("%s says %q, fix %q, want %q and %q in them", x.check, f["text"], f["fix"], x.text, x.fix)
			}
		})
	}
}
