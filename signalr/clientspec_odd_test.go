package signalr_test

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/tools/txtar"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/internal/rawclient"
	"github.com/hubbub-go/hubbub/signalr"
)

// signalr-core client, what ends the connection: protocol errors, unknown types and what is tolerated, as testdata/client/odd.txtar
// tells. Over every transport that has the protocol.
func TestClientSpecOddMessages(t *testing.T) {
	t.Parallel()
	a, err := txtar.ParseFile("testdata/client/odd.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range a.Files {
		name, binary := strings.CutPrefix(file.Name, "binary/")
		lines := strings.Split(strings.TrimSuffix(string(file.Data), "\n"), "\n")
		records, outcome := lines[:len(lines)-1], lines[len(lines)-1]
		var chunk []byte
		for _, r := range records {
			if !binary {
				chunk = append(append(chunk, r...), rawclient.Separator...)
				continue
			}
			b, err := hex.DecodeString(strings.ReplaceAll(r, " ", ""))
			if err != nil {
				t.Fatalf("%s: %v", file.Name, err)
			}
			chunk = append(rawclient.Prefix(chunk, len(b)), b...)
		}
		t.Run(file.Name, func(t *testing.T) {
			t.Parallel()
			clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				if (opts.Protocol == "messagepack") != binary {
					return
				}
				closed := make(chan error, 1)
				opts.OnClosed = func(err error) { closed <- err }
				d := &diary{}
				_, p := f.connect(opts, func(c *signalr.Client) {
					withFence(c)
					c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { d.note("%d", i); return nil }))
				})
				p.send(string(chunk))
				if want, ok := strings.CutPrefix(outcome, "items: "); ok && strings.HasPrefix(name, "tolerated/") {
					p.say(fenceCall)
					p.want(fenceAnswer)
					d.want(t, strings.Fields(want)...)
					return
				}
				want, ok := strings.CutPrefix(outcome, "error: ")
				if !ok || !strings.HasPrefix(name, "rejected/") {
					t.Fatalf("outcome %q of %s", outcome, name)
				}
				if err := receive(t, "the end", closed); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("closed with %v, want %q", err, want)
				}
				p.wantEnd()
				if opts.Transports == signalr.WebSockets && websocket.CloseStatus(p.why) != websocket.StatusNormalClosure {
					t.Errorf("the WebSocket ended with %v, want a close frame with 1000", p.why)
				}
				if opts.Transports == signalr.LongPolling {
					f.await("DELETE", 1)
				}
				d.want(t)
			})
		})
	}
}

// signalr-core client, what is tolerated: messages split over chunks, several in one, text in a binary frame, a WebSocket ping, and
// event streams in other forms.
func TestClientSpecOddChunks(t *testing.T) {
	t.Parallel()
	item := func(n string) string { return `{"type":1,"target":"Item","arguments":[` + n + `]}` + "\x1e" }
	for _, x := range []struct {
		name      string
		transport signalr.Transport
		chunks    []utterance
		want      []string
	}{
		{"split", signalr.WebSockets, []utterance{{chunk: []byte(item("1")[:20])}, {chunk: []byte(item("1")[20:] + item("2")[:1])}, {chunk: []byte(item("2")[1:])}}, []string{"1", "2"}},
		{"split, polls", signalr.LongPolling, []utterance{{chunk: []byte(item("1")[:20])}, {chunk: []byte(item("1")[20:] + item("2")[:1])}, {chunk: []byte(item("2")[1:])}}, []string{"1", "2"}},
		{"split, events", signalr.ServerSentEvents, []utterance{{chunk: []byte(item("1")[:20])}, {chunk: []byte(item("1")[20:] + item("2")[:1])}, {chunk: []byte(item("2")[1:])}}, []string{"1", "2"}},
		{"together", signalr.WebSockets, []utterance{{chunk: []byte(item("1") + item("2") + item("3"))}}, []string{"1", "2", "3"}},
		{"empty", signalr.WebSockets, []utterance{{chunk: []byte{}}, {chunk: []byte(item("1"))}}, []string{"1"}},
		{"empty polls", signalr.LongPolling, []utterance{{chunk: []byte{}}, {chunk: []byte{}}, {chunk: []byte(item("1"))}}, []string{"1"}},
		{"binary frame", signalr.WebSockets, []utterance{{chunk: []byte(item("1")), frame: websocket.MessageBinary}}, []string{"1"}},
		{"ping of the socket", signalr.WebSockets, []utterance{{ping: true}, {chunk: []byte(item("1"))}}, []string{"1"}},
		{"LF only", signalr.ServerSentEvents, []utterance{{raw: true, chunk: []byte("data: " + item("1") + "\n\ndata: " + item("2") + "\n\n")}}, []string{"1", "2"}},
		{"no space", signalr.ServerSentEvents, []utterance{{raw: true, chunk: []byte("data:" + item("1") + "\r\n\r\n")}}, []string{"1"}},
		{"comments, id, event and retry", signalr.ServerSentEvents, []utterance{{raw: true, chunk: []byte(": hi\r\nid: 7\r\nevent: x\r\nretry: 10\r\ndata: " + item("1") + "\r\n\r\n:\r\n\r\n")}}, []string{"1"}},
		{"lines of data", signalr.ServerSentEvents, []utterance{{raw: true, chunk: []byte("data: " + `{"type":1,` + "\r\ndata: " + `"target":"Item","arguments":[1]}` + "\x1e\r\n\r\n")}}, []string{"1"}},
		{"byte by byte", signalr.ServerSentEvents, bytewise("data: " + item("1") + "\r\n\r\n"), []string{"1"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			d := &diary{}
			_, p := f.connect(signalr.ClientOptions{Transports: x.transport}, func(c *signalr.Client) {
				withFence(c)
				c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { d.note("%d", i); return nil }))
			})
			for _, u := range x.chunks {
				p.out <- u
			}
			p.say(fenceCall)
			p.want(fenceAnswer)
			d.want(t, x.want...)
		})
	}
}

func bytewise(s string) (all []utterance) {
	for i := range len(s) {
		all = append(all, utterance{raw: true, chunk: []byte(s[i : i+1])})
	}
	return all
}

// signalr-core client, limits: a message above the client's limit ends the connection and is named in the error; one at the limit does
// not. .NET has no limit.
func TestClientSpecMessageLimit(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		closed := make(chan error, 1)
		opts.OnClosed = func(err error) { closed <- err }
		opts.MaximumReceiveMessageSize = 1000
		got := make(chan int, 2)
		_, p := f.connect(opts, func(c *signalr.Client) {
			c.On("Text", hubbub.Action1(func(_ context.Context, s string) error { got <- len(s); return nil }))
		})
		p.say(`{"type":1,"target":"Text","arguments":["` + strings.Repeat("x", 900) + `"]}`)
		if n := receive(t, "a message", got); n != 900 {
			t.Errorf("%d bytes, want 900", n)
		}
		p.say(`{"type":1,"target":"Text","arguments":["` + strings.Repeat("x", 1000) + `"]}`)
		if err := receive(t, "the end", closed); err == nil || !strings.Contains(err.Error(), "1000") {
			t.Errorf("closed with %v, want the limit in it", err)
		}
	})
}
