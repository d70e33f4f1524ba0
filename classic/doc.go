// Package classic speaks ASP.NET SignalR 2.x, protocols 1.2 to 2.1, both ends: it makes the hubs of package hubbub reachable
// for .NET Framework programs and jQuery pages over WebSockets, Server-Sent Events, forever frames and long polling, and calls
// such servers.
//
//	negotiate ─▶ connect ─▶ start ─▶ (reconnect | poll)* ─▶ abort       requests, one token
//
//	hub.Send ─▶ outbox ─▶ waiting ─▶ envelope {"C":cursor,"M":[…]} ─▶ stream
//	                                     └─▶ kept, for a client that comes back with its cursor
//
// A connection is not its socket: it outlives a stream for [Options.DisconnectTimeout], and any transport may carry it on.
// Several hubs share one connection; each is a link of its own to its hub, so a hub that is also mapped with signalr.MapHub
// has the same methods, groups and users for clients of both generations. What classic cannot express fails with a clear error:
// streams, and results of clients.
package classic
