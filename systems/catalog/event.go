package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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
			return 0, fmt.Errorf("%.60q, want one of %s", name, strings.Join(names, ", "))
		}
		return i, nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 || n >= len(names) {
		return 0, fmt.Errorf("%.60s, want a number from 0 to %d or a name", b, len(names)-1)
	}
	return n, nil
}

// belongs checks that raw is one JSON value in UTF-8 and says nothing else about its key than the address does. member is the
// name that the key has in it.
func belongs(raw []byte, member, key string) error {
	if !json.Valid(raw) || !utf8.Valid(raw) {
		return errors.New("the event is not one JSON value in UTF-8")
	}
	if raw[0] != '{' {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return fmt.Errorf("the event: %w", err)
	}
	for name, value := range object {
		if !strings.EqualFold(name, member) || string(value) == "null" {
			continue
		}
		text := string(value)
		_ = json.Unmarshal(value, &text) // a number stays as it is written
		if text != key {
			return fmt.Errorf("%s is %q in the event and %q in the address, want the same", name, clip(text), clip(key))
		}
	}
	return nil
}

// readResource reads an event of a part and returns it as the clients of Centro know it.
func readResource(raw []byte, partKey string) ([]byte, error) {
	var u ResourceUpdate
	if err := read(raw, &u, "EventType", "ResourceKey"); err != nil {
		return nil, err
	}
	u.PartKey = partKey
	return u.encode()
}

// readJob reads an event of a pipeline and returns it as the clients of Centro know it.
func readJob(raw []byte, pipeID string) ([]byte, error) {
	var j MiniJob
	if err := read(raw, &j, "Id", "Status"); err != nil {
		return nil, err
	}
	j.PipelineID = pipeID
	return j.encode()
}

// encode checks the update and writes it. One without a time has the present one.
func (u *ResourceUpdate) encode() ([]byte, error) {
	switch {
	case u.ResourceKey == "":
		return nil, errors.New("ResourceKey is empty, want the key of a resource")
	case u.EventType < 0 || int(u.EventType) >= len(eventNames):
		return nil, fmt.Errorf("EventType is %d, want a number from 0 to %d", u.EventType, len(eventNames)-1)
	}
	own := *u
	if own.Timestamp.IsZero() {
		own.Timestamp = time.Now()
	}
	own.Timestamp = own.Timestamp.UTC()
	return encode(own)
}

// encode checks the job and writes it.
func (j *MiniJob) encode() ([]byte, error) {
	switch {
	case j.ID == "":
		return nil, errors.New("the job's Id is empty, want the id of a job")
	case j.Status < 0 || int(j.Status) >= len(statusNames):
		return nil, fmt.Errorf("the job's Status is %d, want a number from 0 to %d", j.Status, len(statusNames)-1)
	case j.Progress != nil && (*j.Progress < 0 || *j.Progress > 100):
		return nil, fmt.Errorf("the job's Progress is %d, want a number from 0 to 100", *j.Progress)
	}
	own := *j
	for _, t := range []**time.Time{&own.CreatedAt, &own.StartedAt, &own.FinishedAt, &own.UpdatedAt} {
		if *t != nil {
			utc := (*t).UTC()
			*t = &utc
		}
	}
	return encode(own)
}

// read decodes an object with no other members than those of v, the required ones among them, and keeps all digits of numbers.
func read(raw []byte, v any, required ...string) error {
	var names map[string]json.RawMessage
	if json.Unmarshal(raw, &names) != nil || names == nil {
		return errors.New("the event is no object, want one with " + strings.Join(required, " and "))
	}
	for _, want := range required {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(names)), func(name string) bool { return strings.EqualFold(name, want) }) {
			return errors.New(want + " is missing")
		}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	d.UseNumber()
	err := d.Decode(v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is a %s, want %s", wrong.Field, wrong.Value, wrong.Type)
	}
	if err != nil {
		return errors.New("the event: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// encode writes v with its texts as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
