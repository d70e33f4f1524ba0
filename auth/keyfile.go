package auth

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxDocument bounds key files, key sets and discovery documents.
const maxDocument = 1 << 20

// readKeyFile reads the keys of a file: PEM blocks of public keys and certificates, one of them in DER, a JWK set, or else a
// secret. What looks like a public key is never taken for a secret, for then everybody could sign with it.
func readKeyFile(name string) (*keySet, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("key file %s has more than %d bytes", name, maxDocument)
	}
	set, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", name, err)
	}
	return set, nil
}

func parseKeys(data []byte) (*keySet, error) {
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return parsePEM(data)
	}
	if k, err := parseDER(data); err == nil {
		one, err := newKey("", k)
		return &keySet{keys: []key{one}}, err
	}
	if t := bytes.TrimSpace(data); len(t) > 0 && t[0] == '{' && json.Valid(t) {
		return parseJWKS(t)
	}
	one, err := newKey("", bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")))
	return &keySet{keys: []key{one}}, err
}

func parsePEM(data []byte) (*keySet, error) {
	var set keySet
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return nil, fmt.Errorf("PEM block %d is a private key, want the public one", len(set.keys)+1)
		}
		k, err := parseDER(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d (%s) is neither a public key nor a certificate", len(set.keys)+1, block.Type)
		}
		one, err := newKey("", k)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", len(set.keys)+1, err)
		}
		set.keys = append(set.keys, one)
	}
	switch {
	case len(set.keys) == 0 || bytes.Contains(data, []byte("-----BEGIN")):
		return nil, fmt.Errorf("PEM block %d is malformed", len(set.keys)+1)
	case len(set.keys) > maxKeys:
		return nil, fmt.Errorf("%d keys, want at most %d", len(set.keys), maxKeys)
	}
	return &set, nil
}

func parseDER(der []byte) (any, error) {
	if c, err := x509.ParseCertificate(der); err == nil {
		return c.PublicKey, nil
	}
	if k, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return k, nil
	}
	return x509.ParsePKIXPublicKey(der)
}
