package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// reloader puts a configuration in force that was changed while the server runs, as far as a system can do that.
type reloader struct {
	load    func() (*loaded, error)
	systems []*system
	log     *slog.Logger
	now     *loaded           // in force
	seen    map[string][]byte // what was in the files
}

func newReloader(l *loaded, load func() (*loaded, error), s *server) *reloader {
	r := &reloader{load: load, systems: s.systems, log: s.log, now: l}
	r.seen = r.read()
	return r
}

// run looks at the files every now and then, and whenever hangup says so, until ctx ends.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) {
	for {
		var due <-chan time.Time
		if every := r.now.Gateway.Watch; every > 0 && len(r.seen) > 0 {
			due = time.After(every)
		}
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.seen = r.read()
			r.reload("signal")
		case <-due:
			if now := r.read(); !sameFiles(now, r.seen) {
				r.seen = now
				r.reload("file")
			}
		}
	}
}

// reload puts what the configuration says now in force, as a whole or not at all.
func (r *reloader) reload(why string) {
	l, err := r.load()
	if err != nil {
		r.log.Error("configuration not read again, the old one stays", "error", err)
		return
	}
	for _, s := range r.systems {
		if s.reload == nil {
			continue
		}
		if err := s.reload(l); err != nil {
			r.log.Error("configuration not in force, the old one stays", "system", s.name, "error", err)
			return
		}
	}
	r.now = l
	for name, text := range r.read() { // perhaps of other files; what was seen was read before the configuration
		if _, known := r.seen[name]; !known {
			r.seen[name] = text
		}
	}
	r.log.Info("configuration read again; what is not about services, hubs and routes of the gateway needs a restart", "because", why)
}

// read returns what is in the files; nothing for one that is not there.
func (r *reloader) read() map[string][]byte {
	all := make(map[string][]byte)
	for _, name := range r.now.gatewayFiles() {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			text = []byte(err.Error())
		}
		all[name] = text
	}
	return all
}

func sameFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, text := range a {
		other, ok := b[name]
		if !ok || !bytes.Equal(text, other) {
			return false
		}
	}
	return true
}
