package classic

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

var (
	// ErrCoreServer says that the server speaks ASP.NET Core SignalR, which is for the client of package signalr.
	ErrCoreServer = errors.New("detected a connection attempt to an ASP.NET Core SignalR server. This client only supports connecting to " +
		"an ASP.NET SignalR server; see https://aka.ms/signalr-core-differences for details")
	// ErrInvalidAnswer says that what answers at the address is no SignalR server.
	ErrInvalidAnswer = errors.New("the server's answer to negotiate is none of a SignalR server")
	// ErrReconnecting is what calls fail with whose WebSocket was lost before their answer came, and those that begin while a
	// new one is looked for. The connection goes on. The former are [hubbub.ErrConnectionLost] too: whether the server ran such a
	// call is not known, and it is never sent again. The latter are [hubbub.ErrNotConnected]: they were not sent.
	ErrReconnecting = errors.New("the connection is reconnecting")
	// ErrStarted is what [Client.Hub] panics with while the client is not disconnected.
	ErrStarted = errors.New("a hub proxy cannot be added after the connection has been started")
)

// sentence is an error with the words of the .NET client that is others for errors.Is.
type sentence struct {
	text string
	is   []error
}

func (e *sentence) Error() string   { return e.text }
func (e *sentence) Unwrap() []error { return e.is }

var (
	errLost    = &sentence{"Connection started reconnecting before invocation result was received.", []error{ErrReconnecting, hubbub.ErrConnectionLost}}
	errWaiting = &sentence{"Data cannot be sent because the WebSocket connection is reconnecting.", []error{ErrReconnecting, hubbub.ErrNotConnected}}
	errSilent  = errors.New("the server was silent for longer than its keep-alive timeout")
	errNoInit  = errors.New("the transport timed out trying to connect")
)

// ReconnectTimeoutError says that no way back to the server was found while it remembers its clients.
type ReconnectTimeoutError struct {
	Timeout time.Duration // how long was tried: the server's disconnect timeout
	Last    error         // why the last attempt failed, or why the connection was lost
}

// Error is the sentence of the .NET client, with the reason behind it.
func (e *ReconnectTimeoutError) Error() string {
	return fmt.Sprintf("Couldn't reconnect within the configured timeout of %d ms, disconnecting. Last error: %v", e.Timeout.Milliseconds(), e.Last)
}

// Unwrap returns Last.
func (e *ReconnectTimeoutError) Unwrap() error { return e.Last }

// VersionError says that a server speaks a protocol that the client does not.
type VersionError struct {
	Server string // its protocol, "" if it named none
}

// Error is the sentence of the .NET client.
func (e *VersionError) Error() string {
	return fmt.Sprintf("You are using a version of the client that isn't compatible with the server. Client version %s, server version %s.",
		clientProtocol, e.Server)
}

// ServerError is what a server says about the whole connection: in its answer to negotiate, or in an envelope, which ends the
// connection.
type ServerError struct {
	Message string // as the server wrote it
}

// Error is the sentence of the .NET client.
func (e *ServerError) Error() string {
	return fmt.Sprintf("Error message received from the server: '%s'.", e.Message)
}

// StartError says that a transport worked but the server refused to start the connection. No other transport is tried then.
type StartError struct {
	Answer string // what the server answered with status 200, at most 1 KiB; "" if Err says what happened
	Err    error  // why the request failed, nil with an Answer
}

// Error is the sentence of the .NET client.
func (e *StartError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("Invalid start response: '%s'. Stopping the connection.", e.Answer)
	}
	return "Error during start request. Stopping the connection. " + e.Err.Error()
}

// Unwrap returns Err.
func (e *StartError) Unwrap() error { return e.Err }

// HTTPError says that a server has answered a request with a status that the client cannot use.
type HTTPError struct {
	What   string // what was asked for, such as "negotiate"
	Status int    // of the answer
	Body   string // at most 1 KiB of it
}

// Error tells what was asked and what came.
func (e *HTTPError) Error() string {
	text := fmt.Sprintf("%s: the server answered with status %d (%s)", e.What, e.Status, http.StatusText(e.Status))
	if body := strings.TrimSpace(e.Body); body != "" {
		text += ": " + body
	}
	return text
}

// httpError reads and closes the answer to a request that failed.
func httpError(what string, res *http.Response) error {
	e := &HTTPError{What: what, Status: res.StatusCode}
	if res.Body != nil {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // what could be read is told
		_ = res.Body.Close()
		e.Body = string(body)
	}
	return e
}

// TransportsError says why no transport could be started.
type TransportsError struct {
	Failed []TransportError // in the order they were tried
}

// TransportError is why one transport could not be started.
type TransportError struct {
	Transport Transport // one
	Err       error     // why it could not be used
}

// Error lists the transports.
func (e *TransportsError) Error() string {
	var b strings.Builder
	b.WriteString("unable to connect to the server with any of the available transports")
	for _, f := range e.Failed {
		fmt.Fprintf(&b, " (%s failed: %v)", f.Transport, f.Err)
	}
	return b.String()
}

// Unwrap is for errors.Is and errors.As.
func (e *TransportsError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}
