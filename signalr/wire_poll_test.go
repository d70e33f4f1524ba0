package signalr_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

// poller makes the polls of a connection one by one.
type poller struct {
	t   *testing.T
	url string
}

// newPoller binds the transport and shakes hands.
func newPoller(t *testing.T, s *server) *poller {
	t.Helper()
	p := bindPoller(t, s)
	p.post(`{"protocol":"json","version":1}`)
	p.want(p.poll(), 200, "application/octet-stream", "{}\x1e")
	return p
}

func bindPoller(t *testing.T, s *server) *poller {
	t.Helper()
	p := &poller{t, s.url + "?id=" + rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken}
	p.want(p.poll(), 200, "application/octet-stream", "")
	t.Cleanup(func() { rawclient.Request(context.Background(), "DELETE", p.url, nil, "") })
	return p
}

func (p *poller) poll() rawclient.Answer { return rawclient.Do(p.t, "GET", p.url, nil, "") }

// wait polls in the background. A poll that is given up says nothing.
func (p *poller) wait(ctx context.Context) <-chan rawclient.Answer {
	ch := make(chan rawclient.Answer, 1)
	go func() {
		a, err := rawclient.Request(ctx, "GET", p.url, nil, "")
		if err == nil {
			ch <- a
		} else if !errors.Is(err, context.Canceled) {
			p.t.Errorf("poll: %v", err)
		}
	}()
	return ch
}

func (p *poller) post(record string) {
	p.t.Helper()
	p.want(rawclient.Do(p.t, "POST", p.url, nil, record+"\x1e"), 200, "text/plain", "")
}

// want checks an answer, and the headers against caches if it is that of a poll.
func (p *poller) want(a rawclient.Answer, status int, kind, body string) {
	p.t.Helper()
	if a.Status != status || kindOf(a) != kind || a.Body != body {
		p.t.Fatalf("status %d, content type %s, body %q, want %d, %s, %q", a.Status, kindOf(a), a.Body, status, kind, body)
	}
}

// uncached wants the headers of every answer to a poll.
func uncached(t *testing.T, what string, a rawclient.Answer) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %s: %q, want %q", what, name, got, want)
		}
	}
}

// TestPollAnswers goes through the table of Long Polling with one connection.
func TestPollAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{PollTimeout: 50 * time.Millisecond}})
	tok := rawclient.Negotiate(t, s.url, "negotiateVersion=1", nil).ConnectionToken
	p := &poller{t, s.url + "?id=" + tok}
	first := p.poll()
	p.want(first, 200, "application/octet-stream", "")
	uncached(t, "first poll", first)
	if first.Header.Get("Content-Length") != "0" {
		t.Errorf("first poll: length %q, want 0", first.Header.Get("Content-Length"))
	}
	p.post(`{"protocol":"json","version":1}`)
	hello := p.poll()
	p.want(hello, 200, "application/octet-stream", "{}\x1e")
	uncached(t, "data", hello)
	if hello.Header.Get("Content-Length") != "3" {
		t.Errorf("data: length %q, want 3", hello.Header.Get("Content-Length"))
	}
	empty := p.poll()
	p.want(empty, 200, "text/plain", "")
	uncached(t, "time-out", empty)
	p.post(fence)
	await(t, "the call", func() bool { return s.hub.Stats().Sent > 0 })
	p.want(p.poll(), 200, "application/octet-stream", fenced+"\x1e")
	p.post(`{"type":7}`)
	p.want(p.poll(), 200, "application/octet-stream", `{"type":7}`+"\x1e")
	over := p.poll()
	p.want(over, 204, "text/plain", "")
	uncached(t, "over", over)
	gone := p.poll()
	p.want(gone, 404, "text/plain", unknownText)
	uncached(t, "gone", gone)
	none := rawclient.Do(t, "GET", s.url, nil, "")
	p.want(none, 400, "text/plain", "Connection ID required")
	uncached(t, "no id", none)
}

