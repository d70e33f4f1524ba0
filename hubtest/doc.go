// Package hubtest tests hubs and clients in memory: no port, no sleep, and inside a bubble of [testing/synctest] no time either.
//
//	           hubtest.Connect(t, hub, "ann")
//	                       │
//	   Conn ── Expect ─────┤                         hub methods
//	    │                  │                              ▲
//	    ▼                  ▼                              │
//	signalr.Client ══ hubtest.Link ══ hubtest.Server ── signalr.Handler
//	                    Drop, Down/Up
//	                    Stall/Resume
//	                    Delay, HalfOpen
//
// Everything between the two ends is real: the client of package signalr, the negotiation, the WebSocket, the hub protocol
// and the handler. Only the network is not: a [Link] carries the bytes in memory, and does to them what networks do when it is
// told to. So there are three ways in:
//
//   - [Context] gives a hub method a caller, and no connection at all. The method is an ordinary function then.
//   - [Connect] joins a hub. [Expect] waits for what the hub sends and [ExpectNothing] knows that it sends nothing.
//   - [NewServer] serves any handler, to test a client over all transports with [Link.HTTPClient], be it one of signalr or of
//     classic, or a whole application with [Server.Connect].
//
// # Time
//
// Inside synctest.Test time stands still while anything happens and leaps when nothing does. A reconnect after 0, 2, 10 and 30
// seconds takes no time there, a server timeout of 30 s is found after 30 s exactly, and "nothing was sent" is a fact. Make
// the hub, the server and the connections inside the bubble: it can only tell that everything waits when all of it is its
// own, and a test with a hub from outside hangs. Stop what your own code has started before the test ends, as always in a
// bubble. All but [ExpectNothing] works outside too, in real time.
//
// A test fails as usual: with t.Fatal, in the goroutine of the test.
package hubtest
