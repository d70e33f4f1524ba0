// Package gateway puts one HTTP address in front of services and of hubs, of either SignalR generation: a POST becomes a call of
// a hub's method, and what the hub sends comes back to all clients of the GatewayHub.
//
//	GET, POST, … /api/Gateway/{api}/{route} ──▶ balancing ──▶ a service over HTTP
//	POST /api/Gateway/hub/{hub}/{route} ──▶ InvokeMethod ──┐
//	                                                       ▼
//	   one connection for all, Core or classic ◀────▶ the hub downstream
//	                                                       │
//	clients of /gatewayhub ◀── All, Group, Individual ◀── ReceiveMethod
//
// Every hub downstream sees the gateway as one client, however many listen: its own user, its own order of calls. A server that
// runs the calls of a connection one at a time, as ASP.NET Core does by default, runs those of the gateway so.
//
// Register all hubs and services, then call [Gateway.Start] and serve [Gateway.Handler]. A hub that is down keeps nothing else
// from working: its calls are answered with 503 and it is looked for until it is back.
package gateway
