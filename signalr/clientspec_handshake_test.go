package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// signalr-core client, start and fall back: the order negotiate, transport, handshake, ping; the handshake is JSON for every protocol,
// in a text frame for json and a binary one for messagepack; no ping on Long Polling.
func TestClientSpecStart(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		c, p := f.connect(opts, nil)
		if want := fmt.Sprintf(`{"protocol":%q,"version":1}`, opts.Protocol); p.handshake != want {
			t.Errorf("handshake %s, want %s", p.handshake, want)
		}
		if c.ID() != "id1" || c.State() != hubbub.Connected {
			t.Errorf("id %q, %v, want id1, connected", c.ID(), c.State())
		}
		if err := c.Send(t.Context(), "Hi"); err != nil {
			t.Fatal(err)
		}
		greeting := receive(t, "the handshake", p.in)
		if opts.Transports == signalr.WebSockets {
			want := websocket.MessageText
			if opts.Protocol == "messagepack" {
				want = websocket.MessageBinary
			}
			if greeting.frame != want {
				t.Errorf("the handshake came in a frame of type %v, want %v", greeting.frame, want)
			}
		}
		first := p.any().record
		if opts.Transports != signalr.LongPolling {
			if first != ping {
				t.Errorf("the client said %s after the handshake, want a ping", first)
			}
			first = p.any().record
		}
		if want := `{"type":1,"target":"Hi","arguments":[]}`; first != want {
			t.Errorf("the client said %s, want %s", first, want)
		}
	})
}

