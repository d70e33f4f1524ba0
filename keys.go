package hubbub

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// Key is one secret of a [KeyRing] with the id by which tokens name it.
type Key struct {
	ID     uint32 // by which tokens name the key; must differ from that of the others
	Secret []byte // at least 32 bytes, which nobody can guess
}

// KeyRing signs what the server hands out and must recognise later, such as connection tokens. The first key signs, all
// verify, so a key is rotated by putting a new one in front. Nodes that share a ring accept each other's tokens. A KeyRing is
// immutable and safe for concurrent use.
type KeyRing struct {
	keys []Key
}

// NewKeyRing returns a ring of the keys. It fails without a key, on a secret shorter than 32 bytes and on an id that comes twice.
func NewKeyRing(keys ...Key) (*KeyRing, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("hubbub: key ring: no key, want at least one")
	}
	seen := make(map[uint32]bool, len(keys))
	for _, k := range keys {
		if len(k.Secret) < 32 {
			return nil, fmt.Errorf("hubbub: key ring: secret of key %d has %d bytes, want at least 32", k.ID, len(k.Secret))
		}
		if seen[k.ID] {
			return nil, fmt.Errorf("hubbub: key ring: key id %d comes twice", k.ID)
		}
		seen[k.ID] = true
	}
	r := &KeyRing{}
	for _, k := range keys {
		r.keys = append(r.keys, Key{ID: k.ID, Secret: bytes.Clone(k.Secret)})
	}
	return r, nil
}

// RandomKeyRing returns a ring of one new random key: what it signs is worth nothing to another process or after a restart.
func RandomKeyRing() *KeyRing {
	secret := make([]byte, 32)
	rand.Read(secret)
	return &KeyRing{keys: []Key{{ID: 1, Secret: secret}}}
}

// Sign returns the id of the signing key and the HMAC-SHA256 of purpose and data under it. The purpose keeps tokens of one
// kind from being taken for another.
func (r *KeyRing) Sign(purpose string, data []byte) (id uint32, mac []byte) {
	k := r.keys[0]
	return k.ID, sum(k.Secret, purpose, data)
}

// Verify reports whether mac is the HMAC-SHA256 of purpose and data under the key with that id. It takes the same time
// whatever differs.
func (r *KeyRing) Verify(id uint32, purpose string, data, mac []byte) bool {
	for _, k := range r.keys {
		if k.ID == id {
			return hmac.Equal(mac, sum(k.Secret, purpose, data))
		}
	}
	return false
}

// Current returns the id of the key that signs.
func (r *KeyRing) Current() uint32 { return r.keys[0].ID }

// Derive returns 32 bytes that follow from the key with that id and the purpose (HKDF-SHA256, RFC 5869), and whether the ring
// has that key. It is for signatures in a format of their own, such as JSON Web Tokens: what is signed with a derived key says
// nothing about the key itself, nor about anything else that is signed with it. The caller owns the bytes.
func (r *KeyRing) Derive(id uint32, purpose string) ([]byte, bool) {
	for _, k := range r.keys {
		if k.ID == id {
			derived, err := hkdf.Key(sha256.New, k.Secret, nil, purpose, sha256.Size)
			return derived, err == nil
		}
	}
	return nil, false
}

func sum(secret []byte, purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write(data)
	return h.Sum(nil)
}
