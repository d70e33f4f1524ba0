package processtest

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hubbub-go/hubbub/systems/store"
)

// trap is a border at which the process kills itself.
type trap struct {
	// At is a service and a border of it, such as "trading committed".
	At string
	// When is a statement for the database of the service that gives one number: the border is passed while it is 0. "": it is
	// not. {now} in it is the time in milliseconds.
	When string
	// Hold stops whoever comes to the border in place of killing the process, until other traps are set.
	Hold bool
}

// snare has the traps of a process.
type snare struct {
	mu     sync.Mutex
	traps  []trap
	stores map[string]*store.Store
	free   chan struct{} // closed when other traps are set
}

func newSnare(traps []trap) *snare {
	return &snare{traps: traps, stores: make(map[string]*store.Store), free: make(chan struct{})}
}

// set replaces the traps and lets go who is held.
func (s *snare) set(all []trap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traps = all
	close(s.free)
	s.free = make(chan struct{})
}

// release lets go who is held, once and for all: the traps that hold are gone.
func (s *snare) release() {
	s.mu.Lock()
	rest := slices.DeleteFunc(slices.Clone(s.traps), func(t trap) bool { return t.Hold })
	s.mu.Unlock()
	s.set(rest)
}

// know says which database a service has.
func (s *snare) know(service string, db *store.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores[service] = db
}

// border returns the Border of a service.
func (s *snare) border(service string) func(name string) {
	return func(name string) {
		s.mu.Lock()
		for _, t := range s.traps {
			if t.At != service+" "+name || !s.is(service, t.When) {
				continue
			}
			if !t.Hold {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // until it has come
			}
			free := s.free
			s.mu.Unlock()
			<-free
			return
		}
		s.mu.Unlock()
	}
}

// is needs s.mu.
func (s *snare) is(service, when string) bool {
	if when == "" {
		return true
	}
	db := s.stores[service]
	if db == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var n int
	err := db.QueryRow(ctx, strings.ReplaceAll(when, "{now}", strconv.FormatInt(time.Now().UnixMilli(), 10))).Scan(&n)
	return err == nil && n > 0
}
