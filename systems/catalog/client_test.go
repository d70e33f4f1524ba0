package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

var transports = []string{"webSockets", "serverSentEvents", "foreverFrame", "longPolling"}

// everyTransport runs a test with each of them.
func everyTransport(t *testing.T, f func(t *testing.T, transport string)) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			f(t, transport)
		})
	}
}

const (
	resources = `[{"Name":"ResourceEventHub"}]`
	jobs      = `[{"Name":"JobEventHub"}]`
	bothHubs  = `[{"name":"resourceeventhub"},{"name":"jobeventhub"}]` // as JavaScript clients write them
)

// client is a classic client by hand, on any transport: what it knows of its connection, and what has come.
type client struct {
	t             testing.TB
	base          string // address of the endpoint
	transport     string
	hubs          string
	authorization string
	token, id     string

	updates chan string // elements of M
	answers chan string // over a socket
	web     *http.Client

	mu             sync.Mutex
	cursor, groups string
	first          bool // the envelope with S has come
	socket         *websocket.Conn
	stop           context.CancelFunc // of the stream
	over           chan struct{}      // closed when the stream has ended
	failure        error              // why
}

// newClient negotiates.
func newClient(t testing.TB, base, transport string, change ...func(*client)) *client {
	t.Helper()
	c := &client{t: t, base: base + "/Centro/signalr", transport: transport, hubs: resources, authorization: "Bearer ann",
		updates: make(chan string, 1<<16), answers: make(chan string, 1<<10), web: &http.Client{Transport: &http.Transport{}}}
	for _, f := range change {
		f(c)
	}
	t.Cleanup(c.web.CloseIdleConnections)
	status, body := c.ask(http.MethodGet, "negotiate", "")
	if status != http.StatusOK {
		t.Fatalf("negotiate: status %d, body %q", status, body)
	}
	var a struct{ ConnectionToken, ConnectionId string } //nolint:revive // as on the wire
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	c.token, c.id = a.ConnectionToken, a.ConnectionId
	return c
}

// connect negotiates, opens a stream and starts.
func (s *server) connect(transport string, change ...func(*client)) *client {
	s.t.Helper()
	return connect(s.t, s.url, transport, change...)
}

func connect(t testing.TB, base, transport string, change ...func(*client)) *client {
	t.Helper()
	c := newClient(t, base, transport, change...)
	if err := c.open("connect"); err != nil {
		t.Fatalf("connect: %v", err)
	}
	c.start()
	return c
}

func as(authorization string) func(*client) {
	return func(c *client) { c.authorization = authorization }
}
func with(hubs string) func(*client) { return func(c *client) { c.hubs = hubs } }

func (c *client) address(command string) string {
	q := url.Values{"clientProtocol": {"2.1"}, "transport": {c.transport}, "connectionData": {c.hubs}}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("connectionToken", c.token)
	if command == "reconnect" || command == "poll" {
		c.mu.Lock()
		set("messageId", c.cursor)
		set("groupsToken", c.groups)
		c.mu.Unlock()
	}
	if c.transport == "foreverFrame" {
		q.Set("frameId", "1")
	}
	return c.base + "/" + command + "?" + q.Encode()
}

func (c *client) request(ctx context.Context, method, command, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.address(command), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.authorization != "" {
		r.Header.Set("Authorization", c.authorization)
	}
	return c.web.Do(r)
}

// ask returns status and body of a request that ends soon.
func (c *client) ask(method, command, body string) (int, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, err := c.request(ctx, method, command, body)
	if err != nil {
		c.t.Fatalf("%s: %v", command, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s: %v", command, err)
	}
	return res.StatusCode, string(b)
}

func (c *client) start() {
	c.t.Helper()
	if status, body := c.ask(http.MethodGet, "start", ""); status != http.StatusOK || body != `{ "Response": "started" }` {
		c.t.Fatalf("start: status %d, body %q", status, body)
	}
}

// refused is the error of a stream that the server, or a proxy, does not open.
type refused struct {
	status int
	body   string
}

func (r *refused) Error() string { return fmt.Sprintf("status %d, body %q", r.status, r.body) }

// open opens a stream with the command, connect or reconnect, and reads it in the background until it ends.
func (c *client) open(command string) error {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	next, err := c.dial(ctx, command)
	if err != nil {
		cancel()
		return err
	}
	over := make(chan struct{})
	c.mu.Lock()
	c.stop, c.over, c.first = cancel, over, false
	c.mu.Unlock()
	go func() {
		defer close(over)
		for {
			text, err := next()
			if err != nil {
				c.failure = err
				return
			}
			c.hear(text)
		}
	}()
	c.t.Cleanup(c.close)
	if command == "connect" {
		eventually(c.t, "first envelope", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.first })
	}
	return nil
}

// close ends the stream without a word to the server.
func (c *client) close() {
	c.stop()
	<-c.over
}

