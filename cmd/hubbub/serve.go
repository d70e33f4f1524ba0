package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/cmd/hubbub/keyfile"
	"github.com/hubbub-go/hubbub/signalr"
)

// server is a running server.
type server struct {
	config   *Config
	loaded   *loaded
	log      *slog.Logger
	keys     *keyfile.File
	demo     *demoUser
	systems  []*system
	health   *health
	started  time.Time
	url      string
	http     *http.Server
	failed   chan error // the listener broke
	serving  sync.WaitGroup
	listener net.Listener
	told     []string // lines for welcome
	traced   func()   // sends the last spans
}

// newServer opens everything and serves. Close it when done, whether it was drained or not.
func newServer(ctx context.Context, l *loaded, log *slog.Logger) (*server, error) {
	s := &server{config: &l.Config, loaded: l, log: log, started: time.Now(), failed: make(chan error, 1)}
	s.health = &health{checks: map[string]func(context.Context) error{}, degraded: map[string]func() map[string]string{}, draining: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *server) open(ctx context.Context) (err error) {
	if s.traced, err = s.traceSpans(); err != nil {
		return &configError{err}
	}
	if err := s.openKeys(); err != nil {
		return &configError{err}
	}
	// The address is taken first, so that a second start by mistake ends before it opens the state.
	if s.listener, err = net.Listen("tcp", s.config.Listen); err != nil {
		return fail(exitStart, err)
	}
	if s.url, err = s.address(); err != nil {
		return fail(exitStart, err)
	}
	handler, err := s.build(ctx)
	if err != nil {
		return fail(exitStart, err)
	}
	if err := s.listen(handler); err != nil {
		return err
	}
	for _, one := range s.systems {
		if one.start == nil {
			continue
		}
		if err := one.start(); err != nil {
			return fail(exitStart, fmt.Errorf("%s: %w", one.name, err))
		}
	}
	return nil
}

// address returns the URL that the server has on its listener.
func (s *server) address() (string, error) {
	scheme := "http"
	if s.config.TLS.CertFile != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		return "", err
	}
	if asked, _, err := net.SplitHostPort(s.config.Listen); err == nil && asked != "" {
		host = asked
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// openKeys reads the keys or makes some, and refuses to show development keys to other machines.
func (s *server) openKeys() error {
	c, path := s.config, s.config.keyPath()
	f, err := keyfile.Read(path)
	if err != nil && !missing(err) {
		return err
	}
	if !isLoopback(c.Listen) {
		switch {
		case err != nil:
			return fmt.Errorf("there are no keys in %s, and the server makes development keys for itself on loopback only, while %s can be "+
				"reached from other machines: run \"hubbub keys create --data %s\" to make keys for it, or listen on 127.0.0.1", path, c.Listen, c.Data)
		case f.Development:
			return fmt.Errorf("the keys in %s are development keys, and %s can be reached from other machines: "+
				"run \"hubbub keys create --force --data %s\" to make keys for it, or listen on 127.0.0.1", path, c.Listen, c.Data)
		}
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	f, created, err := keyfile.ReadOrCreate(path)
	if err != nil {
		return err
	}
	if created {
		s.log.Info("made development keys", "file", path)
	}
	if f.Development && c.Demo.Enabled && !c.Notify.hasUser(c.Demo.User) {
		if s.demo, err = newDemoUser(c); err != nil {
			return err
		}
	}
	s.keys = f
	return nil
}

// isLoopback reports whether only this machine can reach an address to listen on.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// build mounts the systems and everything around them.
func (s *server) build(ctx context.Context) (http.Handler, error) {
	ring, err := s.keys.Ring()
	if err != nil {
		return nil, err
	}
	foreign, err := s.config.foreign(s.log)
	if err != nil {
		return nil, err
	}
	origin, err := s.origin()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	at := &site{config: s.config, loaded: s.loaded, url: s.url, mux: mux, keys: ring, foreign: foreign, verify: issuer(ring).Verify, origin: origin, demo: s.demo,
		development: s.keys.Development, tell: s.tell, log: s.log}
	if foreign != nil {
		at.verify = auth.Any(at.verify, foreign)
	}
	var paths []string
	for _, mount := range mounts {
		one, err := mount(ctx, at)
		if err != nil {
			return nil, err
		}
		if one == nil {
			continue
		}
		s.systems = append(s.systems, one)
		if one.ready != nil {
			s.health.checks[one.name] = one.ready
		}
		if one.degraded != nil {
			s.health.degraded[one.name] = one.degraded
		}
		paths = append(paths, one.paths...)
	}
	if err := s.describe(); err != nil {
		return nil, err
	}
	cross, err := auth.CORS(auth.CORSOptions{Origins: s.trusted(), Headers: []string{"*"}, Methods: []string{http.MethodHead, http.MethodPut, http.MethodPatch}, Expose: []string{"Location"}})
	if err != nil {
		return nil, err
	}
	outer := http.NewServeMux()
	outer.HandleFunc("GET /health/live", s.health.live)
	outer.HandleFunc("GET /health/ready", s.health.ready)
	outer.Handle("GET /metrics", metricsHandler(s.systems, s.started))
	if s.config.Page {
		s.mapPage(outer)
	}
	inner := signalr.FoldCase(mux, paths...)
	for _, one := range s.systems {
		if one.fold != nil {
			inner = one.fold(inner)
		}
	}
	outer.Handle("/", cross(inner))
	return logRequests(s.log, outer), nil
}

// describe lets the systems that describe all of the server know what the others have.
func (s *server) describe() error {
	for _, by := range s.systems {
		for _, one := range s.systems {
			if by.describe == nil || one.openapi == nil {
				continue
			}
			if err := by.describe(one.openapi); err != nil {
				return fmt.Errorf("describe %s: %w", one.name, err)
			}
		}
	}
	return nil
}

// trusted are the origins whose pages may use the server. In development a page of one's own is served from any port of this
// machine.
func (s *server) trusted() []string {
	if len(s.config.TrustedOrigins) == 0 && s.keys.Development {
		return []string{"http://localhost:*", "http://127.0.0.1:*"}
	}
	return s.config.TrustedOrigins
}

// origin returns whether the page that sent a request may open a WebSocket: one of this server, as the header Host says, or of
// a trusted origin. Browsers let any page try.
func (s *server) origin() (func(*http.Request) bool, error) {
	var own *auth.Origins
	trusted, err := auth.ParseOrigins(s.trusted()...)
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) bool { return own.Allowed(r) || trusted.Allowed(r) }, nil
}

func (s *server) listen(handler http.Handler) error {
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	secure := s.config.TLS.CertFile != ""
	if c := s.config.TLS; secure {
		cert, err := newCertificate(c.CertFile, c.KeyFile, s.log)
		if err != nil {
			return &configError{err}
		}
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get}
	}
	s.serving.Go(func() {
		var err error
		if secure {
			err = s.http.ServeTLS(s.listener, "", "")
		} else {
			err = s.http.Serve(s.listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve %s: %w", s.url, err)
		}
	})
	return nil
}

// tell keeps something for welcome.
func (s *server) tell(title string, pairs ...string) {
	if !slices.Contains(s.told, title+":") {
		s.told = append(s.told, title+":")
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		s.told = append(s.told, fmt.Sprintf("  %-14s %s", pairs[i], pairs[i+1]))
	}
}

// welcome tells a person what to try.
func (s *server) welcome(w io.Writer) {
	for _, one := range s.systems {
		s.log.Info("mounted", "system", one.name, "path", cmp.Or(one.paths[0], "/"))
	}
	if s.demo != nil {
		fmt.Fprintf(w, "\nDevelopment mode: for this machine only.\n  page      %s/\n  user      %s\n  password  %s", s.url, s.demo.Name, s.demo.Password)
		if s.demo.path != "" {
			fmt.Fprintf(w, "   (kept in %s)", s.demo.path)
		}
		fmt.Fprint(w, "\n\n")
	}
	if len(s.told) > 0 {
		fmt.Fprintf(w, "%s\n\n", strings.Join(s.told, "\n"))
	}
}

// drain ends the server in order: not ready, no new connections, every connection asked to come back elsewhere, the rest of
// the requests finished. It returns an error if the time was over first, or killed was closed, and the rest was cut.
func (s *server) drain(killed <-chan struct{}) error {
	close(s.health.draining)
	if s.config.Drain.Delay > 0 {
		t := time.NewTimer(s.config.Drain.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-killed:
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Drain.Timeout)
	defer cancel()
	go func() {
		select {
		case <-killed:
			cancel()
		case <-ctx.Done():
		}
	}()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all error
	for _, one := range s.systems {
		for _, h := range one.hubs {
			wg.Go(func() {
				if err := h.Shutdown(ctx, s.pace(h.Stats().Connections)); err != nil {
					mu.Lock()
					all = errors.Join(all, err)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if err := s.http.Shutdown(ctx); err != nil {
		all = errors.Join(all, fmt.Errorf("requests: %w", err))
		s.http.Close()
	}
	return all
}

// pace is how many of a hub's connections are asked to leave in a second.
func (s *server) pace(connections int) int {
	if n := s.config.Drain.PerSecond; n > 0 {
		return n
	}
	half := (s.config.Drain.Timeout / 2).Seconds()
	return max(100, int(float64(connections)/half)+1)
}

// close releases everything at once. It may be called twice.
func (s *server) close() {
	if s.http != nil {
		s.http.Close()
	} else if s.listener != nil {
		s.listener.Close()
	}
	s.serving.Wait()
	for _, one := range s.systems {
		if err := one.close(); err != nil {
			s.log.Error("close", "system", one.name, "error", err)
		}
	}
	s.systems = nil
	if s.traced != nil {
		s.traced()
		s.traced = nil
	}
}