// TestPollSuperseded: of two polls the older is answered with 204 and the newer gets the data.
func TestPollSuperseded(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	p := newPoller(t, s)
	answers := make(chan rawclient.Answer)
	poll := func() {
		if a, err := rawclient.Request(t.Context(), "GET", p.url, nil, ""); err != nil {
			t.Errorf("poll: %v", err)
		} else {
			answers <- a
		}
	}
	go poll()
	old := rawclient.Answer{}
	for old.Status != 204 {
		go poll()
		if old = receive(t, "the older poll", answers); old.Status == 409 { // the handshake's poll had not quite ended
			continue
		}
		p.want(old, 204, "text/plain", "")
	}
	uncached(t, "superseded", old)
	p.post(fence)
	p.want(receive(t, "the newer poll", answers), 200, "application/octet-stream", fenced+"\x1e")
	p.post(fence)
	p.want(p.poll(), 200, "application/octet-stream", fenced+"\x1e")
}

// TestPollSixAtOnce: of six polls at once one lives and gets the data; the others are superseded or refused.
func TestPollSixAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	for range 5 {
		p := newPoller(t, s)
		answers := make(chan rawclient.Answer, 6)
		for range 6 {
			go func() {
				a, err := rawclient.Request(t.Context(), "GET", p.url, nil, "")
				if err != nil {
					t.Errorf("poll: %v", err)
				}
				answers <- a
			}()
		}
		counts := map[int]int{}
		for range 5 {
			a := receive(t, "a poll that does not live", answers)
			counts[a.Status]++
			uncached(t, http.StatusText(a.Status), a)
			if a.Body != "" || kindOf(a) != "text/plain" {
				t.Errorf("%d: body %q, content type %s, want none, text/plain", a.Status, a.Body, kindOf(a))
			}
		}
		if counts[204]+counts[409] != 5 {
			t.Fatalf("statuses %v, want only 204 and 409", counts)
		}
		p.post(fence)
		p.want(receive(t, "the poll that lives", answers), 200, "application/octet-stream", fenced+"\x1e")
	}
}

// TestPollGivenUp: the client lets go of a poll and polls again; nothing is lost.
func TestPollGivenUp(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	p := newPoller(t, s)
	for range 10 {
		ctx, stop := context.WithCancel(t.Context())
		p.wait(ctx)
		stop()
	}
	again := p.wait(t.Context())
	for {
		// One that was given up may still supersede this one, if it was slower on its way.
		select {
		case a := <-again:
			if a.Status != 204 && a.Status != 409 {
				p.want(a, 200, "application/octet-stream", fenced+"\x1e")
				return
			}
			again = p.wait(t.Context())
		case <-time.After(20 * time.Millisecond):
			if s.hub.Stats().Invocations == 0 {
				p.post(fence)
			}
		}
	}
}

// TestPollDelete: a waiting poll hears of a DELETE; everything is 404 afterwards.
func TestPollDelete(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := start(t, setup{methods: gone.register})
	p := newPoller(t, s)
	answers := make(chan rawclient.Answer, 2)
	for range 2 { // when one is superseded or refused, the other waits
		go func() {
			if a, err := rawclient.Request(t.Context(), "GET", p.url, nil, ""); err == nil {
				answers <- a
			}
		}()
	}
	if a := receive(t, "the superseded poll", answers); a.Status != 204 && a.Status != 409 {
		t.Fatalf("superseded poll: %d, want 204 or 409", a.Status)
	}
	d := rawclient.Do(t, "DELETE", p.url, nil, "")
	p.want(d, 202, "text/plain", "")
	a := receive(t, "the waiting poll", answers)
	if !(a.Status == 200 && a.Body == `{"type":7,"allowReconnect":true}`+"\x1e") && !(a.Status == 204 && a.Body == "") {
		t.Errorf("waiting poll: %d %q, want the last words or 204", a.Status, a.Body)
	}
	if err := receive(t, "OnDisconnected", gone); err != nil {
		t.Errorf("OnDisconnected got %v, want nil", err)
	}
	p.want(rawclient.Do(t, "DELETE", p.url, nil, ""), 404, "text/plain", unknownText)
	p.want(rawclient.Do(t, "POST", p.url, nil, fence), 404, "text/plain", unknownText)
	p.want(p.poll(), 404, "text/plain", unknownText)
}