// dial opens the transport and returns a function that reads the next text.
func (c *client) dial(ctx context.Context, command string) (func() (string, error), error) {
	switch c.transport {
	case "webSockets":
		header := http.Header{}
		if c.authorization != "" {
			header.Set("Authorization", c.authorization)
		}
		socket, res, err := websocket.Dial(ctx, c.address(command), &websocket.DialOptions{HTTPHeader: header, HTTPClient: c.web})
		if err != nil {
			if res != nil {
				b, _ := io.ReadAll(res.Body)
				return nil, &refused{res.StatusCode, string(b)}
			}
			return nil, err
		}
		socket.SetReadLimit(-1)
		c.socket = socket
		return func() (string, error) {
			_, b, err := socket.Read(ctx)
			if err != nil {
				socket.CloseNow()
			}
			return string(b), err
		}, nil
	case "longPolling":
		return c.poll(ctx, command)
	}
	res, err := c.request(ctx, http.MethodGet, command, "")
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		return nil, &refused{res.StatusCode, string(b)}
	}
	pattern := eventPattern
	if c.transport == "foreverFrame" {
		pattern = framePattern
	}
	return events(res.Body, pattern), nil
}

var (
	eventPattern = regexp.MustCompile(`(?s)data: (.*?)\n\n`)
	framePattern = regexp.MustCompile(`(?s)<script>r\(c, (.*?)\);</script>`)
)

// events returns a function that reads what the pattern marks.
func events(body io.ReadCloser, pattern *regexp.Regexp) func() (string, error) {
	rest, buf := "", make([]byte, 64<<10)
	return func() (string, error) {
		for {
			if m := pattern.FindStringSubmatchIndex(rest); m != nil {
				text := rest[m[2]:m[3]]
				rest = rest[m[1]:]
				if text == "initialized" {
					continue
				}
				return text, nil
			}
			n, err := body.Read(buf)
			rest += string(buf[:n])
			if err != nil && n == 0 {
				body.Close()
				return "", err
			}
		}
	}
}

var errSilent = errors.New("the server ended a poll without an envelope")

// poll opens with the command and polls from then on.
func (c *client) poll(ctx context.Context, command string) (func() (string, error), error) {
	one := func(command string) (string, error) {
		res, err := c.request(ctx, http.MethodGet, command, "")
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		switch {
		case err != nil:
			return "", err
		case res.StatusCode != http.StatusOK:
			return "", &refused{res.StatusCode, string(b)}
		case strings.TrimSpace(string(b)) == "":
			return "", errSilent
		}
		return strings.TrimSpace(string(b)), nil
	}
	if command == "reconnect" {
		return func() (string, error) { defer func() { command = "poll" }(); return one(command) }, nil
	}
	first, err := one(command)
	if err != nil {
		return nil, err
	}
	return func() (string, error) {
		if text := first; text != "" {
			first = ""
			return text, nil
		}
		return one("poll")
	}, nil
}

// hear sorts a text of the server.
func (c *client) hear(text string) {
	var f struct {
		C, G, E *string
		S       json.RawMessage
		M       []json.RawMessage
		I       *string
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		c.t.Errorf("frame %q: %v", text, err)
		return
	}
	if f.I != nil {
		c.answers <- text
		return
	}
	for _, m := range f.M {
		c.updates <- string(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.C != nil {
		c.cursor = *f.C
	}
	if f.G != nil {
		c.groups = *f.G
	}
	if string(f.S) == "1" {
		c.first = true
	}
}

// groupsToken returns the newest.
func (c *client) groupsToken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.groups
}

// call calls a method and returns the answer.
func (c *client) call(hub, method, args string) string {
	c.t.Helper()
	message := fmt.Sprintf(`{"H":%q,"M":%q,"A":%s,"I":"1"}`, hub, method, args)
	if c.transport != "webSockets" {
		status, body := c.ask(http.MethodPost, "send", "data="+url.QueryEscape(message)) // without a content type, as .NET clients
		if status != http.StatusOK {
			c.t.Fatalf("send %.100s: status %d, body %q", message, status, body)
		}
		return body
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.socket.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
	select {
	case a := <-c.answers:
		return a
	case <-ctx.Done():
		c.t.Fatalf("no answer to %.100s", message)
		return ""
	}
}

// done calls a method that must succeed.
func (c *client) done(hub, method, key string) {
	c.t.Helper()
	if got := c.call(hub, method, fmt.Sprintf("[%q]", key)); got != `{"I":"1"}` {
		c.t.Fatalf("%s %s: %s, want no error", method, key, got)
	}
}

// watchPart subscribes and waits for the groups token that says so.
func (c *client) watchPart(key string) {
	c.t.Helper()
	before := c.groupsToken()
	c.done("ResourceEventHub", "SubscribeToPart", key)
	eventually(c.t, "groups token", func() bool { return c.groupsToken() != before })
}

// next returns the next update.
func (c *client) next() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case m := <-c.updates:
		return m
	case <-ctx.Done():
		c.t.Fatalf("no update after %v", patience)
		return ""
	}
}

// wants checks the next updates of parts.
func (c *client) wants(versions ...int) {
	c.t.Helper()
	for _, n := range versions {
		if got, want := c.next(), updateOf("ResourceEventHub", fmt.Sprintf(`{"Version":%d}`, n)); got != want {
			c.t.Fatalf("update %s, want %s", got, want)
		}
	}
}

func (c *client) wantsJob(progress int) {
	c.t.Helper()
	if got, want := c.next(), updateOf("JobEventHub", fmt.Sprintf(`{"Progress":%d}`, progress)); got != want {
		c.t.Fatalf("update %s, want %s", got, want)
	}
}

func updateOf(hub, event string) string {
	return `{"H":"` + hub + `","M":"Update","A":[` + event + `]}`
}
