package bench

// Inside the package: what is parsed from a server's bytes, and what must not allocate, has no way in from outside.

import (
	"bytes"
	"slices"
	"testing"
)

func TestLedger(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		seen []uint32
		sent uint32
		want Counts
	}{
		{"all", []uint32{0, 1, 2}, 3, Counts{}},
		{"one missing", []uint32{0, 2}, 3, Counts{Lost: 1}},
		{"late", []uint32{0, 2, 1}, 3, Counts{OutOfOrder: 1}},
		{"twice", []uint32{0, 1, 1}, 2, Counts{Doubled: 1}},
		{"late and twice", []uint32{0, 2, 1, 1}, 3, Counts{OutOfOrder: 1, Doubled: 1}},
		{"the end is missing", []uint32{0}, 3, Counts{Unfinished: 2}},
		{"nothing", nil, 3, Counts{Unfinished: 3}},
		{"begins later", []uint32{5, 6}, 7, Counts{}},
		{"more missing than are remembered", []uint32{0, 200_000}, 200_001, Counts{Lost: 199_999}},
	}
	for _, tt := range tests {
		var l ledger
		var c Counts
		for _, n := range tt.seen {
			l.see(n, &c)
		}
		l.close(tt.sent, &c)
		if c != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, c, tt.want)
		}
	}
}

func TestTemplateRoundTrip(t *testing.T) {
	t.Parallel()
	for _, wire := range []Wire{wireHub, wireEcho, wireRaw} {
		for _, size := range []int{stampSize, 100, 70_000} {
			f := newTemplate(wire, (&Job{Target: Target{Wire: wire}}).format(), "A\"B", "group", size, true).appendTo(nil, 3, 9, 12345)
			sender, seq, due, ok := stamp(f)
			if !ok || sender != 3 || seq != 9 || due != 12345 || f[len(f)-1] != recordEnd {
				t.Errorf("%s of %d bytes: stamp %d %d %d %v in %q", wire, size, sender, seq, due, ok, f[:80])
			}
		}
	}
}

// unmasked is a frame of a server.
func unmasked(op byte, payload []byte) []byte {
	f := appendMasked(nil, op, payload)
	f[1] &= 0x7f
	n := len(f) - len(payload)
	return append(f[:n-4], payload...)
}

func TestSplitter(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("y"), 70_000)
	stream := slices.Concat(unmasked(opText, []byte("a\x1eb\x1e")), unmasked(opPing, []byte("p")),
		unmasked(opText, []byte("c")), unmasked(0, []byte("d\x1ee")), unmasked(0, []byte("\x1e")), unmasked(opText, append(slices.Clone(long), recordEnd)))
	for _, step := range []int{1, 2, 7, len(stream)} {
		var s splitter
		var got []string
		var have []byte
		pings := 0
		for i := 0; i < len(stream); i += step {
			have = append(have, stream[i:min(i+step, len(stream))]...)
			used, err := s.next(have, func(r []byte) { got = append(got, string(r)) }, func(byte, []byte) { pings++ })
			if err != nil {
				t.Fatal(err)
			}
			have = have[used:]
		}
		if want := []string{"a", "b", "cd", "e", string(long)}; !slices.Equal(got, want) || pings != 1 {
			t.Errorf("by %d: %d records and %d pings, want %d and 1", step, len(got), pings, len(want))
		}
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add(unmasked(opText, []byte("a\x1eb")))
	f.Add([]byte{0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Add([]byte{0x88, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		var s splitter
		used, _ := s.next(p, func(r []byte) { stamp(r) }, func(byte, []byte) {})
		if used < 0 || used > len(p) {
			t.Errorf("used %d of %d bytes", used, len(p))
		}
	})
}

func BenchmarkReceive(b *testing.B) {
	text := make([]byte, 100)
	putStamp(text, 0, 1, 2)
	for i := stampSize; i < len(text); i++ {
		text[i] = 'x'
	}
	frame := unmasked(opText, slices.Concat([]byte(`{"type":1,"target":"Message","arguments":["`), text, []byte("\"]}\x1e")))
	l := &load{board: newBoard()}
	c := &conn{shard: &l.board.shards[0]}
	var s splitter
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.next(frame, func(r []byte) { l.record(c, r, 3) }, func(byte, []byte) {})
	}
}
