package console

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// The dialects, as --dialect names them.
const (
	dialectAuto    = "auto"
	dialectCore    = "core"
	dialectClassic = "classic"
)

// client is a connection of either dialect.
type client interface {
	hubbub.Invoker
	Start(ctx context.Context) error
	Send(ctx context.Context, target string, args ...any) error
	Close() error
	State() hubbub.ClientState
	ID() string
}

// wiring is what a command wants of its connection, whatever the dialect.
type wiring struct {
	reconnect bool
	again     func()                                      // after a reconnect; may be nil
	call      func(in *hubbub.Invocation)                 // a call of the server; may be nil
	trace     func(sent bool, transport string, p []byte) // may be nil
	targets   []string                                    // what will be called or heard, of which classic servers want to know the hubs
}

// dial connects in the dialect that is wanted, or in the one that the server speaks.
func (s *session) dial(w wiring) (client, error) {
	if s.flags.dialect != dialectClassic {
		s.dialect = dialectCore
		c := s.newCore(w)
		err := s.start(c)
		if err == nil {
			return c, nil
		}
		if s.flags.dialect == dialectCore || !errors.Is(err, signalr.ErrClassicServer) {
			return nil, s.nearby(err)
		}
		if s.opts.Protocol != "json" {
			return nil, &Failure{CodeClassic, fmt.Errorf("%s is an ASP.NET SignalR server, which speaks JSON only: leave --protocol out", s.url)}
		}
	}
	c, err := s.newClassic(w)
	if err != nil {
		return nil, err
	}
	s.over = func() string { return c.Transport().String() }
	if err := s.start(c); err != nil {
		return nil, s.nearby(err)
	}
	return c, nil
}

func (s *session) newCore(w wiring) *signalr.Client {
	c := s.newClient(func(o *signalr.ClientOptions) {
		if w.reconnect {
			s.reconnecting(&o.ClientOptions, w.again)
			o.Reconnect = hubbub.Jitter(hubbub.StandardRetry(), 0.2)
		}
		if w.trace != nil {
			o.Trace = func(sent bool, t signalr.Transport, p []byte) { w.trace(sent, t.String(), p) }
		}
	})
	if w.call != nil {
		c.OnUnhandled(func(_ context.Context, in *hubbub.Invocation) (any, error) {
			w.call(in)
			if in.ID != "" {
				return nil, errNoResult
			}
			return nil, nil
		})
	}
	return c
}

func (w wiring) classicTrace() func(sent bool, t classic.Transport, p []byte) {
	if w.trace == nil {
		return nil
	}
	return func(sent bool, t classic.Transport, p []byte) { w.trace(sent, t.String(), p) }
}

// coreOnly are the commands that a classic server has nothing for.
var coreOnly = map[string]string{
	"stream": "has no streams", "upload": "has no streams", "respond": "wants no results of its clients",
	"doctor": "is not examined", "conformance": "is not examined",
}

// checkDialect looks whether the flags of a command go together.
func (f *flags) checkDialect(command string) error {
	f.dialect = strings.ToLower(f.dialect)
	if len(f.hubs) > 0 && f.dialect == dialectAuto {
		f.dialect = dialectClassic // servers of the other dialect have one hub at an address
	}
	missing := coreOnly[command]
	switch f.dialect {
	case dialectAuto:
	case dialectCore:
		if len(f.hubs) > 0 {
			return errors.New("--hub with --dialect core: there is one hub at an address, want no --hub")
		}
	case dialectClassic:
		switch {
		case missing != "":
			return fmt.Errorf("%s with --dialect classic or --hub: a classic server %s", command, missing)
		case f.skip, f.stateful:
			return errors.New("--skip-negotiation and --stateful are not for classic servers")
		case !strings.EqualFold(f.protocol, "json"):
			return fmt.Errorf("--protocol is %q, and classic servers speak json only", f.protocol)
		}
	default:
		return fmt.Errorf("--dialect is %q, want auto, core or classic", f.dialect)
	}
	return nil
}
