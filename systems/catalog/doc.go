// Package catalog tells who watches a catalog and its pipelines what happens there: the ResourceEventHub and the JobEventHub of
// Centro, for the clients of ASP.NET SignalR 2.x that Centro has, and the same events for clients of ASP.NET Core SignalR.
//
//	POST /centro/parts/{partKey}/events ──▶ group "part:…" ──▶ Update on ResourceEventHub
//	POST /centro/pipelines/{pipeId}/events ▶ group "pipeline:…" ▶ Update on JobEventHub
//
// An event is any JSON; what Centro publishes is typed as [ResourceUpdate] and [MiniJob]. A client that loses its network keeps
// its subscriptions and gets what it has missed; after a restart of the server it keeps its subscriptions.
package catalog
