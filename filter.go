package hubbub

import "context"

// HandlerFunc runs one call. in is the call, bound and authorised. The result is a value, a [Seq], or nil.
type HandlerFunc func(ctx context.Context, in *Invocation) (any, error)

// Filter wraps every call of a hub: what it does before and after next, it does around the method; it may change arguments
// (see [Invocation.Argument]) or the result, or answer without calling next.
type Filter func(next HandlerFunc) HandlerFunc

// Method returns the declared name of the method that runs. Outside a hub it is "".
func (in *Invocation) Method() string {
	if in.method == nil {
		return ""
	}
	return in.method.name
}

// Argument returns a pointer to parameter i of the method, counted with its streams, so that a filter can read or change it;
// for a method made by [Raw] a pointer to its [Args]. It is nil outside a filter or if there is no such parameter.
func (in *Invocation) Argument(i int) any {
	if in.bound == nil || i < 0 || (in.method.sig.args >= 0 && i >= len(in.method.sig.params)) {
		return nil
	}
	return in.bound.argument(i)
}

// chain is the innermost handler with the hub's filters around it.
func (h *Hub) chain() HandlerFunc {
	next := HandlerFunc(func(ctx context.Context, in *Invocation) (any, error) { return in.bound.call(ctx) })
	for i := len(h.filters) - 1; i >= 0; i-- {
		next = h.filters[i](next)
	}
	return next
}
