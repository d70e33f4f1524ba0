package signalr

import (
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
)

type chatMessage struct {
	User string
	Text string
	Sent time.Time
	Tags []string
}

var (
	chat     = chatMessage{"ann", "hello, world", time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC), []string{"a", "b"}}
	chatCall = &hubbub.Invocation{ID: "17", Target: "SendMessage", Args: hubbub.ArgsOf("ann", "hello, world", 42)}
)

// encoded returns a message as bytes, and a record to parse.
func encoded(tb testing.TB, p protocol, m hubbub.Message) (all, record []byte) {
	tb.Helper()
	all, err := p.Append(nil, m)
	if err != nil {
		tb.Fatal(err)
	}
	record, _, err = p.next(all, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return all, record
}

func benchmarkParse(b *testing.B, p protocol, m hubbub.Message) {
	all, _ := encoded(b, p, m)
	b.SetBytes(int64(len(all)))
	b.ReportAllocs()
	for b.Loop() {
		record, _, err := p.next(all, 32768)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.parse(record); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkAppend(b *testing.B, p protocol, m hubbub.Message) {
	all, _ := encoded(b, p, m)
	b.SetBytes(int64(len(all)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Append(all[:0], m); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkDecode(b *testing.B, p protocol) {
	_, record := encoded(b, p, &hubbub.StreamItem{InvocationID: "1", Item: hubbub.ValueOf(chat)})
	m, err := p.parse(record)
	if err != nil {
		b.Fatal(err)
	}
	item := m.(*hubbub.StreamItem).Item
	b.ReportAllocs()
	for b.Loop() {
		var got chatMessage
		if err := item.Decode(&got); err != nil {
			b.Fatal(err)
		}
	}
}

var chatItem = &hubbub.StreamItem{InvocationID: "1", Item: hubbub.ValueOf(chat)}

func BenchmarkParseJSON(b *testing.B)         { benchmarkParse(b, newJSON(hubbub.CamelCase), chatCall) }
func BenchmarkParseMessagePack(b *testing.B)  { benchmarkParse(b, newMessagePack(), chatCall) }
func BenchmarkAppendJSON(b *testing.B)        { benchmarkAppend(b, newJSON(hubbub.CamelCase), chatCall) }
func BenchmarkAppendMessagePack(b *testing.B) { benchmarkAppend(b, newMessagePack(), chatCall) }
func BenchmarkAppendJSONStruct(b *testing.B)  { benchmarkAppend(b, newJSON(hubbub.CamelCase), chatItem) }
func BenchmarkAppendPackStruct(b *testing.B)  { benchmarkAppend(b, newMessagePack(), chatItem) }
func BenchmarkDecodeJSONStruct(b *testing.B)  { benchmarkDecode(b, newJSON(hubbub.CamelCase)) }
func BenchmarkDecodePackStruct(b *testing.B)  { benchmarkDecode(b, newMessagePack()) }
func BenchmarkParseHandshake(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseHandshake([]byte(`{"protocol":"json","version":1}`)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations holds the hot paths to what they need: a message and its strings on the way in, nothing on the way out.
func TestAllocations(t *testing.T) {
	for _, p := range []protocol{newJSON(hubbub.CamelCase), newMessagePack()} {
		_, call := encoded(t, p, chatCall)
		_, completion := encoded(t, p, &hubbub.Completion{InvocationID: "17", HasResult: true, Result: hubbub.ValueOf(42)})
		_, ping := encoded(t, p, hubbub.Ping{})
		m, err := p.parse(call)
		if err != nil {
			t.Fatal(err)
		}
		args := m.(*hubbub.Invocation).Args
		var text string
		var n int
		dst := make([]byte, 0, 1024)
		for _, c := range []struct {
			name string
			max  float64
			run  func() error
		}{
			{"parse a call: message, id, target", 3, func() error { _, err := p.parse(call); return err }},
			{"parse a completion: message, id", 2, func() error { _, err := p.parse(completion); return err }},
			{"parse a ping", 0, func() error { _, err := p.parse(ping); return err }},
			{"append a call", 0, func() error { _, err := p.Append(dst, chatCall); return err }},
			{"append what was parsed", 0, func() error { _, err := p.Append(dst, m); return err }},
			{"append a struct", 0, func() error { _, err := p.Append(dst, chatItem); return err }},
			{"decode a string", 1, func() error { return args.Decode(0, &text) }},
			{"decode an int", 0, func() error { return args.Decode(2, &n) }},
		} {
			var failed error
			got := testing.AllocsPerRun(100, func() {
				if err := c.run(); err != nil {
					failed = err
				}
			})
			if failed != nil || got > c.max {
				t.Errorf("%s: %s: %v allocations, %v, want at most %v", p.Name(), c.name, got, failed, c.max)
			}
		}
	}
}
