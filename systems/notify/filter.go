package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Subscription is what a client asks for with Subscribe: an event, and for [ResourcesChanged] the resources and actions it
// wants to hear of.
type Subscription struct {
	Event string `json:"e"`
	// Resources that are wanted; none means all of them.
	Resources []SubscriptionResource `json:"r,omitempty"`
}

// SubscriptionResource is one resource of a [Subscription].
type SubscriptionResource struct {
	Name string `json:"n"`
	// Actions that are wanted, by word; none means all of them.
	Actions []string `json:"a,omitempty"`
}

// actions is a set of actions.
type actions uint8

const allActions actions = 1<<Created | 1<<Updated | 1<<Deleted

func (s actions) has(a Action) bool { return s&(1<<a) != 0 }

// filter is a subscription in its normal form: two that want the same are equal, however they were written.
type filter struct {
	event     string
	resources map[string]actions // nil: all resources
}

// topic is what a notification is about, as far as filters look at it.
type topic struct {
	event    string
	resource string
	action   Action
}

func (f *filter) matches(t topic) bool {
	if f.event != t.event {
		return false
	}
	return f.resources == nil || f.resources[t.resource].has(t.action)
}

// key is a text that is the same for equal filters.
func (f *filter) key() string {
	var b strings.Builder
	b.WriteString(f.event)
	for _, name := range slices.Sorted(maps.Keys(f.resources)) {
		fmt.Fprintf(&b, "\n%d %s", f.resources[name], name)
	}
	return b.String()
}

// subscription returns the filter as a client would write it, in a fixed order.
func (f *filter) subscription() Subscription {
	s := Subscription{Event: f.event}
	for _, name := range slices.Sorted(maps.Keys(f.resources)) {
		r := SubscriptionResource{Name: name}
		if set := f.resources[name]; set != allActions {
			for a := Created; a <= Deleted; a++ {
				if set.has(a) {
					r.Actions = append(r.Actions, a.String())
				}
			}
		}
		s.Resources = append(s.Resources, r)
	}
	return s
}

// badValue is what is wrong with a request: the member, and a sentence that names the value.
type badValue struct {
	member string
	text   string
	code   int // of the validation error, 0 for none
}

func (e *badValue) Error() string { return e.text }

func bad(member, format string, args ...any) *badValue {
	return &badValue{member: member, text: fmt.Sprintf(format, args...)}
}

func required(member string) *badValue {
	return &badValue{member: member, text: member + " is missing", code: codeRequired}
}

// names are the rules for names of resources.
type names struct {
	list  map[string]bool // nil: any
	fold  bool
	limit Limits
}

// normal returns a name as it is compared.
func (n *names) normal(name string) string {
	if n.fold {
		return strings.ToLower(name)
	}
	return name
}

// check returns the normal form of a resource name, or what is wrong with it.
func (n *names) check(member, name string) (string, *badValue) {
	switch {
	case name == "":
		return "", required(member)
	case len(name) > n.limit.NameBytes:
		return "", bad(member, "resource name %q has %d bytes, want at most %d", clip(name), len(name), n.limit.NameBytes)
	case n.list != nil && !n.list[n.normal(name)]:
		return "", bad(member, "unknown resource %q", clip(name))
	}
	return n.normal(name), nil
}

// parse reads the payload of Subscribe as decoded from the wire, and returns its normal form or what is wrong with it. It
// takes values and not a struct, because whoever sends a number for a word shall read which one.
func (n *names) parse(v any) (*filter, *badValue) {
	m, ok := object(v)
	if !ok {
		return nil, bad("", "payload is %s, want an object with e and r", show(v))
	}
	e := member(m, "e")
	event, ok := e.(string)
	switch {
	case e == nil || ok && event == "":
		return nil, required("e")
	case !ok:
		return nil, bad("e", "event is %s, want a text", show(e))
	case event == LicenceActivated:
		return &filter{event: event}, nil // r has no meaning
	case event != ResourcesChanged:
		return nil, bad("e", "unknown event %q", clip(event))
	}
	r := member(m, "r")
	if r == nil {
		return &filter{event: event}, nil
	}
	list, ok := r.([]any)
	if !ok {
		return nil, bad("r", "r is %s, want a list of resources", show(r))
	}
	if len(list) > n.limit.ResourcesPerRequest {
		return nil, bad("r", "r has %d resources, want at most %d", len(list), n.limit.ResourcesPerRequest)
	}
	f := &filter{event: event}
	for i, item := range list {
		if f.resources == nil {
			f.resources = make(map[string]actions, len(list))
		}
		name, set, wrong := n.parseResource(fmt.Sprintf("r[%d]", i), item)
		if wrong != nil {
			return nil, wrong
		}
		f.resources[name] |= set
	}
	return f, nil
}

func (n *names) parseResource(at string, v any) (string, actions, *badValue) {
	m, ok := object(v)
	if !ok {
		return "", 0, bad(at, "%s is %s, want an object with n and a", at, show(v))
	}
	raw := member(m, "n")
	name, ok := raw.(string)
	if raw != nil && !ok {
		return "", 0, bad(at+".n", "resource name is %s, want a text", show(raw))
	}
	name, wrong := n.check(at+".n", name)
	if wrong != nil {
		return "", 0, wrong
	}
	a := member(m, "a")
	if a == nil {
		return name, allActions, nil
	}
	list, ok := a.([]any)
	if !ok {
		return "", 0, bad(at+".a", "a of resource %q is %s, want a list of actions", name, show(a))
	}
	if len(list) > n.limit.ActionsPerResource {
		return "", 0, bad(at+".a", "a of resource %q has %d actions, want at most %d", name, len(list), n.limit.ActionsPerResource)
	}
	var set actions
	for i, v := range list {
		word, ok := v.(string)
		if !ok {
			return "", 0, bad(fmt.Sprintf("%s.a[%d]", at, i), "action is %s, want created, updated or deleted", show(v))
		}
		action := parseAction(word)
		if action == 0 {
			return "", 0, bad(fmt.Sprintf("%s.a[%d]", at, i), "unknown action %q, want created, updated or deleted", clip(word))
		}
		set |= 1 << action
	}
	if len(list) == 0 {
		set = allActions
	}
	return name, set, nil
}

// object returns a map of members, whichever protocol decoded it.
func object(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return v, v != nil
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			if s, ok := k.(string); ok {
				m[s] = e
			}
		}
		return m, true
	}
	return nil, false
}

// member returns a member by name, in any case where there is none in that case.
func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

// show writes a wrong value for a message: short, and what it is.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the text %q", clip(v))
	case bool:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "an object"
	case json.Number:
		return "the number " + clip(v.String())
	case float64, float32, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return fmt.Sprintf("the number %v", v)
	}
	return fmt.Sprintf("a %T", v)
}
