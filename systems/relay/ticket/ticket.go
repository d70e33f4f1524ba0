package ticket

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Ticket asks for a view model to be run for an object. Whoever makes one sets the first six fields; the others are set by the
// queue. Times are UTC in whole milliseconds, zero for none.
type Ticket struct {
	// ViewModel is the name of a view model, or "Class.Method" for a function. At most 250 bytes. Whether there is one is found
	// out when the ticket runs.
	ViewModel string
	// RootID is the external id of the object: class|id, or a GUID. At most 250 bytes. Looked at when the ticket runs.
	RootID string
	// Priority says which of the ready tickets run first: the lower ones, then those without, the older ones first. It must fit
	// 32 bits. Default nil: none.
	Priority *int
	// ExecuteEarliest is when the ticket becomes ready. Default: at once.
	ExecuteEarliest time.Time
	// KeepReceiptMinutes is how long the ticket is kept after it is done; 0 removes it at once. Default nil: 10.
	KeepReceiptMinutes *int
	// Key is a text of at most 1000 bytes: as long as there is a ticket with that key, no other one is made. Default "": none.
	Key string

	// ID is the name of the ticket.
	ID string
	// CreateTime is when it was made, Done when it was done, and DeleteTime when it is removed afterwards.
	CreateTime, Done, DeleteTime time.Time
	// Error says why the ticket has failed, in at most 2048 bytes. "" if it has not.
	Error string
	// Attempts counts its runs, the one that goes on included.
	Attempts int
	// State it is in.
	State State
}

// State of a ticket.
type State int

// The states: waiting for its time, ready to run, running, done, failed. A failed ticket stays until somebody has it run again.
const (
	Waiting State = iota
	Ready
	Running
	Done
	Failed
)

var stateNames = [...]string{"waiting", "ready", "running", "done", "failed"}

// String returns the name of the state, as REST has it.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("state %d", int(s))
	}
	return stateNames[s]
}

// ParseState returns the state of that name, without regard to case.
func ParseState(name string) (State, error) {
	for s, n := range stateNames {
		if strings.EqualFold(n, name) {
			return State(s), nil
		}
	}
	return 0, fmt.Errorf("state %q: want one of %s", clip(name), strings.Join(stateNames[:], ", "))
}

// What callers of a [Queue] can test for.
var (
	// ErrInvalid says that a ticket or an object cannot be taken as it is; the text says why.
	ErrInvalid = errors.New("invalid")
	// ErrNoTicket says that there is no ticket of that id.
	ErrNoTicket = errors.New("no such ticket")
	// ErrNotFailed says that only a failed ticket can run again.
	ErrNotFailed = errors.New("the ticket has not failed")
	// ErrNoObject says that there is no object of that external id.
	ErrNoObject = errors.New("no such object")
)

// check says why a ticket cannot be stored.
func (t *Ticket) check() error {
	if err := checkText("viewModel", t.ViewModel); err != nil {
		return err
	}
	if err := checkText("rootId", t.RootID); err != nil {
		return err
	}
	if p := t.Priority; p != nil && (*p < math.MinInt32 || *p > math.MaxInt32) {
		return fmt.Errorf("%w: priority %d, want a number of 32 bits", ErrInvalid, *p)
	}
	if k := t.KeepReceiptMinutes; k != nil && (*k < 0 || *k > maxKeep) {
		return fmt.Errorf("%w: keepReceiptMinutes %d, want 0 to %d", ErrInvalid, *k, maxKeep)
	}
	if e := t.ExecuteEarliest; !e.IsZero() && (e.Year() < 1 || e.Year() > 9999) {
		return fmt.Errorf("%w: executeEarliest in the year %d, want 1 to 9999", ErrInvalid, e.Year())
	}
	return checkLong("key", t.Key)
}

// checkLong is checkText for what people do not write.
func checkLong(name, s string) error {
	if len(s) > maxKey || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%w: %s of %d bytes, want at most %d of text", ErrInvalid, name, len(s), maxKey)
	}
	return nil
}

func checkText(name, s string) error {
	switch {
	case len(s) > maxText:
		return fmt.Errorf("%w: %s of %d bytes, want at most %d", ErrInvalid, name, len(s), maxText)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %s is not UTF-8", ErrInvalid, name)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%w: %s has control characters", ErrInvalid, name)
	}
	return nil
}

var guid = regexp.MustCompile(`^\{?[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}\}?$`)

// CheckID says what is wrong with an external id: it must be class|id, or a GUID, in at most 250 bytes. The error is an
// [ErrInvalid].
func CheckID(id string) error {
	if err := checkText("external id", id); err != nil {
		return err
	}
	class, rest, found := strings.Cut(id, "|")
	if found && class != "" && rest != "" && !strings.Contains(rest, "|") || !found && guid.MatchString(id) {
		return nil
	}
	return fmt.Errorf("%w: external id %q, want class|id or a GUID", ErrInvalid, clip(id))
}

func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
