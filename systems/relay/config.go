package relay

import (
	"log/slog"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Where [System.Mount] puts the hubs, unless the configuration says otherwise.
const (
	CorePath    = "/realtimehub"      // the event hub, for Core clients
	ClassicPath = "/realtime/signalr" // both hubs, for classic clients
	PushPath    = "/ClientPushHub"    // the push hub, for Core clients
)

// Names of the hubs, by which classic clients call them.
const (
	EventHub = "EventHub"
	PushHub  = "clientPushHub"
)

// Config of a [System]. Zero fields have the default of their comment.
type Config struct {
	// Database holds the state. Its Name is "relay" by default.
	Database store.Config
	// Keys sign the connection tokens of the hubs. Default: a random ring. Nodes that serve together must share it.
	Keys *hubbub.KeyRing
	// Verify knows the tokens of users. Default nil: there is no authentication and everybody may do everything.
	Verify auth.Verifier
	// Access says who may use the hubs where there is authentication. Default [NeedRight].
	Access Access
	// CorePath, ClassicPath and PushPath are where the hubs are. Default the constants of the same names.
	CorePath, ClassicPath, PushPath string
	// KeepBlank takes a blank cookie and the cookie "endsubscription" of a hub call for cookies like any others. Default false: they
	// end the subscription.
	KeepBlank bool
	// Limits bounds what clients may ask for.
	Limits Limits
	// Retention keeps events for listeners that are away. Default off.
	Retention Retention
	// Webhooks says how webhooks are called.
	Webhooks Webhooks
	// Tickets are what becomes of the events that this server has subscribed to; its Database is that of the relay by default, with
	// the Name "relay_ticket", and its view models trigger and subscribe here. Default nil: this server listens to nobody.
	Tickets *ticket.Config
	// Listen says how the hubs of other servers are listened to.
	Listen Listening
	// AnyCookie lets the receiver run every cookie that an event giver sends. Default false: only those that it handed out itself.
	AnyCookie bool
	// PushPause is the shortest time between two hints of the push hub to the same audience. Default 200 ms.
	PushPause time.Duration
	// Hub are the options of the hubs. MaximumReceiveMessageSize is 512 KiB by default, so that a long cookie fits. Its Backplane
	// connects the nodes.
	Hub hubbub.Options
	// Core and Classic are the options of the endpoints. Auth is set by the system where there is authentication; by default Keys are
	// those of the system, and a classic client may send messages as long as the hubs take.
	Core    signalr.Options
	Classic classic.Options
	// Logger for what goes wrong in the background. Default slog.Default().
	Logger *slog.Logger
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Access says who may use the hubs of a [System] with authentication.
type Access uint8

// Who may use the hubs.
const (
	// NeedRight lets users in, and lets those subscribe who have the right [RightSubscribe].
	NeedRight Access = iota
	// AnyUser lets every user subscribe.
	AnyUser
	// Anybody lets clients without a token subscribe too, as a MDrivenServer does.
	Anybody
)

// Retention keeps events for listeners that are away: users whose connections have the query value listener. Such a listener
// keeps its subscriptions while it is away, and what it missed comes after it has connected again, in order, with the cookies
// it had.
//
// An event counts as got when it was handed to the connection. A listener that has to know better also has the query value
// after, see [System.Mount].
type Retention struct {
	// Window is how long an event is kept, and how long a listener may be away before it is forgotten. Default 0: off.
	Window time.Duration
	// Most is how many events are kept for one listener. Default 1000.
	Most int
}

// Limits of requests. Zero fields have the default of their comment.
type Limits struct {
	// Subscriptions of one connection. Default 1000.
	Subscriptions int
	// GuidBytes of an eventguid. Default 1024.
	GuidBytes int
	// CookieBytes of a cookie. Default 64 KiB.
	CookieBytes int
	// BodyBytes of a request. Default 512 KiB.
	BodyBytes int64
	// Webhooks that are subscribed, one for each pair of address and eventguid. Default 10,000.
	Webhooks int
	// Listeners whose events are retained. Default 10,000.
	Listeners int
	// ListenerBytes of the name of a listener. Default 256.
	ListenerBytes int
}

// Webhooks says how webhooks are called. Zero fields have the default of their comment.
type Webhooks struct {
	// Tries before a delivery is dropped. Default 8.
	Tries int
	// FirstDelay before the second try; each further one doubles it, with a quarter of jitter either way. Default 5 s.
	FirstDelay time.Duration
	// MaxDelay bounds the doubling. Default 10 min.
	MaxDelay time.Duration
	// Timeout of one call. Default 10 s.
	Timeout time.Duration
	// Workers is how many webhooks are called at a time. Default 4.
	Workers int
	// MostQueued bounds what one webhook may have waiting; the oldest beyond it go. Default 10,000.
	MostQueued int
}

func positive[T int | int64 | time.Duration](p *T, v T) {
	if *p <= 0 {
		*p = v
	}
}

func text(p *string, v string) {
	if *p == "" {
		*p = v
	}
}

func (c *Config) setDefaults() {
	text(&c.Database.Name, "relay")
	text(&c.CorePath, CorePath)
	text(&c.ClassicPath, ClassicPath)
	text(&c.PushPath, PushPath)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Database.Logger == nil {
		c.Database.Logger = c.Logger
	}
	if c.Hub.Logger == nil {
		c.Hub.Logger = c.Logger
	}
	if c.Keys == nil {
		c.Keys = hubbub.RandomKeyRing()
	}
	if c.Core.Keys == nil {
		c.Core.Keys = c.Keys
	}
	if c.Classic.Keys == nil {
		c.Classic.Keys = c.Keys
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Hub.MaximumReceiveMessageSize == 0 {
		c.Hub.MaximumReceiveMessageSize = 512 << 10
	}
	if c.Classic.MaximumIncomingWebSocketMessageSize == 0 {
		c.Classic.MaximumIncomingWebSocketMessageSize = c.Hub.MaximumReceiveMessageSize
	}
	positive(&c.Listen.Lease, 5*time.Second)
	positive(&c.PushPause, 200*time.Millisecond)
	positive(&c.Retention.Most, 1000)
	l := &c.Limits
	positive(&l.Subscriptions, 1000)
	positive(&l.GuidBytes, 1024)
	positive(&l.CookieBytes, 64<<10)
	positive(&l.BodyBytes, 512<<10)
	positive(&l.Webhooks, 10_000)
	positive(&l.Listeners, 10_000)
	positive(&l.ListenerBytes, 256)
	w := &c.Webhooks
	positive(&w.Tries, 8)
	positive(&w.FirstDelay, 5*time.Second)
	positive(&w.MaxDelay, 10*time.Minute)
	positive(&w.Timeout, 10*time.Second)
	positive(&w.Workers, 4)
	positive(&w.MostQueued, 10_000)
	c.Hub.RequireUser = c.Verify != nil && c.Access != Anybody
}
