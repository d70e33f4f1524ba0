package console

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// Exit codes of the commands that are clients, beside 0 and 2. They never change their meaning; docs/command-line.md lists them.
const (
	CodeOther       = 1  // none of the others
	CodeAddress     = 10 // the address is no address, or there is no SignalR hub
	CodeClassic     = 11 // an ASP.NET SignalR server, the older protocol
	CodeRefused     = 12 // 401 or 403: no token, or not a good one
	CodeUnreachable = 13 // nobody answers: name, network, port
	CodeServer      = 14 // the server answered with an error
	CodeTimeout     = 15 // no answer in time
	CodeLost        = 16 // the connection was lost, or no transport works
	CodeProblems    = 17 // doctor or conformance has found something
	CodeTLS         = 18 // the certificate is not trusted
	CodeInterrupted = 20 // stopped by a signal before it was done
)

// exitHelp closes the help of every command.
const exitHelp = `

Exit codes: 0 done, 1 something else, 2 wrong command line, 10 no SignalR hub there, 11 a classic ASP.NET SignalR server, without a
hub that was named or something else that is needed, 12 refused (no or bad access token), 13 unreachable, 14 the server says no, 15 no answer in time, 16 connection lost, 17 doctor or conformance
found something, 18 certificate not trusted, 20 stopped by a signal.`

// Failure is an error with its exit code and a sentence for people.
type Failure struct {
	Code int
	Err  error
}

// Error is the sentence.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap is for errors.Is and errors.As.
func (f *Failure) Unwrap() error { return f.Err }

var errTimeout = errors.New("no answer in time")

// failed gives err its exit code and its sentence, and prints it where a machine reads.
func (s *session) failed(err error) error {
	if err == nil {
		return nil
	}
	if usage, ok := errors.AsType[usageError](err); ok {
		return usage.error
	}
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		f = s.classify(err)
	}
	if s.flags.json {
		s.print.say(struct {
			Event string `json:"event"`
			Code  int    `json:"code"`
			Error string `json:"error"`
		}{"error", f.Code, f.Error()}, "")
	}
	return f
}

