package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how long a certificate is used before its files are looked at again.
const certificateAge = 10 * time.Second

// certificate is a TLS certificate in two files, which may be replaced while the server runs. A pair that cannot be read
// leaves the old one in use.
type certificate struct {
	certFile, keyFile string
	age               time.Duration
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	changed [2]time.Time // of the files, when pair was read
	looked  time.Time
}

// newCertificate reads the files. It fails if they do not fit each other.
func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, age: certificateAge, log: log, looked: time.Now()}
	changed, err := c.times()
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c.pair, c.changed = &pair, changed
	return c, nil
}

func (c *certificate) times() (t [2]time.Time, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return t, fmt.Errorf("certificate: %w", err)
		}
		t[i] = info.ModTime()
	}
	return t, nil
}

// get is for [tls.Config].GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < c.age {
		return c.pair, nil
	}
	c.looked = time.Now()
	changed, err := c.times()
	if err == nil && changed == c.changed {
		return c.pair, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.pair, c.changed = &pair, changed
			c.log.Info("certificate read again", "file", c.certFile)
		}
	}
	if err != nil {
		c.log.Error("certificate not read again, the old one stays", "error", err)
	}
	return c.pair, nil
}
