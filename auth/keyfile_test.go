package auth_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/auth"
)

func TestJWTKeyFile(t *testing.T) {
	t.Parallel()
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	pkix := func(k any) []byte { return must(x509.MarshalPKIXPublicKey(k)) }
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert := must(x509.CreateCertificate(rand.Reader, template, template, &ec256().PublicKey, ec256()))
	rsaPEM := block("PUBLIC KEY", pkix(&rsaKey().PublicKey))
	private := block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(edKey())))
	tests := []struct {
		name string
		data []byte
		alg  string // "": the file is refused
		key  any
	}{
		{"RSA", rsaPEM, "RS256", rsaKey()},
		{"RSA, PKCS 1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)), "PS256", rsaKey()},
		{"ECDSA", block("PUBLIC KEY", pkix(&ec384().PublicKey)), "ES384", ec384()},
		{"Ed25519", block("PUBLIC KEY", pkix(edKey().Public())), "EdDSA", edKey()},
		{"certificate", block("CERTIFICATE", cert), "ES256", ec256()},
		{"text before", append([]byte("key of the issuer\n"), rsaPEM...), "RS256", rsaKey()},
		{"second of two", append(bytes.Clone(rsaPEM), block("CERTIFICATE", cert)...), "ES256", ec256()},
		{"first of two", append(bytes.Clone(rsaPEM), block("CERTIFICATE", cert)...), "RS256", rsaKey()},
		{"DER", pkix(&rsaKey().PublicKey), "RS256", rsaKey()},
		{"DER certificate", cert, "ES256", ec256()},
		{"JWK set", jwks(edJWK("k", edKey().Public().(ed25519.PublicKey))), "EdDSA", edKey()},
		{"secret", secret, "HS512", secret},
		{"secret with a line end", append(bytes.Clone(secret), '\n'), "HS256", secret},
		{"secret with a line end of Windows", append(bytes.Clone(secret), "\r\n"...), "HS256", secret},
		{"secret of bytes", bytes.Repeat([]byte{0, 255}, 16), "HS256", bytes.Repeat([]byte{0, 255}, 16)},
		{"private key", private, "", nil},
		{"private key beside a public one", append(bytes.Clone(rsaPEM), private...), "", nil},
		{"cut off PEM", rsaPEM[:len(rsaPEM)/2], "", nil},
		{"second PEM cut off", append(bytes.Clone(rsaPEM), rsaPEM[:100]...), "", nil},
		{"PEM of nothing", block("PUBLIC KEY", []byte("x")), "", nil},
		{"PEM of parameters", block("EC PARAMETERS", []byte{6, 1, 1}), "", nil},
		{"65 keys", bytes.Repeat(rsaPEM, 65), "", nil},
		{"JWK set of secrets", jwks(claims{"kty": "oct", "k": b64(secret)}), "", nil},
		{"empty", nil, "", nil},
		{"short secret", []byte("secret\n"), "", nil},
		{"too long", bytes.Repeat([]byte("x"), 1<<20+1), "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(name, tt.data, 0o600); err != nil {
				t.Fatal(err)
			}
			v, err := auth.JWT(auth.JWTOptions{KeyFile: name})
			if tt.alg == "" {
				if err == nil {
					t.Fatal("no error")
				}
				if !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "secret\n") {
					t.Errorf("error %v, want one with the name of the file and without its content", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v(t.Context(), sign(t, tt.alg, tt.key, claims{"kid": kidOf(tt.name)}, with(nil))); err != nil {
				t.Error(err)
			}
			// Whatever the file holds, its text is no secret unless it is meant to be one.
			if tt.alg[:2] != "HS" {
				if _, err := v(t.Context(), sign(t, "HS256", tt.data, nil, with(nil))); err == nil {
					t.Error("the file itself is accepted as a secret")
				}
			}
		})
	}
	if _, err := auth.JWT(auth.JWTOptions{KeyFile: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a file that is not there: no error")
	}
	if _, err := auth.JWT(auth.JWTOptions{KeyFile: t.TempDir()}); err == nil {
		t.Error("a folder: no error")
	}
}

func kidOf(name string) string {
	if name == "JWK set" {
		return "k"
	}
	return "whatever"
}
