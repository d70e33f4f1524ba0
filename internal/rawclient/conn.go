package rawclient

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Options of a connection. The zero value is a WebSocket with json that negotiates with version 1 and shakes hands.
type Options struct {
	Way
	Header http.Header
	Query  string // of every request, such as "access_token=x"

	Version0         bool   // negotiate without a version
	SkipNegotiation  bool   // of a WebSocket
	Stateful         bool   // ask for stateful reconnect, and shake hands with version 2
	HandshakeVersion int    // default 1, 2 with Stateful
	NoHandshake      bool   // the test does it, if at all
	Raw              bool   // no hub protocol: chunks as they come, no handshake
	Token            string // use this connection token and do not negotiate
	Binary           bool   // send binary frames whatever the protocol
}

// Conn is the client's end of a connection. Its methods are for the goroutine of the test, but Send may be called by others too.
type Conn struct {
	*Negotiated // nil without negotiate
	t           testing.TB
	url         string
	opts        Options
	token       string
	in          *inbox
	link        link
}

// link is a transport.
type link interface {
	// send sends the bytes, in one WebSocket message or POST.
	send(ctx context.Context, p []byte) error
	// close ends the transport politely and waits for its reader.
	close()
	// drop cuts it: with reset by a TCP RST where the transport knows its socket.
	drop(reset bool)
}

// Connect negotiates, opens the transport and shakes hands, as far as the options say. The connection ends with the test.
func Connect(t testing.TB, url string, o Options) *Conn {
	t.Helper()
	c := Open(t, url, o)
	if !c.opts.NoHandshake && !c.opts.Raw {
		c.Handshake()
	}
	return c
}

// Open is [Connect] without the handshake.
func Open(t testing.TB, url string, o Options) *Conn {
	t.Helper()
	if o.Transport == "" {
		o.Transport = WebSockets
	}
	if o.Protocol == "" {
		o.Protocol = "json"
	}
	c := &Conn{t: t, url: url, opts: o, token: o.Token}
	if o.Token == "" && !o.SkipNegotiation {
		query := "negotiateVersion=1"
		if o.Version0 {
			query = ""
		}
		if o.Stateful {
			query = join("", query, "useStatefulReconnect=true")
		}
		c.Negotiated = Negotiate(t, url, join("", query, o.Query), o.Header)
		if c.Error != "" {
			t.Fatalf("negotiate: %s", c.Error)
		}
		c.token = c.Negotiated.Token()
	}
	if err := c.open(false); err != nil {
		t.Fatal(err)
	}
	return c
}

