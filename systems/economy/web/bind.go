package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
)

// maximumBody bounds the bodies of requests.
const maximumBody = 64 << 10

// Body is a JSON object that came, read member by member: what is wrong with each is collected for one answer. Names of members match
// without regard to case.
type Body struct {
	members map[string]json.RawMessage
	errors  map[string][]string
}

// Read reads the body of a request.
func Read(w http.ResponseWriter, r *http.Request) (*Body, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maximumBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, Failure(http.StatusRequestEntityTooLarge, "The body has more than %d bytes.", maximumBody)
	}
	if err != nil {
		return nil, errGone
	}
	b := &Body{errors: make(map[string][]string)}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, invalid(map[string][]string{"$": {"The body is no JSON object."}})
	}
	b.members = make(map[string]json.RawMessage, len(members))
	for name, value := range members {
		b.members[fold(name)] = value
	}
	return b, nil
}

func fold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Wrong notes what is wrong with a member.
func (b *Body) Wrong(name, format string, args ...any) {
	b.errors[name] = append(b.errors[name], fmt.Sprintf(format, args...))
}

// Err returns the problem of all that was wrong, or nil.
func (b *Body) Err() error {
	if len(b.errors) == 0 {
		return nil
	}
	return invalid(b.errors)
}

// value decodes a member and reports whether it is there.
func (b *Body) value(name string, v any, want string) bool {
	raw, found := b.members[fold(name)]
	if !found || string(raw) == "null" {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil {
		b.Wrong(name, "The field %s is not %s.", name, want)
		return false
	}
	return true
}

// number is value for numbers, which may stand in a text as well, as in .NET.
func (b *Body) number(name string, v any, want string) bool {
	name = fold(name)
	var text string
	if raw := b.members[name]; len(raw) > 2 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil && strings.Trim(text, "-.0123456789") == "" {
		b.members[name] = json.RawMessage(text)
	}
	return b.value(name, v, want)
}

func (b *Body) missing(name string) {
	if len(b.errors[name]) == 0 {
		b.Wrong(name, "The field %s is required.", name)
	}
}

// Text returns a text of at most so many bytes, without zero bytes, which PostgreSQL cannot keep; a needed one has more than spaces.
func (b *Body) Text(name string, needed bool, most int) string {
	var s string
	b.value(name, &s, "a text")
	switch {
	case needed && strings.TrimSpace(s) == "":
		b.missing(name)
	case strings.ContainsRune(s, 0):
		b.Wrong(name, "The field %s has a character that no text has.", name)
	case len(s) > most:
		b.Wrong(name, "The field %s must have at most %d bytes.", name, most)
	}
	return s
}

// ID returns a needed id that is not all zeros.
func (b *Body) ID(name string) uuid.UUID {
	var s string
	if !b.value(name, &s, "an id") {
		b.missing(name)
		return uuid.Nil
	}
	id, err := ParseID(s)
	if err != nil {
		b.Wrong(name, "The field %s is not an id.", name)
	}
	return id
}

// ParseID reads an id in its usual form, in either case; all zeros is none.
func ParseID(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.Nil, fmt.Errorf("id of %d characters, want 36", len(s))
	}
	id, err := uuid.Parse(s)
	if err == nil && id == uuid.Nil {
		err = errors.New("id of zeros, want another one")
	}
	return id, err
}

// Int returns a needed whole number from least to most.
func (b *Body) Int(name string, least, most int64) int64 {
	var n int64
	if !b.number(name, &n, "a whole number") {
		b.missing(name)
		return 0
	}
	if n < least || n > most {
		b.Wrong(name, "The field %s must be between %d and %d.", name, least, most)
	}
	return n
}

// OptionalInt returns a whole number from least to most, or nil if there is none.
func (b *Body) OptionalInt(name string, least, most int64) *int64 {
	var n int64
	if !b.number(name, &n, "a whole number") {
		return nil
	}
	if n < least || n > most {
		b.Wrong(name, "The field %s must be between %d and %d.", name, least, most)
	}
	return &n
}

// Gil returns an amount from 0 to most; one that is not there is 0. Null is no amount: it is what JavaScript makes of an empty input.
func (b *Body) Gil(name string, most contracts.Gil) contracts.Gil {
	var g contracts.Gil
	if string(b.members[fold(name)]) == "null" {
		b.Wrong(name, "The field %s is not an amount.", name)
	} else if b.number(name, &g, "an amount") && (g < 0 || g > most) {
		b.Wrong(name, "The field %s must be between 0 and %s.", name, most)
	}
	return g
}
