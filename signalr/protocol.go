package signalr

import (
	"github.com/hubbub-go/hubbub"
)

// protocol is what this package needs of a hub protocol beyond [hubbub.Protocol]: the way back from bytes to messages.
type protocol interface {
	hubbub.Protocol
	hubbub.Decoder

	// binary reports whether the protocol needs a transport that carries bytes (transfer format Binary).
	binary() bool
	// next cuts the first record off buf. n is the number of bytes it takes with its delimiter, 0 if buf does not hold a whole
	// record yet. record is what parse wants and aliases buf. max is the largest n allowed, 0 for no limit; a record that is, or
	// announces to be, longer fails with the sentence of the size limit.
	next(buf []byte, max int) (record []byte, n int, err error)
	// parse reads one record. The message owns record from then on. A record of an unknown type gives nil, nil. An error ends
	// the connection; it is a [hubbub.Classify] error with the class and sentence of ASP.NET Core.
	parse(record []byte) (hubbub.Message, error)
}

// Message types that only this dialect has (HubProtocol.md, "Ack Message Encoding", "Sequence Message Encoding").
const (
	typeAck      hubbub.MessageType = 8
	typeSequence hubbub.MessageType = 9
)

// ack says that every trackable message up to SequenceID was received.
type ack struct{ SequenceID int64 }

func (ack) Type() hubbub.MessageType { return typeAck }

// sequence says which id the next trackable message has.
type sequence struct{ SequenceID int64 }

func (sequence) Type() hubbub.MessageType { return typeSequence }
