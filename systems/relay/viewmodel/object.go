package viewmodel

import "strings"

// Object is what a view model is run for.
type Object struct {
	// ID is the external id, in the form class|id.
	ID string
	// Attributes by name: nil, bool, int64, float64, string, []any and map[string]any.
	Attributes map[string]any
}

// Class is the part of the external id before the |, "" where there is none.
func (o *Object) Class() string { return ClassOf(o.ID) }

// ClassOf is the part of an external id before the |, "" where there is none.
func ClassOf(id string) string {
	class, _, found := strings.Cut(id, "|")
	if !found {
		return ""
	}
	return class
}

// self is the object as expressions see it. The external id wins over an attribute of that name.
func (o *Object) self() map[string]any {
	m := make(map[string]any, len(o.Attributes)+1)
	for name, v := range o.Attributes {
		m[name] = v
	}
	m["externalid"] = o.ID
	return m
}
