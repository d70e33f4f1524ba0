package classic_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
)

// send sends a message to everybody.
func (s *server) send(args ...any) {
	s.t.Helper()
	if err := s.hub.All().Send(s.t.Context(), "Msg", args...); err != nil {
		s.t.Fatal(err)
	}
}

// numbered are the messages with these numbers as clients get them.
func numbered(from, to int) []string {
	var list []string
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprintf(`{"H":"RefHub","M":"Msg","A":[%d]}`, i))
	}
	return list
}

// TestReplay: a client that comes back with its cursor gets what it has not seen, once and in order, whatever was written to
// the dead stream, over the same transport or another; its groups are still there and OnReconnected runs.
func TestReplay(t *testing.T) {
	t.Parallel()
	for _, first := range streams {
		for _, second := range []string{"webSockets", "serverSentEvents", "longPolling"} {
			t.Run(first+" then "+second, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				c, ch := s.connect(first)
				ch.call(`{"H":"refhub","M":"Join","A":["g"],"I":1}`)
				s.send(0)
				seen := ch.messages(1)
				cursor := c.cursor
				s.send(1) // written to the stream, but the client says that it has not come
				ch.messages(1)
				ch.close()
				for i := 2; i < 5; i++ {
					s.send(i)
				}
				c.cursor, c.transport = cursor, second
				if second == "longPolling" {
					_, body := c.get("reconnect", c.resume())
					for _, m := range c.parse(body).M {
						seen = append(seen, string(m))
					}
				} else {
					ch = c.open("reconnect")
					seen = append(seen, ch.messages(4)...)
				}
				if got, want := fmt.Sprint(seen), fmt.Sprint(numbered(0, 5)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				s.heard("reconnected:RefHub " + c.id)
				if second != "longPolling" {
					ch.call(`{"H":"refhub","M":"ToGroup","A":["g","still"],"I":2}`)
					if got := ch.messages(1)[0]; !strings.Contains(got, "still") {
						t.Errorf("message to the group: %s", got)
					}
				}
				if got := fmt.Sprint(s.eventsOf(c.id)); got != "[connected:RefHub reconnected:RefHub]" {
					t.Errorf("events %s", got)
				}
			})
		}
	}
}

// TestCursors: what a cursor can be, and what then comes.
func TestCursors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, ch := s.connect("webSockets")
	for i := range 3 {
		s.send(i)
	}
	ch.messages(3)
	good := c.cursor
	epoch := good[:strings.LastIndexByte(good, '-')+1]
	for cursor, want := range map[string][]string{
		good:                   numbered(3, 4),
		epoch + "0":            numbered(0, 4),
		epoch + "2":            numbered(2, 4),
		epoch + "ffffffffffff": numbered(3, 4),
		epoch + "x":            numbered(3, 4),
		"d-othertimes-0":       numbered(3, 4),
		"nonsense":             numbered(3, 4),
	} {
		s := newServer(t)
		c, ch := s.connect("webSockets")
		for i := range 3 {
			s.send(i)
		}
		ch.messages(3)
		own := c.cursor[:strings.LastIndexByte(c.cursor, '-')+1]
		c.cursor = strings.Replace(cursor, epoch, own, 1)
		ch.close()
		ch = c.open("reconnect")
		s.send(3)
		if got := fmt.Sprint(ch.messages(len(want))); got != fmt.Sprint(want) {
			t.Errorf("cursor %q: got %s, want %s", cursor, got, want)
		}
	}
}

// TestReplaced: a second stream takes the place of the first, which ends; S comes again for a second connect, OnConnected does
// not.
func TestReplaced(t *testing.T) {
	t.Parallel()
	for _, transport := range streams {
		s := newServer(t)
		c, old := s.connect(transport)
		ch := c.open("connect")
		if f := ch.read(); string(f.S) != "1" {
			t.Errorf("%s: first envelope %s", transport, f.raw)
		}
		if code := old.ended(); transport == "webSockets" && code != 1000 {
			t.Errorf("close code of the old socket %d, want 1000", code)
		}
		c.start()
		if got := fmt.Sprint(s.eventsOf(c.id)); got != "[connected:RefHub]" {
			t.Errorf("events %s", got)
		}
	}
}

