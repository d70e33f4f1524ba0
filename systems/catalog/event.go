package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ResourceEventType says what happened to a resource. On the wire it is a number; its name is read, too.
type ResourceEventType int

// What happens to resources.
const (
	Added ResourceEventType = iota
	Updated
	Deleted
	Moved
	Renamed
	MetadataChanged
	ContentChanged
	LockChanged
)

var eventNames = []string{"Added", "Updated", "Deleted", "Moved", "Renamed", "MetadataChanged", "ContentChanged", "LockChanged"}

// String returns the name.
func (t ResourceEventType) String() string {
	if t < 0 || int(t) >= len(eventNames) {
		return "ResourceEventType(" + strconv.Itoa(int(t)) + ")"
	}
	return eventNames[t]
}

// UnmarshalJSON reads a number or a name, in any case.
func (t *ResourceEventType) UnmarshalJSON(b []byte) error {
	n, err := readEnum(b, eventNames)
	*t = ResourceEventType(n)
	return err
}

// ResourceUpdate is what Centro publishes about a resource of a part.
type ResourceUpdate struct {
	EventType    ResourceEventType
	PartKey      string
	ResourceKey  string
	ResourceName *string
	ParentKey    *string
	OldPath      *string
	NewPath      *string
	Version      *int
	ChangedBy    *string
	Timestamp    time.Time
	Properties   map[string]any
}

// JobStatus is how far a job is. On the wire it is a number; its name is read, too.
type JobStatus int

// The states of a job.
const (
	Queued JobStatus = iota
	Running
	Paused
	Succeeded
	Failed
	Cancelled
)

var statusNames = []string{"Queued", "Running", "Paused", "Succeeded", "Failed", "Cancelled"}

// String returns the name.
func (s JobStatus) String() string {
	if s < 0 || int(s) >= len(statusNames) {
		return "JobStatus(" + strconv.Itoa(int(s)) + ")"
	}
	return statusNames[s]
}

// UnmarshalJSON reads a number or a name, in any case.
func (s *JobStatus) UnmarshalJSON(b []byte) error {
	n, err := readEnum(b, statusNames)
	*s = JobStatus(n)
	return err
}

// CanBecome reports whether a job may go from one state to the other: a failed one may be queued again, one that has succeeded
// or was cancelled stays so.
func (s JobStatus) CanBecome(next JobStatus) bool {
	switch s {
	case Queued:
		return next == Running || next == Cancelled
	case Running:
		return next == Paused || next == Succeeded || next == Failed || next == Cancelled
	case Paused:
		return next == Running || next == Succeeded || next == Failed || next == Cancelled
	case Failed:
		return next == Queued
	}
	return false
}

// MiniJob is what Centro publishes about a job of a pipeline.
type MiniJob struct {
	ID         string `json:"Id"`
	PipelineID string `json:"PipelineId"`
	Name       string
	Status     JobStatus
	Progress   *int
	Stage      *string
	Priority   *int
	Owner      *string
	CreatedAt  *time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
	UpdatedAt  *time.Time
	Error      *string
}

func readEnum(b []byte, names []string) (int, error) {
	var name string
	if json.Unmarshal(b, &name) == nil {
		i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
		if i < 0 {
			return 0, fmt.Errorf("%q, want one of %s", name, strings.Join(names, ", "))
		}
		return i, nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 || n >= len(names) {
		return 0, fmt.Errorf("%s, want a number from 0 to %d or a name", b, len(names)-1)
	}
	return n, nil
}

// belongs checks that raw is one JSON value and says nothing else about its key than the address does. member is the name that
// the key has in it.
func belongs(raw []byte, member, key string) error {
	if !json.Valid(raw) {
		return fmt.Errorf("the body is no JSON")
	}
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	for name, value := range object {
		if !strings.EqualFold(name, member) || string(value) == "null" {
			continue
		}
		text := string(value)
		_ = json.Unmarshal(value, &text) // a number stays as it is written
		if text != key {
			return fmt.Errorf("%s is %.60q in the body and %.60q in the address, want the same", name, text, key)
		}
	}
	return nil
}

// typed reads raw as a T and returns it as the clients of Centro know it.
func typed[T any](raw []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var v T
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("the body is no %T: %w", v, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("the body has more than one JSON value")
	}
	return json.Marshal(v)
}