func (s *session) classify(err error) *Failure {
	fail := func(code int, format string, args ...any) *Failure {
		return &Failure{code, fmt.Errorf(format, args...)}
	}
	status, isStatus := errors.AsType[*signalr.HTTPError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	said, isSaid := errors.AsType[*hubbub.Error](err)
	if e, ok := errors.AsType[*classic.HTTPError](err); ok {
		if hubs := strings.Join(s.hubs, ", "); hubs != "" && e.What == "negotiate" && e.Status == http.StatusInternalServerError {
			return fail(CodeServer, "%s refuses to negotiate about %s (status 500): so does a classic server that has no hub of that name", s.url, hubs)
		}
		status, isStatus = &signalr.HTTPError{What: e.What, Status: e.Status, Body: e.Body}, true
	}
	classicSaid, isClassicSaid := errors.AsType[*classic.ServerError](err)
	closed, isClosed := errors.AsType[*hubbub.CloseError](err)
	transports, isTransports := errors.AsType[*signalr.TransportsError](err)
	switch {
	case errors.Is(err, errInterrupted):
		return fail(CodeInterrupted, "interrupted")
	case errors.Is(err, signalr.ErrClassicServer):
		return fail(CodeClassic, "%s is an ASP.NET SignalR server, which speaks the older protocol; this needs an ASP.NET Core SignalR hub", s.url)
	case errors.Is(err, classic.ErrCoreServer):
		return fail(CodeAddress, "there is no classic server at %s, but an ASP.NET Core SignalR hub: leave --dialect and --hub out", s.url)
	case errors.Is(err, signalr.ErrInvalidAnswer), errors.Is(err, classic.ErrInvalidAnswer):
		return fail(CodeAddress, "there is no SignalR hub at %s: what answers there is something else", s.url)
	case errors.Is(err, http.ErrSchemeMismatch), strings.Contains(err.Error(), http.ErrSchemeMismatch.Error()):
		return fail(CodeAddress, "%s does not speak TLS: try http:// in the address", s.url.Host)
	case isStatus:
		return s.classifyStatus(status)
	case isTLS(err):
		return fail(CodeTLS, "the certificate of %s is not trusted: %w; --insecure accepts it", s.url.Host, innermost(err))
	case isDNS:
		return fail(CodeUnreachable, "the host %s is not known: check the name in the address", dns.Name)
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		return fail(CodeTimeout, "no answer from %s within %v", s.url, s.flags.timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fail(CodeUnreachable, "nobody listens at %s: the connection was refused", s.url.Host)
	case isClassicSaid:
		return fail(CodeServer, "the server says: %s", classicSaid.Message)
	case errors.Is(err, classic.ErrReconnecting):
		return fail(CodeLost, "the connection to %s was lost: %w", s.url, err)
	case isSaid:
		return fail(CodeServer, "the server says: %s", said.Message)
	case isTransports:
		return fail(CodeLost, "no transport works at %s: %s", s.url, strings.TrimPrefix(transports.Error(), "unable to connect to the server with any of the available transports. "))
	case isClosed && closed.Message != "":
		return fail(CodeLost, "the server closed the connection: %s", closed.Message)
	case isClosed, errors.Is(err, io.EOF):
		return fail(CodeLost, "the server closed the connection")
	case errors.Is(err, hubbub.ErrClosed), errors.Is(err, hubbub.ErrNotConnected), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fail(CodeLost, "the connection to %s was lost: %w", s.url, err)
	}
	if f := s.classifyClassic(err); f != nil {
		return f
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fail(CodeUnreachable, "%s cannot be reached: %w", s.url.Host, innermost(err))
	}
	return &Failure{CodeOther, err}
}

// classifyClassic is for what only clients of classic servers fail with, nil for everything else.
func (s *session) classifyClassic(err error) *Failure {
	if e, ok := errors.AsType[*classic.TransportsError](err); ok {
		return &Failure{CodeLost, fmt.Errorf("no transport works at %s: %w", s.url, e)}
	}
	if e, ok := errors.AsType[*classic.StartError](err); ok {
		return &Failure{CodeServer, e}
	}
	if e, ok := errors.AsType[*classic.VersionError](err); ok {
		if e.Server == "" {
			return &Failure{CodeAddress, fmt.Errorf("there is no SignalR hub at %s: what answers there is something else", s.url)}
		}
		return &Failure{CodeServer, e}
	}
	if e, ok := errors.AsType[*classic.ReconnectTimeoutError](err); ok {
		return &Failure{CodeLost, e}
	}
	return nil
}

func (s *session) classifyStatus(e *signalr.HTTPError) *Failure {
	switch {
	case e.Status == http.StatusUnauthorized && s.opts.Token == nil:
		return &Failure{CodeRefused, fmt.Errorf("%s wants an access token (status 401): give one with --token or --token-cmd", s.url)}
	case e.Status == http.StatusUnauthorized:
		return &Failure{CodeRefused, fmt.Errorf("%s refuses the access token (status 401): it may have expired, or be for another server", s.url)}
	case e.Status == http.StatusForbidden:
		return &Failure{CodeRefused, fmt.Errorf("%s knows who you are and says no (status 403)", s.url)}
	case e.What == "negotiate" && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed):
		return &Failure{CodeAddress, fmt.Errorf("there is no SignalR hub at %s (status %d): check the path", s.url, e.Status)}
	}
	if body := strings.ToLower(e.Body); e.Status == http.StatusBadRequest && strings.Contains(body, "http request") && strings.Contains(body, " https ") {
		return &Failure{CodeAddress, fmt.Errorf("%s speaks TLS: try https:// in the address", s.url.Host)} // so say Go and nginx
	}
	return &Failure{CodeServer, e}
}

func isTLS(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	return verify || authority || host
}

// innermost is what err wraps last, which is the part that says what went wrong.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