// TestAnswersOfOldStream: an answer to a call of a socket that is gone must not reach the next one, where the client counts its
// calls anew.
func TestAnswersOfOldStream(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(c *config) {
		c.setup = func(_ *server, h *hubbub.Hub) {
			h.Handle("Slow", slowMethod(started, release))
		}
	})
	c, ch := s.connect("webSockets")
	ch.write(`{"H":"refhub","M":"Slow","I":0}`)
	<-started
	ch.close()
	ch = c.open("reconnect")
	close(release)
	if got := ch.call(`{"H":"refhub","M":"Echo","A":["mine"],"I":0}`); got != `{"R":"mine","I":"0"}` {
		t.Errorf("answer %s", got)
	}
}

// TestGroupsToken: G comes when the groups have changed, and only then; with it a client that is unknown after a restart is in
// its groups again. A token of another connection, a broken one and one of other keys say nothing.
func TestGroupsToken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, ch := s.connect("webSockets")
	ch.call(`{"H":"refhub","M":"Join","A":["g"],"I":1}`)
	for c.groups == "" {
		ch.read()
	}
	one := c.groups
	ch.call(`{"H":"refhub","M":"Join","A":["g"],"I":2}`)
	ch.call(`{"H":"refhub","M":"Join","A":["h"],"I":3}`)
	for c.groups == one {
		ch.read()
	}
	both := c.groups
	other, och := s.connect("webSockets")
	och.call(`{"H":"refhub","M":"Join","A":["foreign"],"I":1}`)
	for other.groups == "" {
		och.read()
	}
	foreign := other.groups

	tests := []struct{ name, token, in string }{
		{"its own", both, "gh"},
		{"an older one of its own", one, "g"},
		{"of another connection", foreign, ""},
		{"none", "", ""},
		{"broken", both[:len(both)-2] + "AA", ""},
		{"cut", both[:40], ""},
		{"the connection token", c.token, ""},
	}
	for _, test := range tests {
		next := newServer(t) // has the same keys and knows nobody
		again := *c
		again.s, again.t, again.groups = next, t, test.token
		ch := again.open("reconnect")
		next.heard("reconnected:RefHub " + c.id)
		for _, g := range []string{"g", "h", "foreign"} {
			if err := next.hub.Group(g).Send(t.Context(), "Msg", g); err != nil {
				t.Fatal(err)
			}
		}
		next.send("end")
		in, all := "", ""
		for !strings.Contains(all, `"end"`) {
			all += strings.Join(ch.messages(1), "")
		}
		for _, g := range []string{"g", "h", "foreign"} {
			if strings.Contains(all, `["`+g+`"]`) {
				in += g
			}
		}
		if in != test.in {
			t.Errorf("%s: in groups %q, want %q", test.name, in, test.in)
		}
		ch.close()
	}
}

// TestKeys: after a restart with other keys a client gets 400 and starts again; with the old key behind the new one it comes back.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _ := s.connect("webSockets")
	changed := newServer(t, func(o *config) { o.classic.Keys = ringOf(t, "zz") })
	c.s, c.transport = changed, "longPolling"
	if status, body := c.get("reconnect", c.resume()); status != 400 || body != "The ConnectionId is in the incorrect format." {
		t.Errorf("other keys: status %d, body %q", status, body)
	}
	rotated := newServer(t, func(o *config) { o.classic.Keys = ringOf(t, "zz", "k") })
	c.s, c.transport = rotated, "webSockets"
	c.open("reconnect")
	rotated.heard("reconnected:RefHub " + c.id)
}

