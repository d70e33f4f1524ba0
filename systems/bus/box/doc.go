// Package box is the outbox and the inbox of a service: the two tables in its own database that make "changed the state and
// told the others" one thing, and "was told and changed the state" one thing, whatever crashes in between.
//
//	own database                                    bus                          own database
//	state + outbox row ──commit──▶ pump ──publish──▶ queue ──batch──▶ inbox row + state + outbox row ──commit──▶ ack
//	                               └─ removes the row after the ack of the bus
//
// A message is a Go value with a topic and a key ([Letter]). [Tx.Send] puts it into the outbox of a running transaction. A
// handler gets it in a transaction of the receiver, in which the inbox already knows topic and key: a double never reaches a
// handler. A double of a command is answered as the first one was, because whoever sends again has not had the answer.
//
// A handler that returns a [Refusal] has found that it must not be done: a business fault, told to the sender at once as a
// [Fault]. Any other error is technical: nothing of the transaction stays, and the message comes again after growing pauses. After
// the last one it becomes a dead letter of the bus, and for a command a [Fault] too. A database that does not answer is not the
// fault of a message: then it waits as long as it takes.
package box
