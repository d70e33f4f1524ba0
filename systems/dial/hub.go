package dial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// Dialect is the generation of SignalR that a server speaks.
type Dialect uint8

// The dialects. Auto asks the server.
const (
	Auto Dialect = iota
	Core
	Classic
)

// String returns the name of the dialect.
func (d Dialect) String() string {
	switch d {
	case Auto:
		return "auto"
	case Core:
		return "core"
	case Classic:
		return "classic"
	}
	return fmt.Sprintf("Dialect(%d)", uint8(d))
}

// Hub is a hub of another server. Zero fields have the default of their comment.
type Hub struct {
	// URL is the address of the hub, or of the classic endpoint that it is on, http or https. Its query goes with every request.
	// There must be one.
	URL string
	// Dialect of the server. Default Auto: Core is tried first, then, where the server is none of that, classic.
	Dialect Dialect
	// HubName is the name of the hub on a classic server, which needs one.
	HubName string
	// Header goes with every request and replaces what a client itself would send. Default none.
	Header http.Header
	// Token returns the access token for the server. It is called anew for every connection. Default none.
	Token func(ctx context.Context) (string, error)
	// Transports that may be used, in either dialect. Default those of CoreOptions and ClassicOptions.
	Transports signalr.Transport
	// HTTPClient sends all requests, in either dialect; see [signalr.ClientOptions]. Default those of CoreOptions and ClassicOptions.
	HTTPClient *http.Client
	// Handlers are there before the connection is, so that they miss nothing, by the method that the hub calls: see [Conn.On].
	Handlers map[string]hubbub.Method
	// OnClosed hears that the connection has ended for good, once, and why; nil after [Conn.Close]. Default none.
	OnClosed func(err error)
	// OnReconnecting and OnReconnected hear that the connection was lost and found again, where the options of the dialect let it
	// reconnect. A Core connection is a new one then, a classic one the same. Default none.
	OnReconnecting func(err error)
	OnReconnected  func(connectionID string)
	// CoreOptions are those of the connection to a Core server. What this struct has too is taken from here. Reconnect is none by
	// default: a lost connection has ended.
	CoreOptions signalr.ClientOptions
	// ClassicOptions are those of the connection to a classic server. What this struct has too is taken from here.
	ClassicOptions classic.ClientOptions
	// Logger for what goes wrong, where the options of the dialect have none. Default slog.Default().
	Logger *slog.Logger
}

// Check says what is wrong with the description of a hub, as [Connect] does.
func (h *Hub) Check() error {
	u, err := url.Parse(h.URL)
	switch {
	case err != nil:
		return fmt.Errorf("address: %w", err)
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("address %q, want http://host/path or https://host/path", h.URL)
	case h.Dialect > Classic:
		return fmt.Errorf("dialect %v, want auto, core or classic", h.Dialect)
	case h.Dialect == Classic && h.HubName == "":
		return errors.New("no HubName, want the name of the hub on the classic server")
	}
	return nil
}