// TestRejoining: the hub decides to which groups a client returns.
func TestRejoining(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, ch := s.connect("webSockets")
	ch.call(`{"H":"refhub","M":"Join","A":["good"],"I":1}`)
	for c.groups == "" {
		ch.read()
	}
	one := c.groups
	ch.call(`{"H":"refhub","M":"Join","A":["bad"],"I":2}`)
	for c.groups == one {
		ch.read()
	}
	next := newServer(t, func(o *config) { o.setup = onlyGood })
	c.s = next
	ch = c.open("reconnect")
	for _, g := range []string{"bad", "good"} {
		if err := next.hub.Group(g).Send(t.Context(), "Msg", g); err != nil {
			t.Fatal(err)
		}
	}
	if m := ch.messages(1)[0]; !strings.Contains(m, `["good"]`) {
		t.Errorf("first message %s, want that of the group good", m)
	}
}

// TestTimeout: a client that has been away for too long is gone: OnDisconnected says that it did not stop, and it cannot return.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *config) { c.classic.DisconnectTimeout = 6 * time.Second })
	c, ch := s.connect("webSockets")
	poll := s.negotiated("longPolling")
	_, body := poll.get("connect", nil)
	poll.parse(body)
	poll.start()
	ch.close()
	s.heard("disconnected:RefHub " + poll.id + " stopCalled=false") // 6 s
	s.heard("disconnected:RefHub " + c.id + " stopCalled=false")    // 11 s
	c.transport = "serverSentEvents"
	if status, body := c.get("reconnect", c.resume()); status != 400 || body != "The connection has ended." {
		t.Errorf("reconnect: status %d, body %q", status, body)
	}
	if status, body := poll.get("poll", poll.resume()); status != 200 || body != `{"C":"d-0","E":"The connection has ended.","M":[]}` {
		t.Errorf("poll: status %d, body %q", status, body)
	}
	if status, body := poll.send(`{"H":"refhub","M":"Echo","A":["x"],"I":1}`); status != 400 || body != "The connection has ended." {
		t.Errorf("send: status %d, body %q", status, body)
	}
}

// TestLongPolling goes through the life of a polling client.
func TestLongPolling(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *config) {
		c.classic.ConnectionTimeout = 300 * time.Millisecond
		c.classic.LongPollDelay = 2 * time.Second
	})
	c := s.negotiated("longPolling")
	post := func(command string, form url.Values) frame {
		t.Helper()
		// as .NET does it: no content type, or as jQuery does it: the cursor in the form
		res := c.request(http.MethodPost, command, nil, strings.NewReader(form.Encode()))
		if kind := res.Header.Get("Content-Type"); kind != "application/json; charset=UTF-8" {
			t.Errorf("%s: type %q", command, kind)
		}
		status, body := whole(t, res)
		if status != 200 {
			t.Fatalf("%s: status %d, body %q", command, status, body)
		}
		return c.parse(body)
	}
	if f := post("connect", nil); string(f.S) != "1" || f.L == nil || *f.L != 2000 {
		t.Errorf("connect: %s, want S and L", f.raw)
	}
	c.start()
	if f := post("poll", c.resume()); len(f.M) != 0 || f.S != nil {
		t.Errorf("poll with nothing to say: %s", f.raw)
	}
	if status, body := c.send(`{"H":"refhub","M":"Join","A":["g"],"I":"0"}`); status != 200 || body != `{"I":"0"}` {
		t.Errorf("join between two polls: status %d, body %q", status, body)
	}
	for i := range 3 {
		s.send(i)
	}
	before := c.resume()
	f := post("poll", before)
	if got := fmt.Sprintf("%s", f.M); got != fmt.Sprint(numbered(0, 3)) || f.G == nil {
		t.Errorf("poll: %s", f.raw)
	}
	f = post("poll", before) // the answer was lost
	if got := fmt.Sprintf("%s", f.M); got != fmt.Sprint(numbered(0, 3)) {
		t.Errorf("the same poll again: %s", f.raw)
	}
	pending := c.pending()
	c.abort()
	if body := <-pending; !like(body, `{"C":"*","L":2000,"M":[]}`) && !like(body, `{"C":"*","M":[]}`) {
		t.Errorf("poll at abort: %s", body)
	}
	s.heard("disconnected:RefHub " + c.id + " stopCalled=true")
}

