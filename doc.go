// Package hubbub is the runtime of a SignalR server: hubs, their methods, and who is connected to them. The dialects that
// clients speak are packages of their own: signalr for ASP.NET Core SignalR.
//
// The path of a message, as file names:
//
//	socket ──▶ signalr/websocket.go ──▶ signalr/json.go ──▶ dispatch.go ──▶ method.go ──▶ your function
//	           (or sse.go, longpoll.go)  (or msgpack.go)    in order, as     decode and         │
//	                                                        permits allow    call, typed        │
//	                                                                                            │
//	socket ◀── internal/ws ◀── outbox.go ◀── frame.go ◀── lifetime.go ◀── clients.go ◀──────────┘
//	           one write for   bounded       encode once   who is here,    All, Group, User, Client
//	           a backlog                     per protocol  in what group        │
//	                                                           ▲                │
//	                                            receive.go ────┴── backplane.go ┴──▶ other nodes
//
// A hub in twelve lines:
//
//	chat := hubbub.NewHub("chat", nil)
//	chat.Handle("SendMessage", hubbub.Action2(func(ctx context.Context, user, message string) error {
//		return chat.All().Send(ctx, "ReceiveMessage", user, message)
//	}))
//	signalr.MapHub(http.DefaultServeMux, "/chat", chat, nil)
//	log.Fatal(http.ListenAndServe("localhost:8080", nil))
//
// # Promises
//
// Messages sent by one goroutine to one connection arrive in the order sent. Across nodes that holds per sending node.
//
// Send never waits for a network. It fails only if an argument cannot be encoded or the backplane refuses.
//
// A connection whose queue is full ([Options.MaximumQueuedBytes]) because its peer does not read is closed, alone, and counted
// in [Stats]. Nobody waits for it. Items of a stream and results of calls wait for room instead, for [Options.SendTimeout], so
// that a long stream is slowed down and not cut.
//
// Methods of one connection run in the order of its calls, one at a time. With a greater
// [Options.MaximumParallelInvocationsPerClient] that many run beside each other, in no order. Reading never waits for a method:
// completions, cancellations and pings behind a running call are heard. Calls with streams run beside the others.
//
// Only registered methods can be called. A panic in a method ends that call only; one in OnConnected ends that connection
// only.
//
// Nothing that a client sends grows memory without a limit: messages, calls that wait, streams and their items, what waits to
// be written. Each limit is a field of [Options] or of the dialect's options, with its default in the comment.
package hubbub
