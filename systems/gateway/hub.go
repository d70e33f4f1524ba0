package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/dial"
)

// Dialect is the generation of SignalR that a hub downstream speaks.
type Dialect = dial.Dialect

// The dialects. Auto asks the server.
const (
	Auto    = dial.Auto
	Core    = dial.Core
	Classic = dial.Classic
)

// Broadcast says who hears what a hub downstream sends.
type Broadcast uint8

// The kinds of broadcast.
const (
	BroadcastAll        Broadcast = iota // every client of the GatewayHub
	BroadcastGroup                       // those that have called SubscribeToGroup
	BroadcastIndividual                  // those that have called SubscribeToRoute
)

// String returns the name that the orchestration gives it.
func (b Broadcast) String() string {
	switch b {
	case BroadcastAll:
		return "All"
	case BroadcastGroup:
		return "Group"
	case BroadcastIndividual:
		return "Individual"
	}
	return fmt.Sprintf("Broadcast(%d)", uint8(b))
}

// Hub is a hub downstream. Zero fields have the default of their comment.
type Hub struct {
	// URL is the address of the hub, or of the classic endpoint that it is on. There must be one.
	URL string
	// Dialect of the server. Default Auto: Core is tried first, then, where the server is none of that, classic.
	Dialect Dialect
	// HubName is the name of the hub on a classic server, which needs one.
	HubName string
	// ReceiveKey is what clients of the GatewayHub must show to subscribe. Default none, which allows routes for
	// [BroadcastAll] only.
	ReceiveKey string
	// InvokeKey is what clients must show as receiveKey to InvokeDownstreamHub. Default ReceiveKey; without both
	// everybody may call.
	InvokeKey string
	// Header goes with every request to the server. Default none.
	Header http.Header
	// Token returns the access token for the server. Default none.
	Token func(ctx context.Context) (string, error)
	// Reconnect says when to try again while the server is away. Default 0.5 s, then twice as long up to 10 s, for ever, with a
	// jitter of 20 %. A call tries at once, if the attempt before is half a second ago. When the policy gives up, only a
	// call tries.
	Reconnect hubbub.RetryPolicy
	// ConnectTimeout bounds one attempt to connect, and how long a call waits for it. Default 5 s.
	ConnectTimeout time.Duration
	// InvokeTimeout bounds a call. Default 30 s.
	InvokeTimeout time.Duration
	// MaxPending bounds the calls that wait for their end at a time; more are refused with 503. Default 1000.
	MaxPending int
	// Revision says that a hub is the one it was: [Gateway.Reload] keeps the connection if it is the same as before and not
	// empty. Give one to hubs with functions, which cannot be compared, and another one when they do something else. Default
	// none: the connection is kept if all other fields that concern it are the same and there is no function.
	Revision string
	// Guard says who may call the routes and subscribe to them, beside that of [Config] and their own. What is for all clients of
	// the GatewayHub ([BroadcastAll]) it does not keep from them: [Config.GatewayHub] says who may be one. Default everybody.
	Guard
	// CoreOptions are those of the connection to a Core server. Header, Token and the hooks are set by the gateway.
	CoreOptions signalr.ClientOptions
	// ClassicOptions are those of the connection to a classic server. Header, Token and the hooks are set by the gateway.
	ClassicOptions classic.ClientOptions
}

func (h *Hub) setDefaults() {
	positive(&h.ConnectTimeout, 5*time.Second)
	positive(&h.InvokeTimeout, 30*time.Second)
	positive(&h.MaxPending, 1000)
	if h.InvokeKey == "" {
		h.InvokeKey = h.ReceiveKey
	}
	if h.Reconnect == nil {
		h.Reconnect = hubbub.Jitter(hubbub.RetryForever(minRetry, 10*time.Second), 0.2)
	}
}

func (h *Hub) check() error {
	o := h.dial()
	return o.Check()
}

// dial returns how to connect to the hub.
func (h *Hub) dial() dial.Hub {
	o := dial.Hub{URL: h.URL, Dialect: h.Dialect, HubName: h.HubName, Header: h.Header, Token: h.Token, CoreOptions: h.CoreOptions,
		ClassicOptions: h.ClassicOptions}
	o.CoreOptions.Reconnect = nil
	if o.ClassicOptions.Reconnect == nil { // a classic connection gets what it has missed; after that a new one is better
		o.ClassicOptions.Reconnect = hubbub.RetryDelays(0, minRetry, 2*minRetry)
	}
	return o
}

// HubRoute is one method of a hub downstream that can be called, one that it calls, or both.
type HubRoute struct {
	// InvokeMethod is what is called. Default none: the route cannot be called.
	InvokeMethod string
	// ReceiveMethod is what the hub calls, and under which name clients of the GatewayHub hear of it. Default none.
	ReceiveMethod string
	// ReceiveGroup is what clients subscribe to with [BroadcastGroup], which needs one.
	ReceiveGroup string
	// BroadcastType says who hears of it. Default BroadcastAll.
	BroadcastType Broadcast
	// ReceiveParameterTypes are names of types for the orchestration. Default none.
	ReceiveParameterTypes []string
	// Summary and Description are texts for people, in the OpenAPI document; the second may be Markdown. Default none.
	Summary, Description string
	// ArgumentSchemas are JSON schemas of the arguments of InvokeMethod, in their order, and ResultSchema is that of its result,
	// for the OpenAPI document. Default none.
	ArgumentSchemas []json.RawMessage
	ResultSchema    json.RawMessage
	// Unwrap sends the arguments as the hub has sent them. Default false: clients get two, an array of those and {}.
	Unwrap bool
	// Guard says who may call the route and subscribe to it, beside that of the hub. Default everybody.
	Guard
}

func (r *HubRoute) check(h *Hub) error {
	switch {
	case r.InvokeMethod == "" && r.ReceiveMethod == "":
		return fmt.Errorf("neither InvokeMethod nor ReceiveMethod, want one")
	case r.BroadcastType > BroadcastIndividual:
		return fmt.Errorf("broadcast type %v, want All, Group or Individual", r.BroadcastType)
	case r.BroadcastType == BroadcastGroup && r.ReceiveGroup == "":
		return fmt.Errorf("no ReceiveGroup, want one with broadcast type Group")
	case r.BroadcastType != BroadcastAll && h.ReceiveKey == "":
		return fmt.Errorf("the hub has no ReceiveKey, want one with broadcast type %v", r.BroadcastType)
	}
	for _, schema := range append(slices.Clone(r.ArgumentSchemas), r.ResultSchema) {
		if schema == nil {
			continue
		}
		if err := checkSchema(schema); err != nil {
			return err
		}
	}
	return nil
}
