package classic

import (
	"testing"
	"time"
)

// TestKeepAliveDue: the clock looks once a second, so a client must hear from it in the last second before the time is over; a
// second later a client of a short keep-alive would call the connection slow.
func TestKeepAliveDue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		every, silence time.Duration
		due            bool
	}{
		{2 * time.Second, 900 * time.Millisecond, false},
		{2 * time.Second, 1100 * time.Millisecond, true}, // the next look would be after 2.1 s
		{2 * time.Second, 1999 * time.Millisecond, true},
		{2 * time.Second, 2 * time.Second, true},
		{10 * time.Second, 8900 * time.Millisecond, false},
		{10 * time.Second, 9100 * time.Millisecond, true},
		{-1, time.Hour, false},
	}
	for _, test := range tests {
		o := (&Options{KeepAlive: test.every}).withDefaults()
		if test.every == 2*time.Second {
			o = (&Options{KeepAlive: test.every, DisconnectTimeout: 6 * time.Second}).withDefaults()
		}
		if due := o.keepAliveDue(test.silence); due != test.due {
			t.Errorf("keep-alive of %v after %v: due %v, want %v", test.every, test.silence, due, test.due)
		}
	}
}
