package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The events of the system.
const (
	// ResourcesChanged is the event of a resource that was created, updated or deleted. Its payload is a [Change].
	ResourcesChanged = "portos.resources.changed"
	// LicenceActivated is the event of an activated licence. Its payload is a [License].
	LicenceActivated = "portos.licence.activated"
)

// System is the user name and the device name of the server itself as a sender.
const systemName = "SYSTEM"

// Action is what was done to a resource. Notifications have it as a number, subscriptions as a word.
type Action uint8

// The actions.
const (
	Created Action = 1
	Updated Action = 2
	Deleted Action = 3
)

var actionWords = [...]string{Created: "created", Updated: "updated", Deleted: "deleted"}

// String returns the word of the action: created, updated or deleted.
func (a Action) String() string {
	if a >= Created && a <= Deleted {
		return actionWords[a]
	}
	return fmt.Sprintf("action %d", uint8(a))
}

// parseAction returns the action with that word, in any case, or 0.
func parseAction(word string) Action {
	for a := Created; a <= Deleted; a++ {
		if strings.EqualFold(actionWords[a], word) {
			return a
		}
	}
	return 0
}

// Time is a time as the wire has it: ISO 8601 in UTC with milliseconds and Z.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the time as "2006-01-02T15:04:05.000Z".
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + timeFormat + `"`)), nil
}

// UnmarshalJSON reads an ISO 8601 time with Z or an offset; one without either is in UTC.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := parseTime(s)
	t.Time = v
	return err
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: want ISO 8601 such as 2006-01-02T15:04:05.000Z", clip(s))
}

// Notification is what clients receive as OnEvent, and webhooks as their body. A nil pointer is written as null.
type Notification struct {
	// Event is [ResourcesChanged] or [LicenceActivated].
	Event string `json:"e"`
	// Sender says who sends it.
	Sender Sender `json:"s"`
	// Reference is chosen by the publisher: of two notifications of one publisher with the same reference within the dedupe
	// window, only the first is delivered. At most 256 bytes.
	Reference *string `json:"r"`
	// Created is when the server took it; the server sets it.
	Created Time `json:"ca"`
	// Expires is when it is of no use any more: from then on it is not delivered.
	Expires *Time `json:"ea"`
	// Payload is a [Change] for ResourcesChanged, a [License] for LicenceActivated.
	Payload any `json:"p"`
}

// Sender is who sends a notification.
type Sender struct {
	// Connection is the id of the hub connection that caused it, as the publisher says, so that its client recognises its own
	// doing; "" if there is none. At most 128 bytes.
	Connection string `json:"c"`
	// User is who published it; the server's own have SYSTEM as user and as device.
	User Identity `json:"u"`
}

// Identity is a user at a device.
type Identity struct {
	User   string `json:"u"`
	Device string `json:"d"`
	// Feature is the module of the system that acts, for virtual users; else nil.
	Feature *string `json:"f"`
}

// Change is the payload of [ResourcesChanged].
type Change struct {
	// User is who changed the resource.
	User Identity `json:"u"`
	// Name is the name of the resource, such as tickets. At most 128 bytes.
	Name string `json:"n"`
	// Action is what was done.
	Action Action `json:"a"`
	// Info names the one resource.
	Info ResourceInfo `json:"i"`
	// Resources are the resources concerned, in full, as JSON values; nil is written as [].
	Resources []any `json:"r"`
}

// ResourceInfo names a resource.
type ResourceInfo struct {
	// ID identifies the resource among those of its name. At most 256 bytes.
	ID string `json:"i"`
	// Name is the name of the resource; "" is set to that of the change.
	Name string `json:"n"`
	// Version grows with every change; nil if there is none.
	Version *int64 `json:"v"`
}

// encode returns the JSON of v without escapes that only HTML needs.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// clip returns a text from outside, short enough for a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
