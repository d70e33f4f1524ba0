package bench

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Mode is the kind of load.
type Mode string

// The modes.
const (
	Echo      Mode = "echo"      // chunks over a raw connection and back
	Invoke    Mode = "invoke"    // invocations with a result
	Broadcast Mode = "broadcast" // one sender, every connection hears it
	Groups    Mode = "groups"    // one sender a group, its members hear it
	Churn     Mode = "churn"     // a broadcast while other connections come and go
	Storm     Mode = "storm"     // all connections are cut at once and come back
	Slow      Mode = "slow"      // a broadcast with clients that do not read
	Idle      Mode = "idle"      // connections that do nothing
	Connect   Mode = "connect"   // connections are set up, and closed at the end
	Soak      Mode = "soak"      // broadcast, invocations and churn together, for long
	Events    Mode = "events"    // clients subscribe to events with cookies, which are triggered over REST
)

// Wire is what lies between the load and the server.
type Wire string

const (
	wireHub   Wire = "hub"   // WebSocket with the handshake of SignalR
	wireEcho  Wire = "echo"  // WebSocket to a raw connection endpoint
	wireRaw   Wire = "raw"   // plain TCP to `hubbub bench raw serve`
	wirePlain Wire = "plain" // a WebSocket upgrade and nothing else
)

// Target is a server under load.
type Target struct {
	Name string `json:"name"` // server, beside or limit
	URL  string `json:"url"`
	Wire Wire   `json:"wire"`
	Post string `json:"post,omitempty"` // address to which messages of a broadcast are posted; none: a connection of the hub sends them
	PID  int    `json:"pid,omitempty"`  // process whose CPU and memory are sampled; 0: none
}

// Job is one load with its bounds. It is what a worker gets, and what a report says of itself.
type Job struct {
	Mode        Mode              `json:"mode"`
	Target      Target            `json:"target"`
	Connections int               `json:"connections"`         // of all workers together
	Size        int               `json:"size"`                // bytes of a message's text
	Duration    time.Duration     `json:"duration"`            // of the load, in nanoseconds
	Rate        float64           `json:"rate,omitempty"`      // offered deliveries or invocations a second; 0: closed loop
	Pipeline    int               `json:"pipeline"`            // invocations under way on each connection
	Burst       int               `json:"burst,omitempty"`     // messages sent at once; 0: paced by Rate
	Groups      int               `json:"groups,omitempty"`    // number of groups
	ChurnRate   float64           `json:"churnRate,omitempty"` // connections a second that come and go
	Stalled     int               `json:"stalled,omitempty"`   // clients that do not read
	Rounds      int               `json:"rounds,omitempty"`    // of a reconnect storm
	Parallel    int               `json:"parallel"`            // connections under set-up at a time
	Sources     int               `json:"sources"`             // source addresses 127.0.0.2 and on; 0: the system's choice
	Drain       time.Duration     `json:"drain"`               // longest wait for what was sent
	Protocol    string            `json:"protocol"`            // json or messagepack
	Transport   string            `json:"transport"`           // websockets, sse or longpolling
	Negotiate   bool              `json:"negotiate,omitempty"` // POST negotiate before every connection
	Insecure    bool              `json:"insecure,omitempty"`  // accept any certificate
	Header      map[string]string `json:"-"`
	Methods     Methods           `json:"methods"`
	Worker      int               `json:"worker"`
	Workers     int               `json:"workers"`
}

// Methods are the hub's methods that a load calls, by the names that the server mounts.
type Methods struct {
	Echo     string `json:"echo"`     // (text) -> text
	All      string `json:"all"`      // (text), everybody hears it
	Join     string `json:"join"`     // (group)
	Group    string `json:"group"`    // (group, text), the group hears it
	Sequence string `json:"sequence"` // (count), the caller hears 0 to count-1; empty: not used
	// Subscribe is (event, cookie), the caller hears both when the event is triggered, which is a POST to the path Trigger.
	Subscribe string `json:"subscribe"`
	Trigger   string `json:"trigger"`
}

// DefaultMethods are those of the conformance server.
func DefaultMethods() Methods {
	return Methods{Echo: "Echo", All: "SendToAll", Join: "AddToGroup", Group: "SendToGroup", Sequence: "SendSequence",
		Subscribe: "SubscribeToEvent", Trigger: "/realtime/events/trigger"}
}

// The bounds of a job. A load tool that forgets to stop is worse than none.
const (
	maxConnections = 200_000
	maxDuration    = 24 * time.Hour
	maxSize        = 1 << 20
	perWorker      = 8000 // connections of one process, by default
)

// header is sent with every request; it travels to workers beside the job, because a report must not show a token.
func (j *Job) header() http.Header {
	h := http.Header{}
	for k, v := range j.Header {
		h.Set(k, v)
	}
	return h
}

