package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/signalr"
)

// system is one of the systems as the binary sees it. To mount another one, write its function beside mountNotify and add it
// to mounts.
type system struct {
	name       string // as in the configuration
	title      string // for people
	paths      []string
	hubs       []*hubbub.Hub
	addresses  []string                        // of each hub, for people; nil: those of paths
	fold       func(http.Handler) http.Handler // finds what paths do not say without regard to case; may be nil
	collectors []prometheus.Collector
	ready      func(context.Context) error // nil: always
	degraded   func() map[string]string    // what is away without which the rest goes on; nil: nothing ever
	start      func() error                // runs when the server listens; nil: nothing to do
	reload     func(*loaded) error         // puts another configuration in force; nil: that needs a restart
	openapi    []byte                      // describes what a system has beside its hubs; nil: nothing
	describe   func([]byte) error          // takes what others have into the description of all; nil: there is none
	figures    func() []figure             // for the page; nil: none
	portal     string                      // the path of its own pages; "": none
	close      func() error
}

// mounts are all systems, in the order in which they start. Each returns nil if it is turned off.
var mounts = []func(context.Context, *site) (*system, error){mountNotify, mountCatalog, mountGateway, mountRelay, mountEconomy}

// site is what a system stands on.
type site struct {
	config  *Config
	loaded  *loaded // the same, and where it is from
	url     string  // of this server
	mux     signalr.Mux
	keys    *hubbub.KeyRing
	verify  auth.Verifier            // of every token that the server takes
	foreign auth.Verifier            // of the tokens of others, nil if there are none to accept
	origin  func(*http.Request) bool // may this page open a WebSocket
	demo    *demoUser                // nil if there is none
	// development is true with keys that the server made for itself: nobody else can reach it.
	development bool
	// tell shows a person something once, when the server has started: names and values in turn.
	tell func(title string, pairs ...string)
	log  *slog.Logger
}

// hubOptions returns the options that the configuration gives to every hub.
func (s *site) hubOptions(log *slog.Logger) hubbub.Options {
	c := s.config.Hub
	return hubbub.Options{
		EnableDetailedErrors:                c.DetailedErrors,
		KeepAliveInterval:                   c.KeepAliveInterval,
		ClientTimeoutInterval:               c.ClientTimeoutInterval,
		HandshakeTimeout:                    c.HandshakeTimeout,
		MaximumReceiveMessageSize:           c.MaximumReceiveMessageSize,
		MaximumParallelInvocationsPerClient: c.MaximumParallelInvocations,
		MaximumQueuedBytes:                  c.MaximumQueuedBytes,
		StatefulReconnectBufferSize:         c.StatefulReconnectBufferSize,
		Logger:                              log,
	}
}

// endpointOptions returns the options that the configuration gives to every address of a hub, without its authentication.
func (s *site) endpointOptions() *signalr.Options {
	set, _ := transports(s.config.Hub.Transports) // checked with the configuration
	return &signalr.Options{
		Transports:                      set,
		AllowStatefulReconnects:         s.config.Hub.StatefulReconnect,
		CloseOnAuthenticationExpiration: s.config.Auth.CloseOnExpiration,
		EnableAuthenticationRefresh:     s.config.Auth.Refresh,
		CheckOrigin:                     s.origin,
		Keys:                            s.keys,
	}
}

// transports turns their names into a set.
func transports(names []string) (signalr.Transport, error) {
	var set signalr.Transport
	for _, n := range names {
		switch strings.ToLower(n) {
		case "websockets":
			set |= signalr.WebSockets
		case "serversentevents":
			set |= signalr.ServerSentEvents
		case "longpolling":
			set |= signalr.LongPolling
		default:
			return 0, fmt.Errorf("%q, want webSockets, serverSentEvents or longPolling", n)
		}
	}
	if set == 0 {
		return 0, fmt.Errorf("is empty, want at least one transport")
	}
	return set, nil
}
