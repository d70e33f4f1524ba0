package classic_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// fake is a classic server by script: what it says is what the captures of the real one say.
type fake struct {
	t       *testing.T
	url     string
	answers map[string]string                // to negotiate, over the defaults
	on      map[string]http.HandlerFunc      // by command, instead of the default
	stream  func(command string, s *fakeSay) // what a stream says

	mu   sync.Mutex
	seen []*http.Request // in the order they came, with the form of send
	came chan string     // commands, as they come
}

// fakeSay is an open stream of a fake, or one poll.
type fakeSay struct {
	*fake
	r     *http.Request
	write func(text string)
	heard <-chan string // what came over a WebSocket; closed when that ends
	done  <-chan struct{}
}

const fakeInit = `{"C":"d-E2D8CDD5-d,0|e,0|f,0|g,1","S":1,"M":[]}`

func newFake(t *testing.T, change func(*fake)) *fake {
	t.Helper()
	f := &fake{t: t, came: make(chan string, 1000), on: make(map[string]http.HandlerFunc), answers: map[string]string{
		"Url": `"/signalr"`, "ConnectionToken": `"to+k/e=n"`, "ConnectionId": `"b6941e4f-bce8-4dcc-a1cf-b444df8bd229"`,
		"KeepAliveTimeout": "20.0", "DisconnectTimeout": "30.0", "ConnectionTimeout": "110.0", "TryWebSockets": "true",
		"ProtocolVersion": `"2.0"`, "TransportConnectTimeout": "5.0", "LongPollDelay": "0.0",
	}}
	f.stream = func(_ string, s *fakeSay) {
		s.write(fakeInit)
		<-s.done
	}
	if change != nil {
		change(f)
	}
	server := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fake) negotiate() string {
	var members []string
	for name, v := range f.answers {
		members = append(members, fmt.Sprintf("%q:%s", name, v))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	command := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if command == "send" {
		_ = r.ParseForm() // what is missing shows in the test
	}
	f.mu.Lock()
	f.seen = append(f.seen, r)
	f.mu.Unlock()
	f.came <- command
	if h := f.on[command]; h != nil {
		h(w, r)
		return
	}
	switch command {
	case "negotiate":
		fmt.Fprint(w, f.negotiate())
	case "start":
		fmt.Fprint(w, `{ "Response": "started" }`)
	case "connect", "reconnect", "poll":
		f.open(w, r, command)
	case "abort":
	default:
		http.NotFound(w, r)
	}
}

// open runs the script of a stream.
func (f *fake) open(w http.ResponseWriter, r *http.Request, command string) {
	s := &fakeSay{fake: f, r: r, done: r.Context().Done()}
	switch r.URL.Query().Get("transport") {
	case "webSockets":
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			f.t.Error(err)
			return
		}
		heard, done := make(chan string, 100), make(chan struct{})
		s.heard, s.done = heard, done
		go func() {
			defer close(done)
			for {
				_, b, err := conn.Read(r.Context())
				if err != nil {
					close(heard)
					return
				}
				heard <- string(b)
			}
		}()
		s.write = func(text string) {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte(text)) // the client may be gone
		}
		f.stream(command, s)
		_ = conn.CloseNow()
		<-done
	case "serverSentEvents":
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w).Flush
		fmt.Fprint(w, "data: initialized\n\n")
		_ = flush()
		s.write = func(text string) {
			fmt.Fprintf(w, "data: %s\r\n\r\n", text)
			_ = flush()
		}
		f.stream(command, s)
	default:
		s.write = func(text string) {
			fmt.Fprint(w, text)
			_ = http.NewResponseController(w).Flush()
		}
		f.stream(command, s)
	}
}

// requests returns what came so far, as "GET connect".
func (f *fake) requests() (list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.seen {
		list = append(list, r.Method+" "+r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	}
	return list
}

// last returns the query of the last request of a command.
func (f *fake) last(command string) url.Values {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.seen) - 1; i >= 0; i-- {
		if strings.HasSuffix(f.seen[i].URL.Path, "/"+command) {
			return f.seen[i].URL.Query()
		}
	}
	f.t.Fatalf("no request %s", command)
	return nil
}

// await waits until a command has come.
func (f *fake) await(command string) {
	f.t.Helper()
	for within(f.t, f.came, command) != command {
	}
}

// idOf is the id of a call that came.
func idOf(t *testing.T, call string) string {
	t.Helper()
	var m struct{ I string }
	if err := json.Unmarshal([]byte(call), &m); err != nil {
		t.Error(err)
	}
	return m.I
}
