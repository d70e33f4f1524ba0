package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub/systems/store"
)

// accepted is a notification on its way out.
type accepted struct {
	id         string
	seq        int64 // in the log of retained ones, 0 without retention
	topic      topic
	resourceID string
	publisher  string
	reference  string
	created    time.Time
	expires    int64 // milliseconds, 0: never
	body       json.RawMessage
}

func (a *accepted) expired(now time.Time) bool { return a.expires != 0 && a.expires <= millis(now) }

// order keeps notifications about one resource in the order in which they were taken, for all who get them.
type order [64]sync.Mutex

var orderSeed = maphash.MakeSeed()

func (o *order) of(resource, id string) *sync.Mutex {
	var h maphash.Hash
	h.SetSeed(orderSeed)
	h.WriteString(resource)
	h.WriteByte(0)
	h.WriteString(id)
	return &o[h.Sum64()%uint64(len(o))]
}

// PublishResource publishes that a resource has changed, from the server itself: sender and actor are SYSTEM. version 0 is
// none. objects are the resources concerned, any values that encoding/json can encode.
func (s *System) PublishResource(ctx context.Context, resource string, action Action, id string, version int64, objects ...any) (string, error) {
	c := Change{Name: resource, Action: action, Info: ResourceInfo{ID: id, Name: resource}, Resources: objects}
	if version != 0 {
		c.Info.Version = &version
	}
	return s.Publish(ctx, Notification{Event: ResourcesChanged, Payload: c})
}

// Publish publishes a notification and returns its id, or the id of the first one with the same reference. The server sets
// Created; a sender without a user name is SYSTEM, and so is an actor without one. Each connection that matches gets it once,
// each webhook too; notifications about one resource arrive in the order of these calls. One that has expired goes nowhere.
// Publish blocks for the database if a webhook or the retention wants the notification or it has a reference, and not for
// receivers. It fails with a [*ProblemDetails] for values that are not right.
func (s *System) Publish(ctx context.Context, n Notification) (string, error) {
	a, wrong := s.accept(&n)
	if len(wrong) > 0 {
		return "", invalid(wrong...)
	}
	var err error
	if a.body, err = encode(&n); err != nil {
		return "", fmt.Errorf("notify: publish: %w", err)
	}
	if a.expired(a.created) {
		return a.id, nil
	}
	lock := s.order.of(a.topic.resource, a.resourceID)
	if s.keep != nil {
		lock = &s.keep.mu
	}
	lock.Lock()
	defer lock.Unlock()
	hooks := s.hooks.match(a.topic)
	first, err := s.record(ctx, a, hooks)
	if err != nil {
		return "", fmt.Errorf("notify: publish: %w", err)
	}
	if first != a.id {
		return first, nil
	}
	ctx = context.WithoutCancel(ctx) // it is taken: everybody shall get it
	if err := s.deliver(ctx, a); err != nil {
		return "", fmt.Errorf("notify: publish: %w", err)
	}
	s.tell(ctx, &nodeMessage{Kind: kindNotification, ID: a.id, Seq: a.seq, Event: a.topic.event, Resource: a.topic.resource,
		Action: a.topic.action, Expires: a.expires, Body: a.body})
	s.courier.wake(hooks...)
	return a.id, nil
}

// accept checks a notification and fills what the server fills.
func (s *System) accept(n *Notification) (*accepted, []*badValue) {
	now := s.now()
	n.Created = Time{now}
	if n.Sender.User.User == "" {
		n.Sender.User = Identity{User: systemName, Device: systemName}
	}
	a := &accepted{id: newID(), publisher: n.Sender.User.User, created: now, topic: topic{event: n.Event}}
	var wrong []*badValue
	add := func(b *badValue) {
		if b != nil {
			wrong = append(wrong, b)
		}
	}
	add(tooLong("s.c", n.Sender.Connection, 128))
	if n.Reference != nil {
		add(tooLong("r", *n.Reference, 256))
		a.reference = *n.Reference
	}
	if n.Expires != nil {
		a.expires = max(1, millis(n.Expires.Time))
	}
	switch n.Event {
	case "":
		add(required("e"))
	case ResourcesChanged:
		wrong = append(wrong, s.acceptChange(n, a)...)
	case LicenceActivated:
		if n.Payload == nil {
			add(required("p"))
		}
	default:
		add(bad("e", "unknown event %q", clip(n.Event)))
	}
	return a, wrong
}

