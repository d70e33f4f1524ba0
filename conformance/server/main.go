// Command server is the application that the tests with real clients run against: the hubs of Microsoft's functional tests and
// some of our own.
//
//	go run ./conformance/server --url "https://127.0.0.1:0;http://127.0.0.1:0"
//
// It prints "Now listening on: URL" for each address and ends on SIGINT or SIGTERM.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	urls := flag.String("url", "https://127.0.0.1:0;http://127.0.0.1:0", "addresses to listen on, with semicolons between them")
	verbose := flag.Bool("v", false, "log at level debug")
	flag.Parse()
	if *verbose {
		slog.SetLogLoggerLevel(slog.LevelDebug)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, strings.Split(*urls, ";")); err != nil {
		fmt.Fprintln(os.Stderr, "conformance server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, urls []string) error {
	app, err := newApp()
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: app.handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug)}
	failed := make(chan error, len(urls))
	for _, address := range urls {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return fmt.Errorf("address %q: want http://host:port or https://host:port", address)
		}
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			return err
		}
		if u.Scheme == "https" {
			cert, err := selfSigned()
			if err != nil {
				return err
			}
			l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
		}
		go func() { failed <- srv.Serve(l) }()
		fmt.Printf("Now listening on: %s://%s\n", u.Scheme, l.Addr())
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	app.shutdown(ctx)
	return srv.Shutdown(ctx)
}

// selfSigned makes a certificate for this machine that lives as long as the process.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
