// Package relay tells other servers what happens here, and hears what happens there, without either knowing the other: the events
// between MDrivenServers. Whoever wants to hear of an event leaves a cookie with it, and gets its own cookie back when the event
// fires.
//
//	SubscribeToEvent(eventguid, clientcookie) ──▶ index ─────────────┐
//	POST /realtime/events/subscribe ──▶ webhooks ──────────────────┐ │
//	Trigger, POST /realtime/events/trigger ──▶ ledger ─▶ backplane ┴─┴─▶ ReceiveEvent(eventguid, clientcookie)
//
// The hub serves clients of ASP.NET Core SignalR and of SignalR 2.x at once. Any text is an eventguid and is compared exactly; any
// text is a cookie and comes back as it was. Events reach a connection in the order in which they were triggered: of two
// triggers of which the second began when the first had returned, on whatever nodes, the first arrives first.
//
// An event is delivered at most once, unless retention is on (see [Retention]).
package relay