// pending returns when a poll is under way, and then what it is answered. Of two polls the later one ends the earlier, and so
// tells that it is there.
func (c *client) pending() <-chan string {
	bodies := make(chan string, 2)
	for range 2 {
		go func() {
			res := c.request(http.MethodPost, "poll", c.resume(), nil)
			b, err := io.ReadAll(res.Body)
			if err != nil {
				c.t.Error(err)
			}
			res.Body.Close()
			bodies <- string(b)
		}()
	}
	c.firstBody = <-bodies
	return bodies
}

// TestReplacedPoll: a poll that another replaces gives the cursor back that it came with, so that a client which believes it
// misses nothing.
func TestReplacedPoll(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("longPolling")
	_, body := c.get("connect", nil)
	c.parse(body)
	c.start()
	before := c.cursor
	bodies := c.pending()
	s.send(0)
	answered := <-bodies
	if got := fmt.Sprintf("%s", c.parse(answered).M); got != fmt.Sprint(numbered(0, 1)) {
		t.Errorf("the poll that is there: %s", answered)
	}
	if first := c.firstBody; !like(first, `{"C":"`+before+`","M":[]}`) {
		t.Errorf("the poll that was replaced: %s, want cursor %s", first, before)
	}
}

// TestReturnTwice: what a new server has written to a stream that broke at once comes again: the client's cursor is still that of
// the server before.
func TestReturnTwice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c, _ := s.connect("webSockets")
	next := newServer(t)
	c.s = next
	cursor := c.cursor
	ch := c.open("reconnect")
	next.heard("reconnected:RefHub " + c.id)
	next.send(0)
	ch.messages(1)
	ch.close()
	c.cursor = cursor
	ch = c.open("reconnect")
	next.send(1)
	if got := fmt.Sprint(ch.messages(2)); got != fmt.Sprint(numbered(0, 2)) {
		t.Errorf("got %s", got)
	}
}

// TestShutdown: polls are told to come back, streams end, and OnDisconnected runs.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("longPolling")
	_, body := c.get("connect", nil)
	c.parse(body)
	c.start()
	_, socket := s.connect("webSockets")
	_, events := s.connect("serverSentEvents")
	polled := c.pending()
	if err := s.hub.Shutdown(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	select {
	case body := <-polled:
		if !like(body, `{"C":"*","T":1,"M":[]}`) {
			t.Errorf("poll at the shutdown: %s, want T", body)
		}
	case <-time.After(patience):
		t.Error("poll did not end")
	}
	if code := socket.ended(); code != 1000 {
		t.Errorf("close code %d, want 1000", code)
	}
	events.ended()
	s.heard("disconnected:RefHub " + c.id)
}

// TestForeverFrame writes a page whose scripts call back, with nothing in them that could end a script.
func TestForeverFrame(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("foreverFrame")
	res := c.request(http.MethodGet, "connect", url.Values{"frameId": {"7"}}, nil)
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); kind != "text/html; charset=UTF-8" {
		t.Errorf("type %q", kind)
	}
	var page string
	more := func(until string) {
		t.Helper()
		buf := make([]byte, 4096)
		for !strings.Contains(page, until) {
			n, err := res.Body.Read(buf)
			page += string(buf[:n])
			if err != nil {
				t.Fatalf("page %q: %v", page, err)
			}
		}
	}
	more(`"S":1,"M":[]});</script>` + "\r\n")
	if !strings.Contains(page, "getConnection('7')") {
		t.Errorf("page %q names no frame", page)
	}
	c.start()
	s.send("</script><b>")
	more(`<script>r(c, {"C":"`)
	more(`"A":["\u003c/script\u003e\u003cb\u003e"]}]});</script>`)
	if _, body := c.send(`{"H":"refhub","M":"Echo","A":["</script>"],"I":4}`); body != `{"R":"\u003c/script\u003e","I":"4"}` {
		t.Errorf("answer %q", body)
	}
}

