package ws

import "testing"

// TestLargeBuffersAreNotKept looks inside, as the pool is not visible from anywhere else.
func TestLargeBuffersAreNotKept(t *testing.T) {
	for _, size := range []int{keepBytes + 1, 1 << 20} {
		w := borrow()
		w.b = make([]byte, 0, size)
		w.free()
		for range 10 {
			if got := cap(borrow().b); got > keepBytes {
				t.Errorf("a buffer of %d bytes came out of the pool, want at most %d", got, keepBytes)
			}
		}
	}
}
