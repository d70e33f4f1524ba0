package processtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/economy/inventory"
	"github.com/hubbub-go/hubbub/systems/economy/trading"
	"github.com/hubbub-go/hubbub/systems/store"
)

// services are all of Play Economy, in the order in which they are opened.
var services = []string{"identity", "catalog", "inventory", "trading"}

// settings are what a process needs to know.
type settings struct {
	Services []string
	// Database of the services: each has its own, by its name.
	Database store.Config
	Bus      bus.Config
	// Issuer is the address of the identity service.
	Issuer string
	// Deadline of a purchase; Resend is how long a command waits for its answer before it is sent again.
	Deadline, Resend time.Duration
	// Gil that a new player has.
	Gil contracts.Gil
	// Traps that are set from the start.
	Traps []trap
	// Port and Dir of a NATS server.
	Port int
	Dir  string
	// Log says that the process writes what goes wrong to its standard error.
	Log bool
}

func keys() *hubbub.KeyRing {
	k, err := hubbub.NewKeyRing(hubbub.Key{ID: 1, Secret: []byte(strings.Repeat("secret", 8))})
	if err != nil {
		panic(err)
	}
	return k
}

func issuer(audience string) *auth.Issuer {
	return &auth.Issuer{Keys: keys(), Issuer: "test", Audience: audience}
}

// play is the whole life of a process: it says "ready" and ends with its input.
func play(role, text string) error {
	var c settings
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	if role == "nats" {
		return playNATS(c)
	}
	return playServices(c)
}

func playNATS(c settings) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: c.Port, JetStream: true, StoreDir: c.Dir, NoSigs: true, NoLog: true})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return fmt.Errorf("not ready in %s", patience)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// house is a process with services.
type house struct {
	settings
	log   *slog.Logger
	snare *snare
	bus   *bus.Bus
	mux   *http.ServeMux
	boxes []*box.Box
	close []func()
}

func playServices(c settings) error {
	h := &house{settings: c, log: slog.New(slog.DiscardHandler), snare: newSnare(c.Traps), mux: http.NewServeMux()}
	if c.Log {
		h.log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", c.Services)
	}
	slog.SetDefault(h.log)
	ctx := context.Background()
	c.Bus.Logger = h.log
	var err error
	if h.bus, err = bus.Open(ctx, c.Bus, contracts.Queues()...); err != nil {
		return err
	}
	defer h.bus.Close()
	defer func() {
		for _, f := range slices.Backward(h.close) {
			f()
		}
	}()
	for _, name := range services {
		if slices.Contains(c.Services, name) {
			if err := h.open(ctx, name); err != nil {
				return err
			}
		}
	}
	h.mux.HandleFunc("POST /traps", h.setTraps)
	h.mux.HandleFunc("POST /release", func(http.ResponseWriter, *http.Request) { h.snare.release() })
	h.mux.HandleFunc("GET /calm", h.getCalm)
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h.mux, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug)}
	go s.Serve(l)
	h.close = append(h.close, func() { s.Close() })
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	h.snare.set(nil)
	return nil
}

func (h *house) open(ctx context.Context, name string) error {
	database := h.Database
	database.Name, database.Logger = name, h.log
	bc := box.Config{Border: h.snare.border(name), Pauses: []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second}, Logger: h.log}
	var b *box.Box
	switch name {
	case "identity":
		s, err := identity.Open(ctx, identity.Config{
			Database: database, Bus: h.bus, Issuer: h.Issuer, AdminPassword: "the administrator's password", PasswordCost: bcrypt.MinCost,
			StartingGil: h.Gil, Box: bc, Logger: h.log,
		})
		if err != nil {
			return err
		}
		h.close = append(h.close, func() { s.Close() })
		if err := s.Mount(h.mux); err != nil {
			return err
		}
		b = s.Box()
	case "catalog":
		s, err := catalog.Open(ctx, catalog.Config{
			Database: database, Bus: h.bus, Verify: issuer(catalog.Audience).Verify, PathBase: "/catalog-svc", Box: bc, Logger: h.log,
		})
		if err != nil {
			return err
		}
		h.close = append(h.close, func() { s.Close() })
		s.Mount(h.mux)
		b = s.Box()
	case "inventory":
		s, err := inventory.Open(ctx, inventory.Config{
			Database: database, Bus: h.bus, Verify: issuer(inventory.Audience).Verify, PathBase: "/inventory-svc", Box: bc, Logger: h.log,
		})
		if err != nil {
			return err
		}
		h.close = append(h.close, func() { s.Close() })
		s.Mount(h.mux)
		b = s.Box()
	case "trading":
		s, err := trading.Open(ctx, trading.Config{
			Database: database, Bus: h.bus, Verify: issuer(trading.Audience).Verify, PathBase: "/trading-svc", Box: bc, Border: bc.Border,
			Deadline: h.Deadline, Resend: h.Resend, Logger: h.log,
		})
		if err != nil {
			return err
		}
		h.close = append(h.close, func() { s.Close() }, func() { s.Hub().Shutdown(ctx, 0) })
		s.Mount(h.mux, nil)
		b = s.Box()
	}
	h.boxes = append(h.boxes, b)
	h.snare.know(name, b.Store())
	return nil
}

func (h *house) setTraps(w http.ResponseWriter, r *http.Request) {
	var all []trap
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.snare.set(all)
}

// calm is what a process has still to do.
type calm struct {
	// Outbox messages of its services; Queues has those on the bus, of all services, where there are any.
	Outbox int
	Queues []string
	Dead   []string
}

func (h *house) getCalm(w http.ResponseWriter, r *http.Request) {
	c, err := h.calm(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	json.NewEncoder(w).Encode(c)
}

func (h *house) calm(ctx context.Context) (c calm, err error) {
	for _, b := range h.boxes {
		n, err := b.Waiting(ctx)
		if err != nil {
			return c, err
		}
		c.Outbox += n
	}
	all, err := h.bus.Queues(ctx)
	if err != nil {
		return c, err
	}
	for _, q := range all {
		if q.Waiting+q.Running > 0 {
			c.Queues = append(c.Queues, fmt.Sprintf("%s: %d waiting, %d running", q.Name, q.Waiting, q.Running))
		}
	}
	dead, err := h.bus.DeadLetters(ctx, 0, 10)
	for _, l := range dead {
		c.Dead = append(c.Dead, fmt.Sprintf("%s %s of queue %s after %d attempts: %s", l.Topic, l.Body, l.Queue, l.Attempts, l.Reason))
	}
	return c, err
}
