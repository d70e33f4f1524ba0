package console_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/signalr"
)

// waitFor waits until what a run prints, on either output, matches, and returns the first group.
func waitFor(t *testing.T, r *run, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if m := re.FindStringSubmatch(r.out.String() + r.errors.String()); m != nil {
			return m[len(m)-1]
		}
	}
	t.Fatalf("it does not print %s\n%s%s", pattern, r.out.String(), r.errors.String())
	return ""
}

// answering serves one answer to everything.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/hub"
}

// TestExitCodes checks that everything that goes wrong has its own exit code and one clear sentence.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	secret := serve(t, nil, nil, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Header.Get("Authorization") {
			case "Bearer good":
				next.ServeHTTP(w, r)
			case "Bearer weak":
				w.WriteHeader(http.StatusForbidden)
			default:
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
	})
	hanging := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-hanging }))
	secure := httptest.NewUnstartedServer(s.mux)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(func() { close(hanging); silent.Close(); secure.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + gone.Addr().String() + "/hub"
	gone.Close()
	noTransport := serve(t, nil, &signalr.Options{Transports: signalr.LongPolling}, nil)
	for _, x := range []struct {
		name     string
		args     []string
		code     int
		sentence string
	}{
		{"done", []string{"invoke", s.url, "Echo", "1"}, 0, ""},
		{"good token", []string{"invoke", secret.url, "Echo", "1", "--token", "good"}, 0, ""},
		{"insecure", []string{"invoke", secure.URL + "/hub", "Echo", "1", "--insecure"}, 0, ""},
		{"websocket address", []string{"invoke", strings.Replace(s.url, "http:", "ws:", 1), "Echo", "1"}, 0, ""},
		{"no address", []string{"invoke"}, 2, "0 arguments given, want hubbub invoke URL TARGET [ARG…] (hubbub invoke --help has examples)"},
		{"unknown flag", []string{"invoke", s.url, "Echo", "--nothing"}, 2, "unknown flag: --nothing"},
		{"protocol", []string{"invoke", s.url, "Echo", "--protocol", "xml"}, 2, `--protocol is "xml", want json or messagepack`},
		{"transport", []string{"invoke", s.url, "Echo", "--transport", "pigeon"}, 2, `--transport is "pigeon", want websockets, sse or longpolling`},
		{"header", []string{"invoke", s.url, "Echo", "-H", "nonsense"}, 2, `--header is "nonsense", want "Name: value"`},
		{"timeout flag", []string{"invoke", s.url, "Echo", "--timeout", "0s"}, 2, "--timeout is 0s, want more than 0s"},
		{"skip with polling", []string{"invoke", s.url, "Echo", "--skip-negotiation", "--transport", "lp"}, 2, "want websockets"},
		{"two tokens", []string{"invoke", s.url, "Echo", "--token", "x", "--token-cmd", "y"}, 2, "token token-cmd"},
		{"token command fails", []string{"invoke", s.url, "Echo", "--token-cmd", "exit 3"}, 2, "--token-cmd: exit status 3"},
		{"token command is silent", []string{"invoke", s.url, "Echo", "--token-cmd", "true"}, 2, "--token-cmd printed nothing"},
		{"answer without target", []string{"respond", s.url, "=1"}, 2, "want TARGET=RESULT or TARGET!ERROR"},
		{"count", []string{"ping", s.url, "--count", "0"}, 2, "--count is 0, want at least 1"},
		{"only", []string{"conformance", s.url, "--only", "("}, 2, "--only: "},
		{"no scheme", []string{"invoke", "localhost:8080/hub", "Echo"}, 10, "want a scheme in front, such as http://localhost:8080/hub"},
		{"no web address", []string{"invoke", "ftp://localhost/hub", "Echo"}, 10, "want http://HOST/PATH or https://HOST/PATH"},
		{"wrong path", []string{"invoke", strings.Replace(s.url, "/hub", "/nothing", 1), "Echo"}, 10, "there is no SignalR hub at "},
		{"page", []string{"invoke", answering(t, 200, "<html>"), "Echo"}, 10, "what answers there is something else"},
		{"page, negotiate", []string{"negotiate", answering(t, 200, "<html>")}, 10, "what answers there is something else"},
		{"not the conformance server", []string{"conformance", s.url}, 10, "there is no SignalR hub at "},
		{"classic", []string{"invoke", answering(t, 200, classicAnswer), "Echo"}, 11, "is an ASP.NET SignalR server, which speaks the older protocol"},
		{"classic, negotiate", []string{"negotiate", answering(t, 200, classicAnswer), "--dialect", "core"}, 11, "is an ASP.NET SignalR server, which speaks the older protocol"},
		{"classic, doctor", []string{"doctor", answering(t, 200, classicAnswer)}, 11, "is an ASP.NET SignalR server, which speaks the older protocol"},
		{"no token", []string{"invoke", secret.url, "Echo"}, 12, "wants an access token (status 401): give one with --token or --token-cmd"},
		{"bad token", []string{"invoke", secret.url, "Echo", "--token", "bad"}, 12, "refuses the access token (status 401)"},
		{"weak token", []string{"invoke", secret.url, "Echo", "--token", "weak"}, 12, "knows who you are and says no (status 403)"},
		{"nobody there", []string{"invoke", nobody, "Echo"}, 13, "nobody listens at "},
		{"method fails", []string{"invoke", s.url, "Fail"}, 14, "the server says: An unexpected error occurred invoking 'Fail' on the server. HubException: not today"},
		{"negotiation refused", []string{"invoke", answering(t, 200, `{"error":"full"}`), "Echo"}, 14, "the server says: full"},
		{"server broken", []string{"invoke", answering(t, 500, "oops"), "Echo"}, 14, "the server answered with status 500 (Internal Server Error): oops"},
		{"silent server", []string{"invoke", silent.URL, "Echo", "--timeout", "50ms"}, 15, "no answer from "},
		{"silent method", []string{"invoke", s.url, "Wait", "--timeout", "300ms"}, 15, "within 300ms"},
		{"cut", []string{"invoke", s.url, "Bye"}, 16, "closed"},
		{"cut while listening", []string{"listen", s.url, "--send", "Bye"}, 16, "closed"},
		{"no transport", []string{"invoke", noTransport.url, "Echo", "--transport", "ws"}, 16, "no transport works at "},
		{"certificate", []string{"invoke", secure.URL + "/hub", "Echo"}, 18, "is not trusted: x509: "},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r := &run{}
			if code := r.do(x.args...); code != x.code {
				t.Errorf("exit code %d, want %d", code, x.code)
			}
			if !strings.Contains(r.errors.String(), x.sentence) || strings.Count(r.errors.String(), "hubbub: ") > 1 {
				t.Errorf("it says %q, want one sentence with %q", r.errors.String(), x.sentence)
			}
		})
	}
}

const classicAnswer = `{"Url":"/signalr","ConnectionToken":"x","ConnectionId":"y","KeepAliveTimeout":20.0,"ProtocolVersion":"1.5","TryWebSockets":true}`

// TestSignal stops commands with a signal: those that run for ever are done then, others are not.
func TestSignal(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	for _, x := range []struct {
		name, ready string
		args        []string
		code        int
	}{
		{"listen", "connected to", []string{"listen", s.url}, 0},
		{"respond", "connected to", []string{"respond", s.url, "X=1"}, 0},
		{"trace", `Ping`, []string{"trace", s.url}, 0},
		{"stream", `(?m)^5$`, []string{"stream", s.url, "Count", "100000000"}, 20},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r := &run{stop: make(chan os.Signal, 1)}
			done := make(chan int, 1)
			go func() { done <- r.do(x.args...) }()
			waitFor(t, r, x.ready)
			r.stop <- os.Interrupt
			if code := <-done; code != x.code {
				t.Errorf("exit code %d, want %d\n%s", code, x.code, r.errors.String())
			}
		})
	}
}