// signalr-core client, start and fall back: answers of negotiate that are fine although a server of today would not give them.
func TestClientSpecNegotiateAccepted(t *testing.T) {
	t.Parallel()
	list := `"availableTransports":[{"transport":"WebSockets","transferFormats":["Text"]}]`
	for name, x := range map[string]struct{ answer, query string }{
		"version 0":         {`{"negotiateVersion":0,"connectionId":"i",` + list + `}`, "id=i"},
		"version 0, token":  {`{"negotiateVersion":0,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=i"},
		"no version":        {`{"connectionId":"i",` + list + `}`, "id=i"},
		"version 7":         {`{"negotiateVersion":7,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"unknown members":   {`{"x":{"y":[1]},"negotiateVersion":1,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"stateful unasked":  {`{"useStatefulReconnect":true,"negotiateVersion":1,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"token to escape":   {`{"negotiateVersion":1,"connectionId":"i","connectionToken":"a+b/c=&",` + list + `}`, "id=a%2Bb%2Fc%3D%26"},
		"lifetime null":     {`{"tokenLifetimeSeconds":null,"negotiateVersion":1,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"lifetime 0":        {`{"tokenLifetimeSeconds":0,"negotiateVersion":1,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"lifetime below 0":  {`{"tokenLifetimeSeconds":-1,"negotiateVersion":1,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"empty error, url":  {`{"error":"","url":"","negotiateVersion":1,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"null error, url":   {`{"error":null,"url":null,"negotiateVersion":1,"connectionId":"i","connectionToken":"t",` + list + `}`, "id=t"},
		"unknown transport": {`{"negotiateVersion":1,"connectionId":"i","connectionToken":"t","availableTransports":[{"transport":"Pigeons","transferFormats":["Text"]},{"transport":"WebSockets","transferFormats":["Text"]}]}`, "id=t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if purpose(r) != "negotiate" {
					return false
				}
				w.Header().Set("Content-Type", "text/html") // is not looked at
				_, _ = io.WriteString(w, x.answer)
				return true
			}
			c, p := f.connect(signalr.ClientOptions{}, nil)
			if c.ID() != "i" {
				t.Errorf("id %q, want i", c.ID())
			}
			if want := `{"protocol":"json","version":1}`; p.handshake != want {
				t.Errorf("handshake %s, want %s", p.handshake, want)
			}
			if got := paths(f.requests()); len(got) != 2 || got[1] != "GET /hub?"+x.query {
				t.Errorf("requests %q, want a negotiation and a socket with %s", got, x.query)
			}
		})
	}
}

// signalr-core client, authentication refresh: a lifetime that is no integer of 32 bits fails the start.
func TestClientSpecNegotiateLifetime(t *testing.T) {
	t.Parallel()
	for _, v := range []string{`"60"`, `true`, `1.5`, `2147483648`} {
		f := newFake(t)
		f.members = `"tokenLifetimeSeconds":` + v + `,`
		if err := f.refused(f.client(signalr.ClientOptions{})); !errors.Is(err, signalr.ErrInvalidAnswer) {
			t.Errorf("lifetime %s: %v", v, err)
		}
	}
}

// signalr-core client, start and fall back, rows all failed and empty availableTransports: the reason of every transport.
func TestClientSpecNoTransport(t *testing.T) {
	t.Parallel()
	all := []string{"WebSockets", "ServerSentEvents", "LongPolling"}
	for _, x := range []struct {
		name   string
		opts   signalr.ClientOptions
		offers []string
		rounds int // of negotiate
		want   []string
	}{
		{"refused", signalr.ClientOptions{}, all, 3, []string{"WebSockets failed: ", "status 404", "ServerSentEvents failed: ", "status 500", "LongPolling failed: ", "status 403 (Forbidden): not you"}},
		{"disabled", signalr.ClientOptions{Transports: signalr.WebSockets}, []string{"ServerSentEvents"}, 1, []string{"ServerSentEvents failed: the transport is disabled by the client"}},
		{"unknown", signalr.ClientOptions{}, []string{"Pigeons"}, 1, []string{"Pigeons failed: the transport is not supported by the client"}},
		{"binary", signalr.ClientOptions{Protocol: "messagepack"}, []string{"ServerSentEvents"}, 1, []string{"ServerSentEvents failed: the transport does not support the 'Binary' transfer format"}},
		{"one refused, one disabled", signalr.ClientOptions{Transports: signalr.WebSockets}, []string{"WebSockets", "LongPolling"}, 1, []string{"WebSockets failed: ", "LongPolling failed: the transport is disabled by the client"}},
		{"none", signalr.ClientOptions{}, nil, 1, []string{"none of the transports supported by the client are supported by the server"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.offers = x.offers
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				switch purpose(r) {
				case "WebSockets":
					w.WriteHeader(http.StatusNotFound)
				case "ServerSentEvents":
					w.WriteHeader(http.StatusInternalServerError)
				case "poll":
					http.Error(w, "not you", http.StatusForbidden)
				default:
					return false
				}
				return true
			}
			x.opts.Reconnect = hubbub.RetryDelays(0, 0) // a first start is not retried
			err := f.refused(f.client(x.opts))
			for _, want := range x.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("start: %v, want %q in it", err, want)
				}
			}
			if _, ok := errors.AsType[*signalr.TransportsError](err); ok != (x.offers != nil) {
				t.Errorf("start: %T in %v", err, err)
			}
			if n := len(f.requests("negotiate")); n != x.rounds {
				t.Errorf("%d rounds of negotiate, want %d", n, x.rounds)
			}
		})
	}
}

// signalr-core client, start and fall back: what cannot be used is passed over, without another negotiate.
func TestClientSpecSkipsTransports(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.protocol = "messagepack"
	f.offers = []string{"Pigeons", "WebSockets", "ServerSentEvents", "LongPolling"}
	_, p := f.connect(signalr.ClientOptions{Transports: signalr.ServerSentEvents | signalr.LongPolling}, nil)
	if p.transport != "LongPolling" || len(f.requests("negotiate")) != 1 {
		t.Errorf("%s after %d rounds of negotiate, want LongPolling after 1", p.transport, len(f.requests("negotiate")))
	}
}

// signalr-core client, start and fall back: handshake answers that end the start, over every transport; no other is tried. What
// may be behind the answer or in it does no harm.
func TestClientSpecHandshakeAnswers(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"error":"The protocol 'x' is not supported."}`: "unable to complete handshake with the server due to an error: The protocol 'x' is not supported.",
		`{"type":1,"target":"x","arguments":[]}`:         "expected a handshake response from the server",
		`{"error":null}`:                                 "expected 'error' to be of type String",
		`{"error":1}`:                                    "expected 'error' to be of type String",
		`[]`:                                             "handshake: invalid answer",
		`{`:                                              "handshake: invalid answer",
		`{"minorVersion":1,"x":[]}`:                      "",
		` { } `:                                          "",
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				f.hello = answer + "\x1e"
				if want == "" {
					f.connect(opts, nil)
					return
				}
				kind := opts.Transports
				opts.Transports = 0
				f.offers = []string{kind.String(), "WebSockets", "ServerSentEvents", "LongPolling"}
				err := f.refused(f.client(opts))
				if !strings.Contains(err.Error(), want) || len(f.requests("negotiate")) != 1 {
					t.Errorf("start: %v after %d negotiations, want %q after 1", err, len(f.requests("negotiate")), want)
				}
				if e, ok := errors.AsType[*hubbub.Error](err); ok != strings.HasPrefix(want, "unable") {
					t.Errorf("start: %v is an error of the server: %v", e, ok)
				}
			})
		})
	}
}

// signalr-core client, start and fall back: bytes behind the handshake answer in the same chunk are messages, and an answer may come
// in pieces.
func TestClientSpecHandshakeTogether(t *testing.T) {
	t.Parallel()
	clientWays(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		first := map[string]string{
			"json":        `{"type":1,"target":"Item","arguments":[1]}` + "\x1e" + `{"type":1,"target":"It`,
			"messagepack": "\x0c\x96\x01\x80\xc0\xa4Item\x91\x01\x90" + "\x0c\x96\x01\x80\xc0\xa4It",
		}[opts.Protocol]
		rest := map[string]string{"json": `em","arguments":[2]}` + "\x1e", "messagepack": "em\x91\x02\x90"}[opts.Protocol]
		f.hello += first
		got := make(chan int, 2)
		_, p := f.connect(opts, func(c *signalr.Client) {
			c.On("Item", hubbub.Action1(func(_ context.Context, i int) error { got <- i; return nil }))
		})
		p.send(rest)
		for want := 1; want <= 2; want++ {
			if i := receive(t, "an item", got); i != want {
				t.Errorf("item %d, want %d", i, want)
			}
		}
	})
	clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
		f.hello = "{"
		c := f.client(opts)
		go func() {
			p := f.accept()
			p.send("}")
			p.send("\x1e")
		}()
		f.start(c)
	})
}

