package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"slices"
)

// Limits of RFC 7518, sections 3.2 and 3.3, and a bound on the work that one verification may cost.
const (
	minSecret  = 32
	minRSABits = 2048
	maxRSABits = 8192
)

// algorithms are the signatures this package knows. "none" is not among them.
var algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// publicKeyAlgorithms are those of fetched keys, which are no secrets.
var publicKeyAlgorithms = algorithms[3:]

// key is a verification key, with the algorithms it is good for: a public key never verifies an HMAC, whatever the token says.
type key struct {
	id   string // "" matches every key id
	algs []string
	key  any // as golang-jwt wants it
}

func newKey(id string, k any) (key, error) {
	algs, err := algorithmsOf(k)
	if secret, ok := k.([]byte); ok {
		k = bytes.Clone(secret)
	}
	return key{id: id, algs: algs, key: k}, err
}

// algorithmsOf returns what a key of that type and size can verify.
func algorithmsOf(k any) ([]string, error) {
	switch k := k.(type) {
	case []byte:
		return secretAlgorithms(k)
	case *rsa.PublicKey:
		if k == nil || k.N == nil {
			return nil, fmt.Errorf("RSA key is nil")
		}
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("RSA key has %d bits, want %d to %d", bits, minRSABits, maxRSABits)
		}
		if k.E < 3 || k.E%2 == 0 {
			return nil, fmt.Errorf("RSA key has the exponent %d, want an odd one of at least 3", k.E)
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		if k == nil {
			return nil, fmt.Errorf("ECDSA key is nil")
		}
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
		return nil, fmt.Errorf("ECDSA key is on another curve, want P-256, P-384 or P-521")
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("Ed25519 key has %d bytes, want %d", len(k), ed25519.PublicKeySize)
		}
		return []string{"EdDSA"}, nil
	}
	return nil, fmt.Errorf("key is a %T, want []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey", k)
}

func secretAlgorithms(secret []byte) ([]string, error) {
	if bytes.Contains(secret, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("secret is a PEM text: what everybody may read is no secret, parse it and give the public key")
	}
	var algs []string
	for i, size := range []int{minSecret, 48, 64} {
		if len(secret) >= size {
			algs = append(algs, algorithms[i])
		}
	}
	if algs == nil {
		return nil, fmt.Errorf("secret has %d bytes, want at least %d", len(secret), minSecret)
	}
	return algs, nil
}

// keySet is an immutable set of keys.
type keySet struct {
	keys []key
}

// candidates returns the keys that may have made a signature with that key id and algorithm. Without an id in the token
// every key of the kind is one.
func (s *keySet) candidates(id, alg string) []key {
	var found []key
	for _, k := range s.keys {
		if (id == "" || k.id == "" || k.id == id) && slices.Contains(k.algs, alg) {
			found = append(found, k)
		}
	}
	return found
}

// verifies reports whether one of the keys is good for one of the algorithms.
func (s *keySet) verifies(algs []string) bool {
	return slices.ContainsFunc(algs, func(alg string) bool { return len(s.candidates("", alg)) > 0 })
}