// TestSlow: a client that does not read is closed, alone, or loses the oldest messages; memory stays bounded and nobody waits.
func TestSlow(t *testing.T) {
	t.Parallel()
	for _, mode := range []classic.SlowConsumer{classic.CloseSlow, classic.DropOldest} {
		s := newServer(t, func(c *config) {
			c.classic.SlowConsumer = mode
			c.hub.MaximumQueuedBytes = 64 << 10
			c.hub.SendTimeout = time.Minute // the stuck one is read from only at the end
		})
		slow, stuck := s.connect("webSockets")
		_, quick := s.connect("webSockets")
		text := strings.Repeat("x", 8<<10)
		const n = 3000
		for i := range n {
			s.send(fmt.Sprint(i, text))
			if m := quick.messages(1)[0]; !strings.Contains(m, fmt.Sprintf(`["%dx`, i)) { // it keeps up
				t.Fatalf("message %d of the quick one is %.60s", i, m)
			}
		}
		if mode == classic.CloseSlow {
			s.heard("disconnected:RefHub " + slow.id + " stopCalled=false")
			continue
		}
		s.send("last")
		count, last := 0, ""
		for !strings.Contains(last, "last") {
			for _, m := range stuck.read().M {
				count, last = count+1, string(m)
			}
		}
		if count >= n {
			t.Errorf("the slow one got %d messages, want fewer than were sent", count)
		}
	}
}

// TestBufferSize: who comes back with a cursor older than what is kept gets what is kept, in order.
func TestBufferSize(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *config) { c.classic.MessageBufferSize = 32 })
	c, ch := s.connect("webSockets")
	cursor := c.cursor
	for i := range 100 {
		s.send(i)
	}
	ch.messages(100)
	c.cursor = cursor
	ch.close()
	ch = c.open("reconnect")
	s.send(100)
	got := ch.messages(1)
	first := 0
	if _, err := fmt.Sscanf(got[0], `{"H":"RefHub","M":"Msg","A":[%d]}`, &first); err != nil || first < 60 || first > 69 {
		t.Fatalf("first replayed message %s, want about the 32 newest", got[0])
	}
	rest := ch.messages(100 - first)
	if fmt.Sprint(rest) != fmt.Sprint(numbered(first+1, 101)) {
		t.Errorf("replayed %s", rest)
	}
}

// TestSendFirst: a call before the stream connects the client, once; it has not been anywhere before.
func TestSendFirst(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.negotiated("serverSentEvents")
	if status, body := c.send(`{"H":"refhub","M":"Echo","A":["early"],"I":1}`); status != 200 || body != `{"R":"early","I":"1"}` {
		t.Errorf("status %d, body %q", status, body)
	}
	ch := c.open("connect")
	ch.read()
	c.start()
	if got := fmt.Sprint(s.eventsOf(c.id)); got != "[connected:RefHub]" {
		t.Errorf("events %s", got)
	}
}

// TestExpiry: a connection ends with its credential, unless a request has brought a newer one of the same user.
func TestExpiry(t *testing.T) {
	t.Parallel()
	lives := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			u := &hubbub.User{ID: "ann", Expires: time.Now().Add(2 * time.Second)}
			if r.URL.Query().Has("long") {
				u.Expires = time.Now().Add(time.Hour)
			}
			next.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), u)))
		})
	}
	s := newServer(t, func(c *config) { c.classic.Auth, c.classic.CloseOnAuthenticationExpiration = lives, true })
	short, shortStream := s.connect("webSockets")
	long, longStream := s.connect("webSockets")
	if status, _ := long.get("start", url.Values{"long": {"1"}}); status != http.StatusOK {
		t.Errorf("start with a newer credential: status %d", status)
	}
	if code := shortStream.ended(); code != 1000 {
		t.Errorf("close code %d, want 1000", code)
	}
	s.heard("disconnected:RefHub " + short.id)
	if got := longStream.call(`{"H":"refhub","M":"Echo","A":["alive"],"I":1}`); got != `{"R":"alive","I":"1"}` {
		t.Errorf("the other one: %s", got)
	}
}