// TryOpen opens the transport of a token and returns what the server answered instead of 101 or 200.
func TryOpen(t testing.TB, url string, o Options) (*Conn, *Answer) {
	t.Helper()
	if o.Transport == "" {
		o.Transport = WebSockets
	}
	if o.Protocol == "" {
		o.Protocol = "json"
	}
	c := &Conn{t: t, url: url, opts: o, token: o.Token}
	err := c.open(false)
	if refused, ok := err.(*Refused); ok {
		return nil, &refused.Answer
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, nil
}

// Refused is a transport that the server did not want.
type Refused struct{ Answer }

// Error tells the status and the body.
func (r *Refused) Error() string { return fmt.Sprintf("refused: status %d, body %q", r.Status, r.Body) }

// URL is where the transport's requests go, with the token.
func (c *Conn) URL() string {
	id := ""
	if c.token != "" {
		id = "id=" + c.token
	}
	base, own, _ := strings.Cut(c.url, "?")
	return base + join("?", own, id, c.opts.Query)
}

func (c *Conn) open(shook bool) error {
	protocol := c.opts.Protocol
	if c.opts.Raw {
		protocol = ""
	}
	c.in = newInbox(protocol)
	c.in.shook = shook
	var err error
	switch c.opts.Transport {
	case WebSockets:
		c.link, err = c.dial()
	case ServerSentEvents:
		c.link, err = c.listen()
	default:
		c.link, err = c.poll()
	}
	if err == nil {
		c.t.Cleanup(func() { c.link.close() })
	}
	return err
}

// Resume opens another WebSocket for the same connection, as stateful reconnect does. The client keeps its counts itself.
func (c *Conn) Resume() *Conn {
	c.t.Helper()
	n, refused := c.TryResume()
	if refused != nil {
		c.t.Fatalf("resume: status %d, body %q, want 101", refused.Status, refused.Body)
	}
	return n
}

// TryResume is [Conn.Resume] that returns what the server answered instead of 101.
func (c *Conn) TryResume() (*Conn, *Answer) {
	c.t.Helper()
	n := &Conn{Negotiated: c.Negotiated, t: c.t, url: c.url, opts: c.opts, token: c.token}
	err := n.open(true)
	if refused, ok := err.(*Refused); ok {
		return nil, &refused.Answer
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return n, nil
}

// Hello is the handshake request of the options, with its separator.
func (c *Conn) Hello() string {
	version := c.opts.HandshakeVersion
	if version == 0 {
		version = 1
		if c.opts.Stateful {
			version = 2
		}
	}
	return fmt.Sprintf(`{"protocol":"%s","version":%d}`, c.opts.Protocol, version) + Separator
}

// Handshake shakes hands and wants to be welcome.
func (c *Conn) Handshake() {
	c.t.Helper()
	c.SendText(c.Hello())
	c.Expect("{}")
}

// Send sends records, written as JSON, in one WebSocket message or POST.
func (c *Conn) Send(records ...string) {
	c.t.Helper()
	if err := c.TrySend(records...); err != nil {
		c.t.Fatalf("send %s: %v", strings.Join(records, " "), err)
	}
}

// TrySend is [Conn.Send] for goroutines of a test.
func (c *Conn) TrySend(records ...string) error {
	b, err := Encode(c.opts.Protocol, records...)
	if err != nil {
		return err
	}
	return c.TrySendBytes(b)
}

// SendText sends bytes as they are.
func (c *Conn) SendText(s string) {
	c.t.Helper()
	if err := c.TrySendBytes([]byte(s)); err != nil {
		c.t.Fatalf("send %q: %v", s, err)
	}
}

// TrySendBytes sends bytes as they are.
func (c *Conn) TrySendBytes(b []byte) error {
	ctx, stop := context.WithTimeout(context.Background(), Patience)
	defer stop()
	return c.link.send(ctx, b)
}

// Encoded is what Send would send.
func (c *Conn) Encoded(records ...string) []byte {
	c.t.Helper()
	b, err := Encode(c.opts.Protocol, records...)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// Next waits for the next record.
func (c *Conn) Next() string {
	c.t.Helper()
	r, _ := c.NextFrame()
	return r
}

// NextFrame is Next that also tells whether the record came in a binary WebSocket frame.
func (c *Conn) NextFrame() (record string, binary bool) {
	c.t.Helper()
	it, end, late := c.in.next(Patience)
	switch {
	case late:
		c.t.Fatalf("%s: nothing came within %v", c.opts.Way, Patience)
	case end != nil:
		c.t.Fatalf("%s: %v, want a record", c.opts.Way, end)
	}
	return it.record, it.binary
}

// NextWithin waits for the next record and reports whether it came in time. An end counts as nothing.
func (c *Conn) NextWithin(d time.Duration) (record string, ok bool) {
	it, end, late := c.in.next(d)
	if end != nil && end.Broken {
		c.t.Errorf("%s: %v", c.opts.Way, end)
	}
	return it.record, !late && end == nil
}

// NextOrEnd waits for the next record or for the end, which is nil for a record.
func (c *Conn) NextOrEnd() (record string, end *End) {
	c.t.Helper()
	it, end, late := c.in.next(Patience)
	if late {
		c.t.Fatalf("%s: nothing came within %v", c.opts.Way, Patience)
	}
	return it.record, end
}

// Expect wants exactly these records next.
func (c *Conn) Expect(records ...string) {
	c.t.Helper()
	for _, want := range records {
		if got := c.Next(); got != want {
			c.t.Fatalf("%s: record\n got %s\nwant %s", c.opts.Way, got, want)
		}
	}
}

// ExpectNothing sends a call whose answer must be the very next record: whatever the server had to say before would come first.
func (c *Conn) ExpectNothing(call, answer string) {
	c.t.Helper()
	c.Send(call)
	c.Expect(answer)
}

// ExpectEnd wants no record but the end. code is that of the WebSocket's close frame, 1006 for none; others end properly: a
// stream after its 200, polls with 204.
func (c *Conn) ExpectEnd(code int) {
	c.t.Helper()
	r, end := c.NextOrEnd()
	if end == nil {
		c.t.Fatalf("%s: record %s, want the end", c.opts.Way, r)
	}
	want := code
	switch c.opts.Transport {
	case ServerSentEvents:
		want = http.StatusOK
	case LongPolling:
		want = http.StatusNoContent
	}
	if end.Broken || end.Code != want {
		c.t.Fatalf("%s: %v, want %d", c.opts.Way, end, want)
	}
}

// Ended waits for the end and returns it, whatever comes before.
func (c *Conn) Ended() End {
	c.t.Helper()
	for {
		if _, end := c.NextOrEnd(); end != nil {
			return *end
		}
	}
}

// Close ends the transport politely: a WebSocket with 1000, polls with DELETE.
func (c *Conn) Close() { c.link.close() }

// Drop ends the transport without a word.
func (c *Conn) Drop() { c.link.drop(false) }

// Reset is Drop by a TCP reset, for WebSockets.
func (c *Conn) Reset() { c.link.drop(true) }
