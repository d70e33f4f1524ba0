package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
)

// maxKeys bounds a key set, and with it the signatures that are computed for one token without a key id.
const maxKeys = 64

// jwk is a JSON Web Key (RFC 7517) as far as it concerns public keys for signatures.
type jwk struct {
	Kty string   `json:"kty"`
	Use string   `json:"use"`
	Ops []string `json:"key_ops"`
	Alg string   `json:"alg"`
	Kid string   `json:"kid"`
	Crv string   `json:"crv"`
	N   string   `json:"n"`
	E   string   `json:"e"`
	X   string   `json:"x"`
	Y   string   `json:"y"`
}

// parseJWKS reads a JWK set. Keys that are for something else, of an unknown kind, or malformed are passed over (RFC 7517,
// section 5), symmetric ones too: a secret does not belong there. A set without any usable key is an error.
func parseJWKS(data []byte) (*keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("key set has %d keys, want at most %d", len(doc.Keys), maxKeys)
	}
	var set keySet
	var last error
	for _, raw := range doc.Keys {
		var j jwk
		err := json.Unmarshal(raw, &j)
		if err == nil {
			var k key
			if k, err = j.key(); err == nil {
				set.keys = append(set.keys, k)
				continue
			}
		}
		last = err
	}
	if len(set.keys) == 0 {
		if last != nil {
			return nil, fmt.Errorf("key set of %d keys has none to verify signatures with: %w", len(doc.Keys), last)
		}
		return nil, fmt.Errorf("key set is empty")
	}
	return &set, nil
}

func (j *jwk) key() (key, error) {
	if j.Use != "" && j.Use != "sig" {
		return key{}, fmt.Errorf("key %s is for the use %s", quote(j.Kid), quote(j.Use))
	}
	if len(j.Ops) > 0 && !slices.Contains(j.Ops, "verify") {
		return key{}, fmt.Errorf("key %s is not for the operation verify", quote(j.Kid))
	}
	public, err := j.public()
	if err != nil {
		return key{}, fmt.Errorf("key %s: %w", quote(j.Kid), err)
	}
	k, err := newKey(j.Kid, public)
	if err != nil {
		return key{}, fmt.Errorf("key %s: %w", quote(j.Kid), err)
	}
	if j.Alg != "" {
		if !slices.Contains(k.algs, j.Alg) {
			return key{}, fmt.Errorf("key %s of type %s says the algorithm %s", quote(j.Kid), j.Kty, quote(j.Alg))
		}
		k.algs = []string{j.Alg}
	}
	return k, nil
}

func (j *jwk) public() (any, error) {
	switch j.Kty {
	case "RSA":
		n, err := number("n", j.N, maxRSABits/8+1)
		if err != nil {
			return nil, err
		}
		e, err := number("e", j.E, 4)
		if err != nil {
			return nil, err
		}
		exponent := new(big.Int).SetBytes(e).Int64()
		if exponent > 1<<31-1 {
			return nil, fmt.Errorf("e is %d, want at most 2147483647", exponent)
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, nil
	case "EC":
		return j.curvePoint()
	case "OKP":
		if j.Crv != "Ed25519" {
			return nil, fmt.Errorf("curve is %s, want Ed25519", quote(j.Crv))
		}
		x, err := number("x", j.X, ed25519.PublicKeySize)
		return ed25519.PublicKey(x), err
	}
	return nil, fmt.Errorf("key type is %s, want RSA, EC or OKP", quote(j.Kty))
}

func (j *jwk) curvePoint() (any, error) {
	var curve elliptic.Curve
	switch j.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, fmt.Errorf("curve is %s, want P-256, P-384 or P-521", quote(j.Crv))
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err := number("x", j.X, size)
	if err != nil {
		return nil, err
	}
	y, err := number("y", j.Y, size)
	if err != nil {
		return nil, err
	}
	if len(x) != size || len(y) != size {
		return nil, fmt.Errorf("x and y have %d and %d bytes, want %d each", len(x), len(y), size)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, bytes.Join([][]byte{{4}, x, y}, nil))
}

// number decodes a member of a key, of at most that many bytes.
func number(name, text string, limit int) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) == 0 || len(b) > limit {
		return nil, fmt.Errorf("%s has %d bytes, want 1 to %d", name, len(b), limit)
	}
	return b, nil
}

// quote makes text of strangers fit for an error: quoted, and not too long.
func quote(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%q…", s[:40])
	}
	return fmt.Sprintf("%q", s)
}
