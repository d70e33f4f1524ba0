package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certify writes a certificate for 127.0.0.1 with that name into a folder, over what is there.
func certify(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certify(t, t.TempDir(), "first")
	s := start(t, t.TempDir(), []string{"HUBBUB_TLS_CERT_FILE=" + cert, "HUBBUB_TLS_KEY_FILE=" + key})
	if !strings.HasPrefix(s.url, "https://") {
		t.Errorf("listening on %s, want https", s.url)
	}
	s.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	res, _ := s.do(t, "GET", "/health/live", "", "")
	if res.StatusCode != http.StatusOK || res.TLS.PeerCertificates[0].Subject.CommonName != "first" {
		t.Errorf("status %d, certificate of %s; want 200 and first", res.StatusCode, res.TLS.PeerCertificates[0].Subject.CommonName)
	}
	dial(t, s, strings.TrimSpace(must(t, nil, "token", "--data", s.data, "--user", "ann")))
}

// A certificate is taken up when its files have changed; a pair that does not fit leaves the old one.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certify(t, dir, "first")
	c, err := newCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c.age = 0
	changes := time.Now()
	want := func(name string) {
		t.Helper()
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		if leaf, err := x509.ParseCertificate(pair.Certificate[0]); err != nil || leaf.Subject.CommonName != name {
			t.Errorf("certificate of %s (%v), want %s", leaf.Subject.CommonName, err, name)
		}
	}
	touch := func() { // the clock of files may be coarse
		changes = changes.Add(time.Second)
		for _, f := range []string{certFile, keyFile} {
			if err := os.Chtimes(f, changes, changes); err != nil {
				t.Fatal(err)
			}
		}
	}
	want("first")
	certify(t, dir, "second")
	touch()
	want("second")
	if err := os.WriteFile(keyFile, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch()
	want("second")
	certify(t, dir, "third")
	touch()
	want("third")
}
