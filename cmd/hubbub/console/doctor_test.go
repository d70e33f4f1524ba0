package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
)

// isEvents reports whether a request asks for an event stream, isSocket whether it asks for a WebSocket.
func isEvents(r *http.Request) bool { return r.Header.Get("Accept") == "text/event-stream" }
func isSocket(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }

// where hands the requests that match to do, and the others on.
func where(match func(r *http.Request) bool, do http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if match(r) {
				do(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// bearing wants the token good: in the header, and in the query where query is true.
func bearing(query bool) func(http.Handler) http.Handler {
	return where(func(r *http.Request) bool {
		return r.Header.Get("Authorization") != "Bearer good" && !(query && r.URL.Query().Get("access_token") == "good")
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
}

// cors answers preflights as hubs must.
func cors(t *testing.T, origin string) func(http.Handler) http.Handler {
	t.Helper()
	allow, err := auth.CORS(auth.CORSOptions{Origins: []string{origin}})
	if err != nil {
		t.Fatal(err)
	}
	return allow
}

// examine runs doctor and returns its findings by check.
func examine(t *testing.T, url string, flags ...string) (code int, findings map[string]map[string]string) {
	t.Helper()
	r := &run{}
	code = r.do(append([]string{"doctor", url, "--json", "--idle", "0s", "--largest", "32768", "--tries", "4"}, flags...)...)
	findings = map[string]map[string]string{}
	for l := range strings.Lines(r.out.String()) {
		var f map[string]any
		if err := json.Unmarshal([]byte(l), &f); err != nil {
			t.Fatalf("line %q: %v", l, err)
		}
		if f["event"] == "check" {
			text := map[string]string{}
			for k, v := range f {
				text[k] = v.(string)
			}
			findings[text["check"]] = text
		}
	}
	return code, findings
}

// TestDoctor examines good servers and bad ones: each bad one has its own trouble, and nothing else is called a problem.
func TestDoctor(t *testing.T) {
	t.Parallel()
	const origin = "https://app.example.com"
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	for _, x := range []struct {
		name     string
		hub      *hubbub.Options
		endpoint *signalr.Options
		before   func(http.Handler) http.Handler
		flags    []string
		problem  string // the check that finds it; "" is none
		text     string // of that check, or of check
		check    string // that is looked at where there is no problem
	}{
		{name: "good", check: "largest message", text: "32 KiB pass"},
		{name: "stateful", endpoint: &signalr.Options{AllowStatefulReconnects: true}, check: "stateful reconnect", text: "offered: "},
		{name: "not stateful", check: "stateful reconnect", text: "not offered: "},
		{name: "other origins unasked", check: "cors", text: "pages of other origins cannot connect"},
		{name: "CORS", before: cors(t, origin), flags: []string{"--origin", origin}, check: "cors", text: "can connect, with credentials"},
		{name: "no CORS", flags: []string{"--origin", origin}, problem: "cors", text: "there is no Access-Control-Allow-Origin"},
		{name: "CORS of another", before: cors(t, "https://other.example.com"), flags: []string{"--origin", origin}, problem: "cors", text: "cannot connect"},
		{name: "CORS with a star", flags: []string{"--origin", origin}, problem: "cors", text: "is *, which browsers refuse with credentials",
			before: where(func(r *http.Request) bool { return r.Method == http.MethodOptions }, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Access-Control-Allow-Origin", "*")
			})},
		{name: "CORS without a header", flags: []string{"--origin", origin}, problem: "cors", text: "the header x-signalr-user-agent is not allowed",
			before: where(func(r *http.Request) bool { return r.Method == http.MethodOptions }, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Access-Control-Allow-Origin", origin)
				w.Header().Set("Access-Control-Allow-Credentials", "true")
				w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Requested-With")
			})},
		{name: "no WebSockets behind the proxy", problem: "websockets", text: "offered, but it does not work: ",
			before: where(isSocket, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })},
		{name: "no WebSockets offered", endpoint: &signalr.Options{Transports: signalr.LongPolling | signalr.ServerSentEvents}, check: "websockets", text: "does not offer it"},
		{name: "events held back", problem: "sse buffering", text: "something holds it back", flags: []string{"--timeout", "1s"},
			before: where(isEvents, func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-hold:
				}
			})},
		{name: "events held back behind their headers", problem: "sse buffering", text: "the headers came, but nothing of the event stream", flags: []string{"--timeout", "1s"},
			before: where(isEvents, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-hold:
				}
			})},
		{name: "token in header only", before: bearing(false), flags: []string{"--token", "good"}, problem: "token in query", text: "refused with status 401"},
		{name: "token in query", before: bearing(true), flags: []string{"--token", "good"}, check: "token in query", text: "accepted as access_token"},
		{name: "token not needed", flags: []string{"--token", "any"}, check: "token in query", text: "in without a token"},
		{name: "small messages", hub: &hubbub.Options{MaximumReceiveMessageSize: 4096}, problem: "largest message", text: "a message of 32 KiB ends the connection"},
		{name: "cut when quiet", hub: &hubbub.Options{ClientTimeoutInterval: 200 * time.Millisecond}, flags: []string{"--idle", "10s"}, problem: "idle", text: "was cut after"},
		{name: "pings when quiet", hub: &hubbub.Options{KeepAliveInterval: 100 * time.Millisecond}, flags: []string{"--idle", "4s"}, check: "idle", text: "the server pinged after"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, x.hub, x.endpoint, x.before)
			code, findings := examine(t, s.url, x.flags...)
			if len(findings) != 12 {
				t.Errorf("%d findings, want 12: %v", len(findings), findings)
			}
			want := 0
			if x.problem != "" {
				want = 17
			}
			if code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			for name, f := range findings {
				sse := x.problem == "sse buffering" && name == "sse" // which does not work then either
				if (f["state"] == "problem") != (name == x.problem || sse) || (f["fix"] != "") != (f["state"] == "problem") {
					t.Errorf("%s is %s: %s (fix: %s)", name, f["state"], f["text"], f["fix"])
				}
			}
			if f := findings[x.problem+x.check]; !strings.Contains(f["text"], x.text) {
				t.Errorf("%s says %q, want %q in it", x.problem+x.check, f["text"], x.text)
			}
		})
	}
}

// TestDoctorStickiness spreads requests over two servers that do not know each other's connections.
func TestDoctorStickiness(t *testing.T) {
	t.Parallel()
	one, two := serve(t, nil, nil, nil), serve(t, nil, nil, nil)
	var n atomic.Int64
	balancer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			one.mux.ServeHTTP(w, r)
			return
		}
		two.mux.ServeHTTP(w, r)
	}))
	defer balancer.Close()
	code, findings := examine(t, balancer.URL+"/hub", "--timeout", "2s")
	if f := findings["stickiness"]; code != 17 || f["state"] != "problem" || !strings.Contains(f["text"], "reached a server that does not know them") {
		t.Errorf("exit code %d, stickiness %v, want a problem", code, f)
	}
}

// TestDoctorOutput compares what doctor prints for people.
func TestDoctorOutput(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil, nil)
	r := &run{}
	if code := r.do("doctor", s.url, "--idle", "0s", "--origin", "https://app.example.com"); code != 17 {
		t.Errorf("exit code %d, want 17", code)
	}
	golden(t, "doctor", stable(r.out.String()+"--- standard error\n"+r.errors.String(), s.url))
}
