package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// serveClassic starts a classic server with the hubs Chat and Other at /signalr.
func serveClassic(t *testing.T, before func(http.Handler) http.Handler) (url string, hub *hubbub.Hub) {
	t.Helper()
	o := &hubbub.Options{EnableDetailedErrors: true, Logger: slog.New(slog.DiscardHandler)}
	s := &server{hub: hubbub.NewHub("Chat", o)}
	s.methods()
	s.hub.Handle("Slow", hubbub.Func1(func(ctx context.Context, n int) (string, error) {
		for i := range n {
			if err := hubbub.ReportProgress(ctx, i); err != nil {
				return "", err
			}
		}
		return "done", nil
	}))
	other := hubbub.NewHub("Other", o)
	other.Handle("Name", hubbub.Func0(func(context.Context) (string, error) { return "other", nil }))
	mux := http.NewServeMux()
	classic.MapHubs(mux, "/signalr", nil, s.hub, other)
	var h http.Handler = mux
	if before != nil {
		h = before(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, hub := range []*hubbub.Hub{s.hub, other} {
			if err := hub.Shutdown(ctx, 0); err != nil {
				t.Error(err)
			}
		}
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL + "/signalr", s.hub
}

// TestClassicCommands compares what commands print about a classic server with golden files.
func TestClassicCommands(t *testing.T) {
	t.Parallel()
	url, _ := serveClassic(t, nil)
	for _, x := range []struct {
		name  string
		args  []string
		stdin string
		code  int
	}{
		{"negotiate", []string{"negotiate", url}, "", 0},
		{"negotiate hub", []string{"negotiate", url, "--hub", "chat"}, "", 0},
		{"invoke", []string{"invoke", url, "chat.Echo", `{"a": [1, 2.50, "x"], "big": 9007199254740993}`}, "", 0},
		{"invoke hub", []string{"invoke", url, "Kind", "42", "--string", "--hub", "Chat"}, "", 0},
		{"invoke other", []string{"invoke", url, "Other.Name", "--hub", "Chat"}, "", 0},
		{"invoke error", []string{"invoke", url, "Chat.Fail"}, "", 14},
		{"invoke progress", []string{"invoke", url, "Chat.Slow", "2"}, "", 0},
		{"invoke without hub", []string{"invoke", url, "Echo", "1"}, "", 11},
		{"invoke messagepack", []string{"invoke", url, "Chat.Echo", "1", "--protocol", "messagepack"}, "", 11},
		{"invoke nowhere", []string{"invoke", url, "Chart.Echo", "1"}, "", 14},
		{"negotiate nowhere", []string{"negotiate", url, "--hub", "Chart"}, "", 14},
		{"send", []string{"send", url, "Chat.Say", "hello"}, "", 0},
		{"listen", []string{"listen", url, "--send", `Chat.Say "hello there"`, "--count", "1"}, "", 0},
		{"listen target", []string{"listen", url, "SAID", "--hub", "chat", "--send", "Say x", "--count", "1"}, "", 0},
		{"ping", []string{"ping", url, "--hub", "Chat", "--count", "2", "--interval", "0s", "--transport", "longpolling"}, "", 0},
		{"trace", []string{"trace", url, "--hub", "Chat", "--send", "Echo x", "--send", "Fail"}, "", 14},
		{"stream", []string{"stream", url, "Count", "3"}, "", 11},
		{"connect", []string{"connect", url, "--hub", "Chat"}, "invoke Echo {\"a\": 1}\ninvoke chat.Fail\nsend Nobody\ninvoke Other.Name\nstream Count 1\nstatus\n", 0},
		{"connect two", []string{"connect", url, "--hub", "Chat", "--hub", "Other"}, "invoke Other.Name\ninvoke Name\n", 0},
	} {
		for _, format := range []string{"", " json"} {
			t.Run(x.name+format, func(t *testing.T) {
				t.Parallel()
				args := x.args
				if format != "" {
					args = append(args[:len(args):len(args)], "--json")
				}
				r := &run{stdin: strings.NewReader(x.stdin)}
				if code := r.do(args...); code != x.code {
					t.Errorf("exit code %d, want %d", code, x.code)
				}
				out := r.out.String()
				if x.name == "trace" {
					out = ordered(out)
				}
				golden(t, "classic "+x.name+format, stable(fmt.Sprintf("%s--- standard error\n%s", out, r.errors.String()), strings.TrimSuffix(url, "/signalr")))
			})
		}
	}
}

// TestClassicTransports calls over every transport, with what every request must carry.
func TestClassicTransports(t *testing.T) {
	t.Parallel()
	url, _ := serveClassic(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer a-token" || r.Header.Get("X-One") != "1" || r.URL.Query().Get("tenant") != "a b" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	for _, transport := range []string{"websockets", "sse", "longpolling", "sse,lp"} {
		for _, dialect := range []string{"auto", "classic"} {
			t.Run(transport+" "+dialect, func(t *testing.T) {
				t.Parallel()
				r := &run{}
				code := r.do("invoke", url+"?tenant=a%20b", "Chat.Echo", "x", "--transport", transport, "--dialect", dialect, "-H", "X-One: 1", "--token-cmd", "echo a-token")
				if code != 0 || r.out.String() != "\"x\"\n" {
					t.Errorf("exit code %d, output %q\n%s", code, r.out.String(), r.errors.String())
				}
			})
		}
	}
	r := &run{}
	if code := r.do("invoke", url, "Chat.Echo", "x", "--dialect", "classic"); code != 12 || !strings.Contains(r.errors.String(), "wants an access token (status 401)") {
		t.Errorf("exit code %d without a token, it says %q", code, r.errors.String())
	}
}

// TestClassicReconnect ends the streams of a listener, which comes back to its groups and subscribes again.
func TestClassicReconnect(t *testing.T) {
	t.Parallel()
	cut := make(chan func(), 10)
	url, hub := serveClassic(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "connect") && r.URL.Query().Get("transport") == "webSockets" {
				w = &hijacked{w, cut}
			}
			next.ServeHTTP(w, r)
		})
	})
	r := &run{}
	done := make(chan int, 1)
	go func() {
		done <- r.do("listen", url, "--hub", "Chat", "--transport", "ws", "--send", "Say subscribed", "--count", "3")
	}()
	waitFor(t, r, `Said "subscribed"`)
	(<-cut)()
	waitFor(t, r, `(?s)Said "subscribed".*Said "subscribed"`)
	if err := hub.All().Send(t.Context(), "Said", "bye"); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 || !strings.Contains(r.out.String(), `Chat.Said "bye"`) {
		t.Errorf("exit code %d, output %q, want three calls", code, r.out.String())
	}
	for _, want := range []string{"connected to", "reconnecting: ", "reconnected to"} {
		if !strings.Contains(r.errors.String(), want) {
			t.Errorf("it says %q, want %q in it", r.errors.String(), want)
		}
	}
}

