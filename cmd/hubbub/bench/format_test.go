package bench

import (
	"bytes"
	"fmt"
	"testing"
)

// TestPackedSplit cuts two messages of MessagePack, behind a handshake, into frames at every place.
func TestPackedSplit(t *testing.T) {
	t.Parallel()
	f := format{framed: true, packed: true}
	messages := append(f.invocation("", "Item", 300), f.invocation("00000007", "Echo", string(bytes.Repeat([]byte("x"), 200)))...)
	for cut := range len(messages) {
		var s splitter
		stream := append(unmasked(opText, []byte("{}\x1e")), append(unmasked(opBinary, messages[:cut]), unmasked(opBinary, messages[cut:])...)...)
		var got [][]byte
		used, err := s.next(stream, func(r []byte) {
			got = append(got, bytes.Clone(r))
			s.packed = true
		}, nil)
		if err != nil || used != len(stream) || len(got) != 3 {
			t.Fatalf("cut at %d: %d records of %d of %d bytes, %v, want 3 of all", cut, len(got), used, len(stream), err)
		}
		if n, ok := f.item(got[1]); string(got[0]) != "{}" || !ok || n != 300 || f.kind(got[2]) != 1 {
			t.Fatalf("cut at %d: %q, item %d %v, kind %d", cut, got[0], n, ok, f.kind(got[2]))
		}
	}
}

func TestFormatAnswers(t *testing.T) {
	t.Parallel()
	packed, text := format{packed: true}, format{}
	for _, x := range []struct {
		f      format
		record string
		kind   int
		failed bool
	}{
		{text, `{"type":3,"invocationId":"1","result":1}`, 3, false},
		{text, `{"type":3,"invocationId":"1","error":"no"}`, 3, true},
		{text, `{"type":7}`, 7, false},
		{packed, "\x95\x03\x80\xa11\x03\x01", 3, false},
		{packed, "\x94\x03\x80\xa11\x02", 3, false},
		{packed, "\x95\x03\x80\xa11\x01\xa2no", 3, true},
		{packed, "\x95\x03\x80", 3, true}, // cut short
	} {
		if kind := x.f.kind([]byte(x.record)); kind != x.kind || kind == 3 && x.f.failed([]byte(x.record)) != x.failed {
			t.Errorf("%q: kind %d, want %d, failed %v", x.record, kind, x.kind, x.failed)
		}
	}
}

func FuzzLength(f *testing.F) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, largestFrame} {
		f.Add(appendLength(nil, n))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, p []byte) {
		n, used, err := readLength(p)
		if used > len(p) || n < 0 || n > largestFrame || err != nil && used != 0 {
			t.Fatal(fmt.Sprint(n, used, err))
		}
		if again, _, err := readLength(appendLength(nil, n)); used > 0 && (err != nil || again != n) {
			t.Fatalf("%d is written and read as %d, %v", n, again, err)
		}
	})
}
