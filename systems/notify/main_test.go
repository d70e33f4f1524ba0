package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/notify"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

var hash = sync.OnceValue(func() string {
	h, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
})

// users of the tests; each has the password "secret".
func users() []notify.Account {
	return []notify.Account{
		{ID: "1", UserName: "admin", Name: "Ada Admin", PasswordHash: hash(), Rights: []string{notify.RightAdmin}},
		{ID: "2", UserName: "waiter", Name: "Will Waiter", PasswordHash: hash(), Rights: []string{"ticketUpdate"}},
		{ID: "3", UserName: "publisher", PasswordHash: hash(), Rights: []string{notify.ScopePublish, "userGet"}},
		{ID: "4", UserName: "kitchen", PasswordHash: hash(), FeatureName: "Kitchen"},
	}
}

// server is a notification system behind an HTTP server.
type server struct {
	*notify.System
	t      testing.TB
	url    string
	config notify.Config
}

// config returns the configuration of a new, empty system on that database.
func config(t testing.TB, database string) notify.Config {
	keys := hubbub.RandomKeyRing()
	return notify.Config{
		Database: storetest.Config(t, database, "notify"), Keys: keys, Tokens: &auth.Issuer{Keys: keys}, Users: users(),
		Logger: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// start starts a system with the configuration, until the test ends or stop is called.
func start(t testing.TB, c notify.Config) (*server, func()) {
	t.Helper()
	sys, err := notify.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	sys.Mount(mux, nil)
	h := httptest.NewServer(signalr.FoldCase(mux, sys.Paths()...))
	stop := sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := sys.Hub().Shutdown(ctx, 0); err != nil {
			t.Error(err)
		}
		h.Close()
		if err := sys.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &server{sys, t, h.URL, c}, stop
}

// newServer starts a system on a fresh SQLite database, with changes to its configuration.
func newServer(t testing.TB, change ...func(*notify.Config)) *server {
	t.Helper()
	c := config(t, "sqlite")
	for _, f := range change {
		f(&c)
	}
	s, _ := start(t, c)
	return s
}

// call makes a REST call and returns the status and the decoded body. A body that is no text is sent as JSON.
func (s *server) call(method, path, token string, body any) (int, map[string]any) {
	s.t.Helper()
	status, raw, _ := s.raw(method, path, token, body)
	var m map[string]any
	if len(raw) > 0 && raw[0] == '{' {
		if err := json.Unmarshal(raw, &m); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return status, m
}

func (s *server) raw(method, path, token string, body any) (int, []byte, http.Header) {
	s.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		p, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		r = bytes.NewReader(p)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, raw, resp.Header
}

// want is call for those who know the status.
func (s *server) want(status int, method, path, token string, body any) map[string]any {
	s.t.Helper()
	got, m := s.call(method, path, token, body)
	if got != status {
		s.t.Fatalf("%s %s: status %d %v, want %d", method, path, got, m, status)
	}
	return m
}

// login logs in and returns the answer.
func (s *server) login(user, device string) map[string]any {
	s.t.Helper()
	return s.want(200, "POST", "/api/auth", "", map[string]any{"UserName": user, "Password": "secret", "DeviceName": device})
}

func (s *server) token(user, device string) string {
	s.t.Helper()
	return s.login(user, device)["tokenId"].(string)
}

// sign makes a token without a session.
func (s *server) sign(claims map[string]any) string {
	s.t.Helper()
	token, err := s.config.Tokens.Sign(claims, time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// publish publishes a change over REST and returns the id.
func (s *server) publish(token string, n map[string]any) string {
	s.t.Helper()
	return s.want(202, "POST", "/api/v1/notifications", token, n)["id"].(string)
}

// change is a notification as publishers send it.
func change(resource string, action any, id string, version int) map[string]any {
	return map[string]any{"e": notify.ResourcesChanged, "p": map[string]any{
		"n": resource, "a": action, "i": map[string]any{"i": id, "n": resource, "v": version}, "r": []any{map[string]any{"id": id}}}}
}

// event is an OnEvent that a client has got.
type event struct {
	raw json.RawMessage
	E   string
	S   notify.Sender
	R   *string
	CA  string
	EA  *string
	P   struct {
		U notify.Identity
		N string
		A int
		I struct {
			I, N string
			V    *int64
		}
		R []any
		// of a License
		ShopID   int64
		Features []notify.LicenseFeature
	}
}

// String is resource, action and id, for comparing.
func (e event) String() string { return fmt.Sprintf("%s %d %s", e.P.N, e.P.A, e.P.I.I) }

// client is a SignalR client over a WebSocket with the JSON protocol.
type client struct {
	t  testing.TB
	ws *websocket.Conn

	mu      sync.Mutex
	changed chan struct{} // closed and replaced on every change
	events  []event
	results map[string]completion
	closing *closeMessage
	ended   bool
	calls   int
}

type completion struct {
	Error  string
	Result json.RawMessage
}

type closeMessage struct {
	Error          string
	AllowReconnect bool
}

// connect connects with a token and makes the handshake.
func (s *server) connect(token string) *client {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+notify.HubPath+"?access_token="+token, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	c := &client{t: s.t, ws: ws, changed: make(chan struct{}), results: make(map[string]completion)}
	c.write(`{"protocol":"json","version":1}`)
	_, hello, err := ws.Read(ctx)
	if err != nil || !strings.HasPrefix(string(hello), "{}\x1e") {
		s.t.Fatalf("handshake: %q, %v", hello, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(hello[3:])
	}()
	s.t.Cleanup(func() {
		ws.CloseNow()
		<-done
	})
	return c
}

func (c *client) write(record string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(record+"\x1e")); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *client) read(first []byte) {
	for data, err := first, error(nil); ; _, data, err = c.ws.Read(context.Background()) {
		c.mu.Lock()
		for record := range bytes.SplitSeq(data, []byte{0x1e}) {
			if len(record) > 0 {
				c.take(record)
			}
		}
		c.ended = err != nil
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *client) take(record []byte) {
	var m struct {
		Type           int
		Target         string
		InvocationID   string
		Arguments      []json.RawMessage
		Error          string
		Result         json.RawMessage
		AllowReconnect bool
	}
	if err := json.Unmarshal(record, &m); err != nil {
		c.t.Errorf("record %q: %v", record, err)
		return
	}
	switch {
	case m.Type == 1 && m.Target == "OnEvent" && len(m.Arguments) == 1:
		e := event{raw: m.Arguments[0]}
		if err := json.Unmarshal(e.raw, &e); err != nil {
			c.t.Errorf("event %s: %v", e.raw, err)
		}
		c.events = append(c.events, e)
	case m.Type == 3:
		c.results[m.InvocationID] = completion{m.Error, m.Result}
	case m.Type == 7:
		c.closing = &closeMessage{m.Error, m.AllowReconnect}
	case m.Type != 6:
		c.t.Errorf("record %q was not expected", record)
	}
}

// until waits until ready, called with the lock held, returns true.
func (c *client) until(what string, ready func() bool) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		ok, changed, ended := ready(), c.changed, c.ended
		c.mu.Unlock()
		if ok {
			return
		}
		if ended {
			c.t.Fatalf("connection ended before %s", what)
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("no %s after %v", what, patience)
		}
	}
}

// invoke calls a method with arguments in JSON and returns its completion.
func (c *client) invoke(target string, args ...string) completion {
	c.t.Helper()
	c.mu.Lock()
	c.calls++
	id := fmt.Sprint(c.calls)
	c.mu.Unlock()
	c.write(fmt.Sprintf(`{"type":1,"invocationId":%q,"target":%q,"arguments":[%s]}`, id, target, strings.Join(args, ",")))
	var done completion
	c.until("completion of "+target, func() (ok bool) {
		done, ok = c.results[id]
		return ok
	})
	return done
}

// subscribe subscribes, which must succeed and return nothing.
func (c *client) subscribe(payload string) {
	c.t.Helper()
	if got := c.invoke("Subscribe", payload); got.Error != "" || string(got.Result) != "null" {
		c.t.Fatalf("Subscribe(%s): %q %s", payload, got.Error, got.Result)
	}
}

func (c *client) unsubscribe(payload string) {
	c.t.Helper()
	if got := c.invoke("Unsubscribe", payload); got.Error != "" {
		c.t.Fatalf("Unsubscribe(%s): %q", payload, got.Error)
	}
}

// received returns what has come since the last call: everything that was published before it, because a call goes through
// the same ordered queue behind it.
func (c *client) received() []event {
	c.t.Helper()
	if got := c.invoke("Subscriptions"); got.Error != "" {
		c.t.Fatal(got.Error)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	events := c.events
	c.events = nil
	return events
}

// expect fails unless exactly these have come, as resource, action and id.
func (c *client) expect(want ...string) []event {
	c.t.Helper()
	events := c.received()
	var got []string
	for _, e := range events {
		got = append(got, e.String())
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		c.t.Fatalf("received %q, want %q", got, want)
	}
	return events
}

// expectClose waits for the end of the connection, which must have been announced with that text and no return.
func (c *client) expectClose(text string) {
	c.t.Helper()
	c.until("Close", func() bool { return c.closing != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.Contains(c.closing.Error, text) || c.closing.AllowReconnect {
		c.t.Fatalf("closed with %+v, want %q and no reconnect", c.closing, text)
	}
}

// cut ends the connection as a broken network does, and waits until the server has noticed.
func (s *server) cut(c *client) {
	s.t.Helper()
	before := len(s.Listeners())
	c.ws.CloseNow()
	s.eventually("the server to notice", func() bool { return len(s.Listeners()) < before })
}

// eventually waits for something that happens in the background.
func (s *server) eventually(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %v for %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}