// signalr-core client, start and fall back, row no handshake answer: after 15 s; and at once when the transport ends before.
func TestClientSpecHandshakeTimeout(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newPipedFake(t)
				f.offers, f.hello = []string{kind}, ""
				began := time.Now()
				err := f.client(signalr.ClientOptions{}).Start(t.Context())
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "handshake") {
					t.Errorf("start: %v, want the deadline of the handshake", err)
				}
				if d := time.Since(began); d < 15*time.Second || d >= 16*time.Second {
					t.Errorf("start took %v, want 15 s", d)
				}
			})
		})
	}
	for name, stop := range map[string]func(p *fakePeer){
		"ended":   func(p *fakePeer) { p.end(1000) },
		"cut":     func(p *fakePeer) { p.cut() },
		"partial": func(p *fakePeer) { p.send(`{"err`); p.end(1000) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clientTransports(t, func(t *testing.T, f *fakeServer, opts signalr.ClientOptions) {
				f.hello = ""
				go func() { stop(f.accept()) }()
				err := f.refused(f.client(opts))
				if !strings.Contains(err.Error(), "handshake") || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("start: %v, want one of the handshake, at once", err)
				}
			})
		})
	}
}

// signalr-core client, start and fall back: a client starts when it is disconnected only; after a failed start and after Close it may
// be started again. Close during a start ends it, and so does its context.
func TestClientSpecStartStates(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	hold := make(chan struct{}, 2)
	refuse := true
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if !refuse {
			return false
		}
		hold <- struct{}{}
		<-r.Context().Done()
		return true
	}
	c := f.client(signalr.ClientOptions{})
	for name, stop := range map[string]func(cancel func()){
		"closed":   func(func()) { c.Close() },
		"canceled": func(cancel func()) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- c.Start(ctx) }()
		receive(t, "the negotiation", hold)
		if err := c.Start(ctx); err == nil || !strings.Contains(err.Error(), "the client is connecting, want disconnected") {
			t.Errorf("start during a start: %v", err)
		}
		stop(cancel)
		err := receive(t, "the end of the start", failed)
		if want := map[string]error{"closed": hubbub.ErrClosed, "canceled": context.Canceled}[name]; !errors.Is(err, want) {
			t.Errorf("start, %s: %v, want %v", name, err, want)
		}
		if c.State() != hubbub.Disconnected {
			t.Errorf("%s: the client is %v", name, c.State())
		}
		cancel()
	}
	refuse = false
	for range 2 {
		f.start(c)
		f.accept()
		if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "the client is connected, want disconnected") {
			t.Errorf("second start: %v", err)
		}
		c.Close()
		c.Close()
		if c.State() != hubbub.Disconnected || c.ID() != "" {
			t.Errorf("after Close the client is %v, its id is %q", c.State(), c.ID())
		}
	}
	if got := len(f.requests("WebSockets")); got != 2 {
		t.Errorf("%d sockets, want 2", got)
	}
}

// signalr-core client, start: an address or a protocol that is wrong is told by Start, before any request.
func TestClientSpecWrongOptions(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		url, protocol, want string
	}{
		{"ws://localhost/hub", "", "want http://host/path"},
		{"/hub", "", "want http://host/path"},
		{"http://[::1", "", "address"},
		{"http://localhost/hub", "xml", `protocol "xml", want json or messagepack`},
	} {
		err := signalr.NewClient(x.url, &signalr.ClientOptions{Protocol: x.protocol}).Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s %s: %v, want %q", x.url, x.protocol, err, x.want)
		}
	}
	f := newFake(t)
	f.connect(signalr.ClientOptions{Protocol: "JSON"}, nil)
	if got := paths(f.requests()); !slices.Contains(got, "GET /hub?id=tok1") {
		t.Errorf("requests %q", got)
	}
}
