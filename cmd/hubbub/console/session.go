package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// session is one run of a command.
type session struct {
	console *Console
	cmd     *cobra.Command
	flags   flags
	ctx     context.Context // ends with a signal
	url     *url.URL
	opts    *signalr.ClientOptions
	http    *http.Client
	print   *printer
	dialect string        // of the server, once it is known
	over    func() string // the transport that is used
	hubs    []string      // of a classic server that were asked for
	lost    chan error    // what ended the connection
}

// usageError is about the command line.
type usageError struct{ error }

// prepare makes what every command needs of the flags and the address.
func (s *session) prepare(ctx context.Context, address string) error {
	s.ctx = ctx
	s.print = newPrinter(s.console, s.flags.json)
	err := s.flags.checkDialect(s.cmd.Name())
	if err != nil {
		return usageError{err}
	}
	if s.opts, err = s.flags.options(); err != nil {
		return usageError{err}
	}
	if s.url, err = parseAddress(address); err != nil {
		return &Failure{CodeAddress, err}
	}
	s.http = s.newHTTP()
	s.opts.HTTPClient = s.http
	s.opts.Logger = slog.New(slog.DiscardHandler)
	s.opts.Token = s.tokenSource()
	s.opts.HandshakeTimeout = s.flags.timeout
	s.opts.CloseTimeout = 2 * time.Second
	s.lost = make(chan error, 1)
	return nil
}

// parseAddress takes ws and wss for http and https, as many people have such an address at hand.
func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err == nil && u.Host != "" {
		switch u.Scheme {
		case "ws":
			u.Scheme = "http"
		case "wss":
			u.Scheme = "https"
		}
		if u.Scheme == "http" || u.Scheme == "https" {
			return u, nil
		}
	}
	hint := "want http://HOST/PATH or https://HOST/PATH"
	if !strings.Contains(address, "://") {
		hint = fmt.Sprintf("want a scheme in front, such as http://%s", address)
	}
	return nil, fmt.Errorf("the address %q cannot be used: %s", address, hint)
}

// newHTTP returns a client with cookies and connections of its own.
func (s *session) newHTTP() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if s.flags.insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // asked for by --insecure
	}
	jar, _ := cookiejar.New(nil) // it fails with options only
	return &http.Client{Transport: t, Jar: jar}
}

func (s *session) end() { s.http.CloseIdleConnections() }

// tokenSource returns where the access token comes from, nil if there is none.
func (s *session) tokenSource() func(context.Context) (string, error) {
	switch f := s.flags; {
	case f.token != "":
		return func(context.Context) (string, error) { return f.token, nil }
	case f.tokenCmd != "":
		return func(ctx context.Context) (string, error) {
			cmd := exec.CommandContext(ctx, "sh", "-c", f.tokenCmd)
			cmd.Stderr, cmd.Env = s.console.Stderr, s.console.Environ
			out, err := cmd.Output()
			if err != nil {
				return "", usageError{fmt.Errorf("--token-cmd: %w", err)}
			}
			if token := strings.TrimSpace(string(out)); token != "" {
				return token, nil
			}
			return "", usageError{errors.New("--token-cmd printed nothing, want an access token")}
		}
	}
	return nil
}

// limited is the context of one answer.
func (s *session) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(s.ctx, s.flags.timeout, errTimeout)
}

// open connects a client of an ASP.NET Core SignalR hub. setup may change its options; it may be nil.
func (s *session) open(setup func(o *signalr.ClientOptions)) (*signalr.Client, error) {
	s.dialect = dialectCore
	c := s.newClient(setup)
	return c, s.start(c)
}

// closed hears the end of a connection.
func (s *session) closed(err error) {
	if err == nil {
		err = io.EOF
	}
	select {
	case s.lost <- err:
	default:
	}
}

// newClient returns a client of an ASP.NET Core SignalR hub. setup may change its options; it may be nil.
func (s *session) newClient(setup func(o *signalr.ClientOptions)) *signalr.Client {
	o := *s.opts
	o.OnClosed = s.closed
	if setup != nil {
		setup(&o)
	}
	trace := o.Trace
	var over atomic.Uint32
	s.over = func() string { return signalr.Transport(over.Load()).String() }
	o.Trace = func(sent bool, t signalr.Transport, p []byte) {
		over.Store(uint32(t))
		if trace != nil {
			trace(sent, t, p)
		}
	}
	return signalr.NewClient(s.url.String(), &o)
}

func (s *session) start(c client) error {
	ctx, cancel := s.limited()
	defer cancel()
	if err := c.Start(ctx); err != nil {
		return cause(ctx, err)
	}
	return nil
}

// reconnecting tells of a client that comes back, and calls again if it is not nil.
func (s *session) reconnecting(o *hubbub.ClientOptions, again func()) {
	o.OnReconnecting = func(reason error) {
		text := "the connection ended"
		if reason != nil {
			text = reason.Error()
		}
		s.print.note(struct {
			Event  string `json:"event"`
			Reason string `json:"reason"`
		}{"reconnecting", text}, "reconnecting: "+text)
	}
	o.OnReconnected = func(id string) {
		s.connected("reconnected", id)
		if again != nil {
			again()
		}
	}
}

// connected tells that there is a connection.
func (s *session) connected(event, id string) {
	over, spoken := s.transport(), s.opts.Protocol
	if s.dialect == dialectClassic {
		spoken = "classic SignalR"
	}
	s.print.note(struct {
		Event        string `json:"event"`
		URL          string `json:"url"`
		Transport    string `json:"transport"`
		Protocol     string `json:"protocol"`
		Dialect      string `json:"dialect"`
		ConnectionID string `json:"connectionId,omitempty"`
	}{event, s.url.String(), over, s.opts.Protocol, s.dialect, id}, fmt.Sprintf("%s to %s over %s, %s, connection %s", event, s.url, over, spoken, orNone(id)))
}

// transport is the name of the one that is used.
func (s *session) transport() string { return s.over() }

func orNone(id string) string {
	if id == "" {
		return "without an id"
	}
	return id
}

// cause is why ctx has ended, if it has, and err otherwise.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && c != context.Canceled && errors.Is(err, ctx.Err()) {
		return c
	}
	return err
}
