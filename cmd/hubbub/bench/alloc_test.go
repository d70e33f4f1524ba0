//go:build !race

package bench

// Inside the package, as what must not allocate has no way in from outside.

import "testing"

func TestAllocHotPaths(t *testing.T) {
	tmpl := newTemplate(wireHub, format{framed: true}, "Echo", "", 100, true)
	buf := make([]byte, 0, 1024)
	frame := unmasked(opText, []byte(`{"type":1,"target":"Message","arguments":["`+string(tmpl.frame[tmpl.stamp:tmpl.stamp+100])+`"]}`+"\x1e"))
	var s splitter
	n := testing.AllocsPerRun(1000, func() {
		buf = tmpl.appendTo(buf[:0], 1, 2, 3)
		_, _ = s.next(frame, func(r []byte) { stamp(r) }, func(byte, []byte) {})
	})
	if n != 0 {
		t.Errorf("a frame sent and one received cost %v allocations, want none", n)
	}
}
