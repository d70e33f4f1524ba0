package hubbub

// These tests are of the package itself: what nodes say to each other is nobody else's business.

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"reflect"
	"testing"
	"time"
)

var envelopes = []envelope{
	{kind: envelopeSend, node: "n"},
	{kind: envelopeSend, node: "n", except: []string{"a", "", "b"}, names: []string{"json", "messagepack"}, records: [][]byte{[]byte("{}\x1e"), {1, 0x90}}},
	{kind: envelopeInvoke, node: "n", key: "k", names: []string{"json"}, records: [][]byte{{}}},
	{kind: envelopeJoin, node: "n", key: "k", group: "räume/1"},
	{kind: envelopeLeave, node: "n", key: "k", group: "g"},
	{kind: envelopeAck, node: "n", key: "k"},
	{kind: envelopeResult, node: "n", key: "k", has: true, names: []string{"json"}, records: [][]byte{[]byte("5")}},
	{kind: envelopeResult, node: "n", key: "k", err: "nope"},
	{kind: envelopeGone, node: "n", key: "k", err: "gone"},
	{kind: envelopeForget, node: "n", key: "k"},
	{kind: 99, node: "n"},
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, e := range envelopes {
		b := e.append(nil)
		got, err := parseEnvelope(b)
		if err != nil || !reflect.DeepEqual(*got, e) {
			t.Errorf("%+v came back as %+v, %v", e, got, err)
		}
		clear(b)
		if !reflect.DeepEqual(*got, e) {
			t.Errorf("%+v changed with the bytes that it was read from", e)
		}
	}
	whole := envelopes[1].append(nil)
	for n := range whole {
		if e, err := parseEnvelope(whole[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are %+v, want an error", n, len(whole), e)
		}
	}
	whole[0]++
	if _, err := parseEnvelope(whole); err == nil || err == errEnvelope {
		t.Errorf("another version: %v, want an error that names it", err)
	}
}

// hostile are envelopes that no node writes.
func hostile() [][]byte {
	head := []byte{envelopeVersion, byte(envelopeSend), 0}
	huge := binary.AppendUvarint(bytes.Clone(head), 1<<62)
	return [][]byte{nil, {envelopeVersion}, head, huge, append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		append(bytes.Clone(head), 0, 0, 0, 0, 0xff, 0x7f), append(bytes.Clone(head), 0, 0, 0, 0, 0, 0xff, 0x7f)}
}

func FuzzEnvelope(f *testing.F) {
	for _, e := range envelopes {
		f.Add(e.append(nil))
	}
	for _, b := range hostile() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEnvelope(b)
		if err != nil {
			return
		}
		again, err := parseEnvelope(e.append(nil))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%+v came back as %+v, %v", e, again, err)
		}
	})
}

// upper is a protocol for one connection of this test.
type upper struct{}

func (upper) Name() string                                 { return "upper" }
func (upper) Append(dst []byte, _ Message) ([]byte, error) { return append(dst, 'X'), nil }
func (upper) Decode([]byte, any) error                     { return nil }

// conn is the least that a [Conn] can be.
type conn struct {
	out *Outbox
}

func (*conn) ID() string            { return "c" }
func (*conn) Protocol() Protocol    { return upper{} }
func (*conn) Framing() Framing      { return nil }
func (*conn) Request() *Request     { return &Request{} }
func (c *conn) Outbox() *Outbox     { return c.out }
func (c *conn) Close(*Close, error) {}

// TestHostileEnvelopes gives a node everything that another could say to it, whole, cut and bent, on every channel.
func TestHostileEnvelopes(t *testing.T) {
	t.Parallel()
	h := NewHub("test", &Options{Backplane: NewLocal(), Node: "here", Logger: slog.New(slog.DiscardHandler)})
	c := &conn{out: NewOutbox(1<<20, func() {})}
	link, err := h.Attach(c, &User{ID: "u"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Join(t.Context(), "c", "g"); err != nil {
		t.Fatal(err)
	}
	all := hostile()
	for _, e := range envelopes {
		whole := e.append(nil)
		for n := 1; n <= len(whole); n++ {
			all = append(all, whole[:n])
		}
		for i := range whole {
			bent := bytes.Clone(whole)
			bent[i] ^= 0xff
			all = append(all, bent)
		}
	}
	for _, channel := range []string{"test/all/", "test/node/here", "test/connection/c", "test/connection/other", "test/user/u", "test/group/g", "test/none", "", "/"} {
		for _, data := range all {
			h.remote.receive(channel, data)
		}
	}
	c.out.Discard()
	link.Detach(nil)
	<-link.Done()
	if err := h.Shutdown(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	waiting := func() int {
		h.results.mu.Lock()
		defer h.results.mu.Unlock()
		return len(h.results.waiting)
	}
	for end := time.Now().Add(20 * time.Second); waiting() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d questions wait for a connection that is gone, want 0", waiting())
		}
	}
}
