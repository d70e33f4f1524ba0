// Package dial connects to a hub of another server, whichever generation of SignalR that server speaks: it asks by negotiating.
//
//	Connect ── POST negotiate ──▶ Core: a connection of package signalr
//	                         └──▶ neither 200 nor Core: a connection of package classic, with one hub on it
//
// One attempt is made; when to try again is the caller's affair, since what a server speaks may change when it comes back.
package dial
