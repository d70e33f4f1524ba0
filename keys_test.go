package hubbub_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub"
)

func secret(c string) []byte { return []byte(strings.Repeat(c, 32)) }

func TestKeyRing(t *testing.T) {
	t.Parallel()
	old, err := hubbub.NewKeyRing(hubbub.Key{ID: 1, Secret: secret("a")})
	must(t, err)
	rotated, err := hubbub.NewKeyRing(hubbub.Key{ID: 2, Secret: secret("b")}, hubbub.Key{ID: 1, Secret: secret("a")})
	must(t, err)
	id, mac := old.Sign("token", []byte("data"))
	if id != 1 || old.Current() != 1 || rotated.Current() != 2 || len(mac) != 32 {
		t.Errorf("key %d signs with %d bytes, keys %d and %d are current", id, len(mac), old.Current(), rotated.Current())
	}
	tests := []struct {
		name    string
		ring    *hubbub.KeyRing
		id      uint32
		purpose string
		data    string
		mac     []byte
		want    bool
	}{
		{"itself", old, 1, "token", "data", mac, true},
		{"a rotated ring", rotated, 1, "token", "data", mac, true},
		{"another key", rotated, 2, "token", "data", mac, false},
		{"no such key", old, 2, "token", "data", mac, false},
		{"another purpose", old, 1, "tokens", "data", mac, false},
		{"other data", old, 1, "token", "datb", mac, false},
		{"a shorter mac", old, 1, "token", "data", mac[:31], false},
		{"no mac", old, 1, "token", "data", nil, false},
		{"a random ring", hubbub.RandomKeyRing(), 1, "token", "data", mac, false},
	}
	for _, test := range tests {
		if got := test.ring.Verify(test.id, test.purpose, []byte(test.data), test.mac); got != test.want {
			t.Errorf("%s: verified %v, want %v", test.name, got, test.want)
		}
	}
	if _, mac := rotated.Sign("token", []byte("data")); old.Verify(2, "token", []byte("data"), mac) {
		t.Error("a ring verifies what a key signed that it does not have")
	}
}

func TestKeyRingDerive(t *testing.T) {
	t.Parallel()
	r, err := hubbub.NewKeyRing(hubbub.Key{ID: 1, Secret: secret("a")}, hubbub.Key{ID: 2, Secret: secret("b")})
	must(t, err)
	seen := make(map[string]bool)
	for _, id := range []uint32{1, 2} {
		for _, purpose := range []string{"", "jwt", "jwt2"} {
			b, ok := r.Derive(id, purpose)
			if !ok || len(b) != 32 || seen[string(b)] {
				t.Errorf("key %d for %q: %x, %v: want 32 bytes of its own", id, purpose, b, ok)
			}
			seen[string(b)] = true
			if again, _ := r.Derive(id, purpose); !bytes.Equal(b, again) {
				t.Errorf("key %d for %q is not the same twice", id, purpose)
			}
			clear(b)
			if again, _ := r.Derive(id, purpose); !seen[string(again)] {
				t.Error("the ring keeps the bytes that it gives away")
			}
		}
	}
	if b, ok := r.Derive(3, "jwt"); ok || b != nil {
		t.Errorf("derived %x of a key that is not there", b)
	}
}

func TestNewKeyRingRefuses(t *testing.T) {
	t.Parallel()
	for what, keys := range map[string][]hubbub.Key{
		"no key":       nil,
		"short secret": {{ID: 1, Secret: secret("a")[:31]}},
		"id twice":     {{ID: 1, Secret: secret("a")}, {ID: 1, Secret: secret("b")}},
	} {
		if r, err := hubbub.NewKeyRing(keys...); err == nil || r != nil {
			t.Errorf("%s: ring %v, error %v, want an error", what, r, err)
		}
	}
	mine := secret("a")
	r, err := hubbub.NewKeyRing(hubbub.Key{ID: 1, Secret: mine})
	must(t, err)
	_, before := r.Sign("p", nil)
	clear(mine)
	if _, after := r.Sign("p", nil); !bytes.Equal(before, after) {
		t.Error("a change of the caller's secret changes the ring")
	}
}
