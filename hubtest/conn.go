package hubtest

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// Conn is a connection of a test to a hub: a [signalr.Client] that keeps what the hub sends for [Expect]. Its Send, Invoke, On,
// ID, State and Close are those of the client, and it goes into hubbub.Invoke and hubbub.Stream as one. It is safe for
// concurrent use.
//
// What the hub sends to a target with a handler of On goes to the handler, and Expect does not see it; a handler with a result
// (hubbub.Func1, for example) answers the hub. A call that wants a result and has no handler fails for the hub, and Expect sees
// it. OnUnhandled is the way to Expect and must not be used.
type Conn struct {
	*signalr.Client
	link  *Link
	name  string // for failures
	inbox inbox
}

// Connect joins hub as the user with that id, "" for an anonymous one, over a WebSocket with the json protocol. The connection
// ends with the test at the latest. A connection that is not possible fails the test.
//
// Connect blocks until the handshake is done. Inside a bubble of [testing/synctest] it waits until everything has come to rest,
// so that the hub's OnConnected has run; outside OnConnected may still run.
func Connect(t testing.TB, hub *hubbub.Hub, userID string) *Conn {
	t.Helper()
	return ConnectAs(t, hub, userOf(userID), nil)
}

// ConnectAs is [Connect] for a user with claims, nil for an anonymous one, and with options of the client: another protocol
// or transport, a reconnect policy, hooks. opts may be nil; it is not changed, its HTTPClient is not used, and struct fields are
// named as the hub does it. The server allows stateful reconnects.
func ConnectAs(t testing.TB, hub *hubbub.Hub, user *hubbub.User, opts *signalr.ClientOptions) *Conn {
	t.Helper()
	h := signalr.Handler(hub, &signalr.Options{AllowStatefulReconnects: true})
	s := NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(hubbub.WithUser(r.Context(), user)))
	}))
	var o signalr.ClientOptions
	if opts != nil {
		o = *opts
	}
	if o.Naming == hubbub.CamelCase {
		o.Naming = hub.Options().Naming
	}
	name := "an anonymous connection"
	if user != nil {
		name = user.ID
	}
	return connect(t, s.Link(), s.URL+"/"+hub.Name(), name, &o)
}

func userOf(id string) *hubbub.User {
	if id == "" {
		return nil
	}
	return &hubbub.User{ID: id}
}

func connect(t testing.TB, l *Link, url, name string, opts *signalr.ClientOptions) *Conn {
	t.Helper()
	var o signalr.ClientOptions
	if opts != nil {
		o = *opts
	}
	c := &Conn{link: l, name: name, inbox: inbox{changed: make(chan struct{})}}
	onClosed := o.OnClosed
	o.OnClosed = func(err error) {
		c.inbox.end(err)
		if onClosed != nil {
			onClosed(err)
		}
	}
	o.HTTPClient = l.HTTPClient()
	c.Client = signalr.NewClient(url, &o)
	c.OnUnhandled(c.inbox.take)
	t.Cleanup(func() {
		l.clear()
		_ = c.Close()
	})
	if err := c.Start(t.Context()); err != nil {
		t.Fatalf("hubtest: connect %s: %v", name, err)
	}
	settle()
	return c
}

// Link returns the network under the connection, which is its own.
func (c *Conn) Link() *Link { return c.link }

// settle waits until everything in the bubble waits. It reports false outside a bubble, or if somebody else waits already.
func settle() (ok bool) {
	defer func() { _ = recover() }() // Wait panics where it cannot wait
	synctest.Wait()
	return true
}