// TestPollBodies: a poll carries whole messages, about 64 KiB of them.
func TestPollBodies(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	p := newPoller(t, s)
	text := strings.Repeat("x", 10_000)
	for range 30 {
		if err := s.hub.All().Send(t.Context(), "M", text); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"type":1,"target":"M","arguments":["` + text + `"]}` + "\x1e"
	polls, messages := 0, 0
	for messages < 30 {
		a := p.poll()
		n := strings.Count(a.Body, want)
		if a.Status != 200 || n == 0 || len(a.Body) != n*len(want) || len(a.Body) > 64<<10+len(want) {
			t.Fatalf("poll: status %d, %d bytes, %d whole messages", a.Status, len(a.Body), n)
		}
		polls, messages = polls+1, messages+n
	}
	if polls > 6 {
		t.Errorf("%d polls for 300,000 bytes, want at most 6", polls)
	}
}

// TestPollInactive: a client that stops polling is gone after the disconnect time-out, however much it posts.
func TestPollInactive(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := start(t, setup{methods: gone.register, signalr: &signalr.Options{DisconnectTimeout: 300 * time.Millisecond}})
	p := newPoller(t, s)
	if err := receive(t, "OnDisconnected", gone); err != nil {
		t.Errorf("OnDisconnected got %v, want nil", err)
	}
	await(t, "404", func() bool { return p.poll().Status == 404 })
	p.want(rawclient.Do(t, "POST", p.url, nil, fence), 404, "text/plain", unknownText)
}

// TestPollWaitsAlive: a poll that waits is activity, however long it waits.
func TestPollWaitsAlive(t *testing.T) {
	t.Parallel()
	s := start(t, setup{signalr: &signalr.Options{DisconnectTimeout: 300 * time.Millisecond, PollTimeout: 1500 * time.Millisecond}})
	p := newPoller(t, s)
	p.want(p.poll(), 200, "text/plain", "")
	p.post(fence)
	p.want(p.poll(), 200, "application/octet-stream", fenced+"\x1e")
}

// TestPollRequest: the first poll's request stays that of the connection.
func TestPollRequest(t *testing.T) {
	t.Parallel()
	s := start(t, setup{methods: func(h *hubbub.Hub) {
		h.Handle("Request", hubbub.Func0(func(ctx context.Context) ([]string, error) {
			r := hubbub.CallerFrom(ctx).Request()
			cookie, _ := r.Cookie("c")
			return []string{r.Transport, r.Query.Get("q"), r.Header.Get("X-Test"), cookie}, nil
		}))
	}})
	everyTransport(t, func(t *testing.T, way rawclient.Way) {
		c := s.connect(t, rawclient.Options{Way: way, Query: "q=1", Header: http.Header{"X-Test": {"first"}, "Cookie": {"c=d"}}})
		if way.Transport == rawclient.LongPolling {
			rawclient.Do(t, "POST", s.url+"?q=2&id="+c.ConnectionToken, http.Header{"X-Test": {"second"}}, fence+"\x1e")
			c.Expect(fenced)
		}
		c.Send(`{"type":1,"invocationId":"1","target":"Request","arguments":[]}`)
		c.Expect(`{"type":3,"invocationId":"1","result":["` + way.Transport + `","1","first","d"]}`)
	})
}

// TestPollStuck: a client that asks for much and reads nothing is given up after the send time-out.
func TestPollStuck(t *testing.T) {
	t.Parallel()
	gone := make(ends, 1)
	s := start(t, setup{methods: gone.register, hub: &hubbub.Options{SendTimeout: 200 * time.Millisecond, MaximumQueuedBytes: 64 << 20}})
	p := newPoller(t, s)
	sock := rawclient.DialBytes(t, p.url)
	sock.SetReadBuffer(4096)
	if err := s.hub.All().Send(t.Context(), "M", strings.Repeat("x", 16<<20)); err != nil {
		t.Fatal(err)
	}
	sock.Write([]byte("GET " + strings.TrimPrefix(p.url, s.srv.URL) + " HTTP/1.1\r\nHost: x\r\n\r\n"))
	receive(t, "OnDisconnected", gone)
	await(t, "404", func() bool { return p.poll().Status == 404 })
}
