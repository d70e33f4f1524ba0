package box

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Refusal is the error of a handler that has found that a message must not be done as the rules are: no other try would change
// it. Its text is for the one who wanted it.
type Refusal struct {
	// Kind names the rule, such as UnknownItemException.
	Kind string
	// Text says what is wrong, for a person.
	Text string
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

// Refuse returns a [Refusal].
func Refuse(kind, format string, args ...any) error {
	return &Refusal{kind, fmt.Sprintf(format, args...)}
}

// ErrIgnored is the error of a handler that has nothing to do with a message now, and might have later: nothing of it stays, and the
// inbox does not know it, so that it is handled should it come again.
var ErrIgnored = errors.New("the message is ignored")

// Later is the error of a handler that cannot do a message yet, because another one has to come first. It comes again after the
// pause; after a hundred attempts it becomes a dead letter.
type Later struct {
	// Why is for the log.
	Why string
	// Pause is 200 ms by default.
	Pause time.Duration
}

// Error returns why.
func (l *Later) Error() string { return l.Why }

// mostLater bounds the attempts of a message that is too early each time.
const mostLater = 100

// Fault tells that a command of type M was not done. Its topic is "Fault." and that of the command, its key that of the
// command.
type Fault[M Letter] struct {
	Message    M           `json:"message"`
	Exceptions []Exception `json:"exceptions"`
	Timestamp  time.Time   `json:"timestamp"`
	// Final says that the receiver remembers to have refused it: the same command sent again gets the same fault. Otherwise the
	// fault was technical, and a copy of the command may still be done.
	Final bool `json:"final"`
}

// Exception is what went wrong.
type Exception struct {
	ExceptionType string `json:"exceptionType"`
	Message       string `json:"message"`
}

// Topic returns "Fault." and the topic of the command.
func (f Fault[M]) Topic() string { return FaultTopic(f.Message.Topic()) }

// Key returns the key of the command.
func (f Fault[M]) Key() string { return f.Message.Key() }

// Reason returns the text of the first exception.
func (f Fault[M]) Reason() string {
	if len(f.Exceptions) == 0 {
		return "unknown fault"
	}
	return f.Exceptions[0].Message
}

// FaultTopic returns the topic of the faults of a command.
func FaultTopic(command string) string { return "Fault." + command }

// fault is a [Fault] of a command whose type does not matter.
type fault struct {
	Message    json.RawMessage `json:"message"`
	Exceptions []Exception     `json:"exceptions"`
	Timestamp  time.Time       `json:"timestamp"`
	Final      bool            `json:"final"`
	topic, key string
}

func (f fault) Topic() string { return FaultTopic(f.topic) }
func (f fault) Key() string   { return f.key }

// kindOf names an error for an [Exception].
func kindOf(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Kind
	}
	return "TechnicalFault"
}

// IsFinal returns Final.
func (f Fault[M]) IsFinal() bool { return f.Final }