// TestClassicTrace prints no token.
func TestClassicTrace(t *testing.T) {
	t.Parallel()
	url, _ := serveClassic(t, nil)
	for _, transport := range []string{"ws", "sse", "lp"} {
		r := &run{}
		if code := r.do("trace", url, "--hub", "Chat", "--transport", transport, "--send", "Echo x", "--for", "50ms", "--token", "secret", "--json"); code != 0 {
			t.Errorf("%s: exit code %d\n%s", transport, code, r.errors.String())
		}
		kinds := map[string]bool{}
		for line := range strings.Lines(r.out.String()) {
			var m struct{ Event, Type, URL string }
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			kinds[m.Type] = true
			if strings.Contains(m.URL, "connectionToken") && !strings.Contains(m.URL, "connectionToken=…") || strings.Contains(line, "secret") {
				t.Errorf("a secret is printed: %s", line)
			}
		}
		for _, kind := range []string{"Invocation", "Result", "Envelope"} {
			if !kinds[kind] {
				t.Errorf("%s: no %s in\n%s", transport, kind, r.out.String())
			}
		}
	}
}

// TestClassicFlags checks what does not go together, and the answers of servers that are none or of the other dialect.
func TestClassicFlags(t *testing.T) {
	t.Parallel()
	core := serve(t, nil, nil, nil)
	for _, x := range []struct {
		args     []string
		code     int
		sentence string
	}{
		{[]string{"invoke", core.url, "Echo", "--dialect", "latin"}, 2, `--dialect is "latin", want auto, core or classic`},
		{[]string{"invoke", core.url, "Echo", "--dialect", "core", "--hub", "Chat"}, 2, "want no --hub"},
		{[]string{"invoke", core.url, "Chat.Echo", "--dialect", "classic", "--stateful"}, 2, "not for classic servers"},
		{[]string{"invoke", core.url, "Chat.Echo", "--dialect", "Classic", "--skip-negotiation"}, 2, "not for classic servers"},
		{[]string{"invoke", core.url, "Echo", "--hub", "Chat", "--protocol", "messagepack"}, 2, "classic servers speak json only"},
		{[]string{"stream", core.url, "Echo", "--hub", "Chat"}, 2, "a classic server has no streams"},
		{[]string{"upload", core.url, "Echo", "--dialect", "classic"}, 2, "a classic server has no streams"},
		{[]string{"respond", core.url, "A=1", "--dialect", "classic"}, 2, "wants no results of its clients"},
		{[]string{"doctor", core.url, "--dialect", "classic"}, 2, "a classic server is not examined"},
		{[]string{"invoke", core.url, "Echo", "1", "--hub", "Chat"}, 10, "but an ASP.NET Core SignalR hub: leave --dialect and --hub out"},
		{[]string{"negotiate", core.url, "--dialect", "classic"}, 10, "but an ASP.NET Core SignalR hub"},
		{[]string{"ping", core.url, "--hub", "Chat"}, 10, "but an ASP.NET Core SignalR hub"},
		{[]string{"negotiate", answering(t, 200, `{"availableTransports":[]}`), "--dialect", "classic"}, 10, "but an ASP.NET Core SignalR hub"},
		{[]string{"negotiate", answering(t, 200, "<html>"), "--dialect", "classic"}, 10, "what answers there is something else"},
		{[]string{"invoke", answering(t, 200, "<html>"), "A.B", "--dialect", "classic"}, 10, "what answers there is something else"},
		{[]string{"invoke", answering(t, 200, `{"status":"up"}`), "A.B", "--dialect", "classic"}, 10, "what answers there is something else"},
		{[]string{"negotiate", answering(t, 200, `{"status":"up"}`), "--dialect", "classic"}, 10, "what answers there is something else"},
		{[]string{"negotiate", answering(t, 404, ""), "--dialect", "classic"}, 10, "there is no SignalR hub at "},
		{[]string{"invoke", answering(t, 404, ""), "A.B", "--dialect", "classic"}, 10, "there is no SignalR hub at "},
		{[]string{"invoke", answering(t, 200, `{"ProtocolVersion":"2.0","Error":"full"}`), "A.B", "--dialect", "classic"}, 14, "the server says: full"},
		{[]string{"negotiate", answering(t, 200, `{"ProtocolVersion":"2.0","Error":"full"}`), "--dialect", "classic"}, 14, "the server says: full"},
		{[]string{"invoke", answering(t, 200, `{"ProtocolVersion":"9.0","ConnectionToken":"x"}`), "A.B"}, 14, "server version 9.0"},
		{[]string{"invoke", answering(t, 200, classicAnswer), "A.B"}, 16, "no transport works at "},
	} {
		r := &run{}
		if code := r.do(x.args...); code != x.code {
			t.Errorf("%v: exit code %d, want %d", x.args, code, x.code)
		}
		if !strings.Contains(r.errors.String(), x.sentence) || strings.Count(r.errors.String(), "hubbub: ") > 1 {
			t.Errorf("%v: it says %q, want one sentence with %q", x.args, r.errors.String(), x.sentence)
		}
	}
}

