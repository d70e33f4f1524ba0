package notify

import (
	"encoding/json"
	"math"
	"net/http"

	"github.com/hubbub-go/hubbub"
)

// maxDepth bounds how deep the values of a notification are nested: .NET clients read no more than 64 levels.
const maxDepth = 48

func (s *System) postNotification(w http.ResponseWriter, r *http.Request) error {
	u := hubbub.UserFrom(r.Context())
	if !u.HasScope(ScopePublish) && !hasRight(u, ScopePublish) {
		return problem(http.StatusForbidden, ErrorUnauthorized, "The scope "+ScopePublish+" is needed.")
	}
	who := identity(u)
	if who.User == "" {
		return problem(http.StatusForbidden, ErrorUnauthorized, "The token names no user; a notification needs one, or it would be the server's own.")
	}
	if err := s.licenceError(s.now()); err != nil {
		return err
	}
	raw, body, err := readRaw(w, r, s.config.Limits.NotificationBytes)
	if err != nil {
		return err
	}
	n, wrong := parseNotification(raw, body)
	n.Sender.User = who
	if len(wrong) > 0 {
		_, more := s.accept(&n) // what else is wrong
		return invalid(unite(wrong, more)...)
	}
	id, err := s.Publish(r.Context(), n)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"id": id})
	return nil
}

// unite adds those of more that are about other members.
func unite(wrong, more []*badValue) []*badValue {
	known := make(map[string]bool)
	for _, b := range wrong {
		known[b.member] = true
	}
	for _, b := range more {
		if !known[b.member] {
			wrong = append(wrong, b)
		}
	}
	return wrong
}

// reader collects what is wrong while it reads members.
type reader struct{ wrong []*badValue }

func (x *reader) add(b *badValue) {
	if b != nil {
		x.wrong = append(x.wrong, b)
	}
}

// object returns an object member, nil where it is missing.
func (x *reader) object(m map[string]any, name, at string) map[string]any {
	v := member(m, name)
	if v == nil {
		return nil
	}
	o, ok := object(v)
	if !ok {
		x.add(bad(at, "%s is %s, want an object", at, show(v)))
	}
	return o
}

// text returns a text member, "" where it is missing.
func (x *reader) text(m map[string]any, name, at string) string {
	v := member(m, name)
	if v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		x.add(bad(at, "%s is %s, want a text", at, show(v)))
	}
	return s
}

// identity reads a user at a device.
func (x *reader) identity(m map[string]any, at string) Identity {
	id := Identity{User: x.text(m, "u", at+".u"), Device: x.text(m, "d", at+".d")}
	if f := x.text(m, "f", at+".f"); f != "" {
		id.Feature = &f
	}
	x.add(tooLong(at+".u", id.User, 256))
	x.add(tooLong(at+".d", id.Device, 256))
	return id
}

// parseNotification reads a published notification. Members that the server fills are not looked at.
func parseNotification(raw []byte, body map[string]any) (Notification, []*badValue) {
	x := new(reader)
	var n Notification
	n.Event = x.text(body, "e", "e")
	n.Sender.Connection = x.text(x.object(body, "s", "s"), "c", "s.c")
	if ref := x.text(body, "r", "r"); ref != "" {
		n.Reference = &ref
	}
	if at := x.text(body, "ea", "ea"); at != "" {
		t, err := parseTime(at)
		if err != nil {
			x.add(bad("ea", "%v", err))
		}
		n.Expires = &Time{t}
	}
	if depth(body, maxDepth+1) > maxDepth {
		x.add(bad("p", "the payload is nested more than %d levels deep", maxDepth))
	}
	// The values of the publisher go out as they came, digits and order of members too.
	var values struct {
		P struct{ R []json.RawMessage }
	}
	var whole struct{ P json.RawMessage }
	p := x.object(body, "p", "p")
	switch {
	case p == nil:
	case n.Event == ResourcesChanged:
		c := x.change(p)
		if json.Unmarshal(raw, &values) == nil {
			for _, v := range values.P.R {
				c.Resources = append(c.Resources, v)
			}
		}
		n.Payload = c
	case json.Unmarshal(raw, &whole) == nil:
		n.Payload = whole.P
	}
	return n, x.wrong
}

// change reads the payload of a changed resource, but for its resources.
func (x *reader) change(p map[string]any) Change {
	c := Change{Name: x.text(p, "n", "p.n")}
	if u := x.object(p, "u", "p.u"); u != nil {
		c.User = x.identity(u, "p.u")
	}
	switch a := member(p, "a").(type) {
	case nil:
		x.add(required("p.a"))
	case string:
		if c.Action = parseAction(a); c.Action == 0 {
			x.add(bad("p.a", "unknown action %q, want created, updated or deleted, or 1 to 3", clip(a)))
		}
	case json.Number:
		i, err := a.Int64()
		if err != nil || i < int64(Created) || i > int64(Deleted) {
			x.add(bad("p.a", "action is %s, want 1 to 3, or created, updated or deleted", clip(a.String())))
			break
		}
		c.Action = Action(i)
	default:
		x.add(bad("p.a", "action is %s, want created, updated or deleted, or 1 to 3", show(a)))
	}
	info := x.object(p, "i", "p.i")
	c.Info = ResourceInfo{ID: x.text(info, "i", "p.i.i"), Name: x.text(info, "n", "p.i.n")}
	if v, wrong := whole(info, "v", math.MinInt64, math.MaxInt64); wrong != nil {
		x.add(bad("p.i.v", "version is %s, want a whole number", show(member(info, "v"))))
	} else if member(info, "v") != nil {
		c.Info.Version = &v
	}
	if r := member(p, "r"); r != nil {
		if _, ok := r.([]any); !ok {
			x.add(bad("p.r", "p.r is %s, want a list", show(r)))
		}
	}
	return c
}

// depth returns how deep v is nested, or most once it is as deep as that.
func depth(v any, most int) int {
	if most == 0 {
		return 0
	}
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n = max(n, depth(e, most-1))
		}
	case []any:
		for _, e := range v {
			n = max(n, depth(e, most-1))
		}
	default:
		return 0
	}
	return n + 1
}
