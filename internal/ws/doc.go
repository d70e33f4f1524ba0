// Package ws is the server side of RFC 6455 on a hijacked net/http connection, and the
// flusher that writes to many such connections.
//
//	handler:  Accept ─▶ Conn        owner's goroutine:  Conn.Read(onData)
//
//	Source ◀─ Fill ── flusher, one per core ── one non-blocking write a turn ──▶ socket
//	  └─ Wake ─▶ FIFO ─┘     └─ short write: one goroutine for that connection alone
//
// Reading hands on payload bytes as they come and never collects a message, so the memory
// of a connection does not depend on what its peer announces. Writing takes whole frames
// from a [Source], as many as fit in one turn, so that a backlog becomes few system calls.
// A connection whose peer does not read leaves the flusher and cannot slow another one.
//
// On plain TCP and Unix sockets an idle connection holds one waiting goroutine and no
// buffer. TLS and other wrapped connections hold one read buffer while they wait and are
// written to by a goroutine of their own that lives while there is something to write.
//
// Extensions, and so compression, are never negotiated.
package ws