// TestClassicRedirect follows a server that sends its clients on.
func TestClassicRedirect(t *testing.T) {
	t.Parallel()
	url, _ := serveClassic(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer other" || r.URL.Query().Get("a") != "b" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	first := answering(t, 200, fmt.Sprintf(`{"ProtocolVersion":"2.0","RedirectUrl":"%s?a=b","AccessToken":"other"}`, url))
	r := &run{}
	if code := r.do("negotiate", first, "--token", "mine"); code != 0 || !strings.Contains(r.out.String(), "sent on by") {
		t.Errorf("negotiate: exit code %d, output %q\n%s", code, r.out.String(), r.errors.String())
	}
	r = &run{}
	if code := r.do("invoke", first, "Chat.Kind", "{}", "--token", "mine"); code != 0 || r.out.String() != "\"object\"\n" {
		t.Errorf("invoke: exit code %d, output %q\n%s", code, r.out.String(), r.errors.String())
	}
}

// TestClassicNearby tells of a server that is where clients for .NET would have looked.
func TestClassicNearby(t *testing.T) {
	t.Parallel()
	url, _ := serveClassic(t, nil)
	base := strings.TrimSuffix(url, "/signalr")
	for _, args := range [][]string{
		{"invoke", base, "Chat.Echo", "1"}, {"invoke", base + "/", "Chat.Echo", "1", "--dialect", "classic"}, {"negotiate", base},
		{"negotiate", base, "--hub", "Chat"}, {"ping", base, "--hub", "Chat"}, {"ping", base}, {"listen", base},
	} {
		r := &run{}
		want := "there is no SignalR hub at " + args[1] + ", but a classic server at " + url + "\n"
		if code := r.do(args...); code != 10 || r.errors.String() != "hubbub: "+want || r.out.String() != "" {
			t.Errorf("%v: exit code %d, it says %q, want %q", args, code, r.errors.String(), want)
		}
	}
	r := &run{}
	if code := r.do("invoke", base, "Echo", "1", "--dialect", "core"); code != 10 || !strings.Contains(r.errors.String(), "check the path") {
		t.Errorf("core: exit code %d, it says %q", code, r.errors.String())
	}
}
