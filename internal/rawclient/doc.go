// Package rawclient is a small ASP.NET Core SignalR client for the tests of this repository. It has no opinion of its own:
// tests say which record goes out and read which record came, over any transport and protocol, and can break every rule on
// the way. Records are JSON whatever the protocol, so that one test serves both; see [Encode] and [Decode].
//
// Every function that waits does so for [Patience] at most and then fails the test. None sleeps.
package rawclient

import "time"

// Patience is how long a test waits for what must come.
const Patience = 20 * time.Second

// The transports by their names on the wire.
const (
	WebSockets       = "WebSockets"
	ServerSentEvents = "ServerSentEvents"
	LongPolling      = "LongPolling"
)

// Way is a transport and a protocol that go together.
type Way struct{ Transport, Protocol string }

// String is the name of a subtest.
func (w Way) String() string { return w.Transport + "/" + w.Protocol }

// Ways are all of them.
var Ways = []Way{
	{WebSockets, "json"},
	{WebSockets, "messagepack"},
	{ServerSentEvents, "json"},
	{LongPolling, "json"},
	{LongPolling, "messagepack"},
}

// Transports has each transport once, with json.
var Transports = []Way{Ways[0], Ways[2], Ways[3]}