func (s *System) acceptChange(n *Notification, a *accepted) []*badValue {
	var c Change
	switch p := n.Payload.(type) {
	case Change:
		c = p
	case *Change:
		if p == nil {
			return []*badValue{required("p")}
		}
		c = *p
	case nil:
		return []*badValue{required("p")}
	default:
		return []*badValue{bad("p", "payload of %s is a %T, want a Change", n.Event, p)}
	}
	var wrong []*badValue
	add := func(b *badValue) {
		if b != nil {
			wrong = append(wrong, b)
		}
	}
	name, b := s.names.check("p.n", c.Name)
	add(b)
	if c.Action < Created || c.Action > Deleted {
		add(bad("p.a", "action is %d, want 1 to 3", c.Action))
	}
	if c.Info.ID == "" {
		add(required("p.i.i"))
	}
	add(tooLong("p.i.i", c.Info.ID, 256))
	if c.Info.Name == "" {
		c.Info.Name = c.Name
	}
	if s.names.normal(c.Info.Name) != name && b == nil {
		add(bad("p.i.n", "resource name %q, want that of the change, %q", clip(c.Info.Name), c.Name))
	}
	if c.User.User == "" {
		c.User = n.Sender.User
	}
	if c.Resources == nil {
		c.Resources = []any{}
	}
	a.topic.resource, a.topic.action, a.resourceID = name, c.Action, c.Info.ID
	n.Payload = c
	return wrong
}

func tooLong(member, v string, most int) *badValue {
	if len(v) <= most {
		return nil
	}
	return bad(member, "%s has %d bytes, want at most %d", member, len(v), most)
}

// errDuplicate rolls the transaction of a notification back whose reference is known.
var errDuplicate = errors.New("the reference is known")

// record stores what must outlast the process: the reference, the retained copy, the deliveries of webhooks, all or nothing.
// It returns the id of the first notification with the same reference, or its own.
func (s *System) record(ctx context.Context, a *accepted, hooks []string) (first string, err error) {
	dedupe := a.reference != "" && s.config.DedupeWindow > 0
	if !dedupe && s.keep == nil && len(hooks) == 0 {
		return a.id, nil
	}
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		first = a.id
		if dedupe {
			n, err := tx.Exec(ctx, `INSERT INTO reference (publisher, reference, notification, at) VALUES (?, ?, ?, ?)
				ON CONFLICT (publisher, reference) DO UPDATE SET notification = excluded.notification, at = excluded.at
				WHERE reference.at <= ?`,
				a.publisher, a.reference, a.id, millis(a.created), millis(a.created.Add(-s.config.DedupeWindow)))
			if err != nil {
				return err
			}
			if n == 0 {
				err := tx.QueryRow(ctx, "SELECT notification FROM reference WHERE publisher = ? AND reference = ?",
					a.publisher, a.reference).Scan(&first)
				if err != nil {
					return err
				}
				return errDuplicate
			}
		}
		if s.keep != nil {
			err := tx.QueryRow(ctx, `INSERT INTO retained (event, resource, action, created, expires, body) VALUES (?, ?, ?, ?, ?, ?)
				RETURNING seq`, a.topic.event, a.topic.resource, int64(a.topic.action), millis(a.created), a.expires, string(a.body)).Scan(&a.seq)
			if err != nil {
				return err
			}
		}
		for _, id := range hooks { // a webhook that was removed just now gets nothing
			_, err := tx.Exec(ctx, `INSERT INTO delivery (webhook, notification, body, created, expires, tries, due, lease, parked, error)
				SELECT id, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), 0, 0, 0, FALSE, ''
				FROM webhook WHERE id = ?`, a.id, string(a.body), millis(a.created), a.expires, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errDuplicate) {
		err = nil
	}
	return first, err
}

// deliver sends a notification to the connections of this node that match. With retention its caller holds the keeper's lock.
func (s *System) deliver(ctx context.Context, a *accepted) error {
	if a.expired(s.now()) {
		return nil
	}
	ids := s.index.match(a.topic)
	if s.keep != nil {
		ids = s.keep.delivered(a.seq, ids)
	}
	if len(ids) == 0 {
		return nil
	}
	return s.hub.Clients(ids...).Send(ctx, "OnEvent", a.body)
}