// check fills what was left out and says what cannot be.
func (j *Job) check() error {
	j.defaults()
	switch {
	case j.Connections < 1 || j.Connections > maxConnections:
		return fmt.Errorf("connections are %d, want 1 to %d", j.Connections, maxConnections)
	case j.Duration <= 0 || j.Duration > maxDuration:
		return fmt.Errorf("duration is %v, want more than 0 and at most %v", j.Duration, maxDuration)
	case j.Size < stampSize || j.Size > maxSize:
		return fmt.Errorf("size is %d bytes, want %d to %d", j.Size, stampSize, maxSize)
	case j.Pipeline > 1024:
		return fmt.Errorf("pipeline is %d, want at most 1024", j.Pipeline)
	case j.Rate < 0 || j.ChurnRate < 0 || j.Burst < 0 || j.Stalled < 0 || j.Rounds < 0:
		return errors.New("rates and numbers must not be negative")
	case j.Sources > 250:
		return fmt.Errorf("sources are %d, want at most 250", j.Sources)
	case j.Burst > 0 && j.Workers > 1:
		return fmt.Errorf("a burst needs all connections in one process, want one worker, not %d", j.Workers)
	case j.Mode == Events && (j.Workers > 1 || j.Target.Wire != wireHub):
		return fmt.Errorf("events want a hub, and all connections in one process, not %d workers", j.Workers)
	case j.Mode == Events && j.Groups > j.Connections && j.Groups%j.Connections != 0:
		return fmt.Errorf("%d events for %d connections, want a multiple", j.Groups, j.Connections)
	case j.Mode == Groups && j.Groups > j.Connections:
		return fmt.Errorf("%d groups have only %d connections", j.Groups, j.Connections)
	case j.Mode == Groups && j.Workers > j.Groups:
		return fmt.Errorf("%d workers have only %d groups", j.Workers, j.Groups)
	}
	if err := errors.Join(j.checkFormat(), j.checkPost()); err != nil {
		return err
	}
	return j.checkURL()
}

// checkFormat is about protocol and transport, which only hubs and raw connections have.
func (j *Job) checkFormat() error {
	raw := j.Target.Wire == wireRaw || j.Target.Wire == wirePlain
	switch {
	case j.Protocol != protocolJSON && j.Protocol != protocolMessagePack:
		return fmt.Errorf("protocol is %q, want json or messagepack", j.Protocol)
	case j.Transport != transportWebSockets && j.Transport != transportSSE && j.Transport != transportPolling:
		return fmt.Errorf("transport is %q, want websockets, sse or longpolling", j.Transport)
	case j.Transport == transportSSE && j.Protocol == protocolMessagePack:
		return errors.New("event streams carry text only: messagepack wants websockets or longpolling")
	case raw && (j.Transport != transportWebSockets || j.Protocol != protocolJSON):
		return errors.New("a plain server has neither protocols nor transports to choose")
	case j.Mode == Echo && j.Protocol == protocolMessagePack:
		return errors.New("echo sends chunks without a hub protocol: messagepack wants another mode")
	}
	return nil
}

func (j *Job) defaults() {
	j.Workers = max(j.Workers, (j.Connections+perWorker-1)/perWorker, 1)
	if j.Protocol = strings.ToLower(j.Protocol); j.Protocol == "" {
		j.Protocol = protocolJSON
	}
	if j.Transport = strings.ToLower(j.Transport); j.Transport == "" {
		j.Transport = transportWebSockets
	}
	j.Pipeline = max(j.Pipeline, 1)
	j.Parallel = max(j.Parallel, 1)
	j.Groups = max(j.Groups, 1)
	j.Rounds = max(j.Rounds, 1)
	if j.Burst > 0 {
		j.Rate = 0 // the answers to one burst let the next begin
	}
	if j.Methods == (Methods{}) {
		j.Methods = DefaultMethods()
	}
	if j.Drain <= 0 {
		j.Drain = 10 * time.Second
	}
}

func (j *Job) checkURL() error {
	if j.Target.Wire == wireRaw {
		j.Target.URL = "tcp://" + strings.TrimPrefix(j.Target.URL, "tcp://")
	}
	u, err := url.Parse(j.Target.URL)
	if err != nil {
		return fmt.Errorf("address %q: %w", j.Target.URL, err)
	}
	switch u.Scheme {
	case "http", "https", "ws", "wss":
	case "tcp":
		if j.Target.Wire == wireRaw {
			break
		}
		fallthrough
	default:
		return fmt.Errorf("address %q: want http://, https://, ws:// or wss://", j.Target.URL)
	}
	if u.Host == "" {
		return fmt.Errorf("address %q has no host", j.Target.URL)
	}
	return nil
}

// share is the number of connections of this worker, and the number of the first.
func (j *Job) share() (first, n int) {
	first = j.Connections * j.Worker / j.Workers
	return first, j.Connections*(j.Worker+1)/j.Workers - first
}

// fans reports whether the mode is about messages that many hear.
func (m Mode) fans() bool {
	return m == Broadcast || m == Groups || m == Churn || m == Slow || m == Soak
}
