package relay

import (
	"slices"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/relay/ticket"
)

// The rights of this system: scopes, roles, or elements of the claim rights.
const (
	RightSubscribe = "events:subscribe"
	RightTrigger   = "events:trigger"
	RightTickets   = ticket.ScopeTickets
	RightObjects   = ticket.ScopeObjects
)

// ClaimPrefix is the claim that narrows [RightSubscribe] and [RightTrigger] to eventguids that begin with its text, or with one
// of its texts. A token without it may use every eventguid.
const ClaimPrefix = "event_prefix"

// HasRight reports whether a user has a right: as a scope, as a role, or in the claim rights. The role or right admin stands for
// every right. A nil user has none.
func HasRight(u *hubbub.User, right string) bool {
	if u == nil {
		return false
	}
	if u.HasScope(right) || u.HasRole(right) || u.HasRole("admin") {
		return true
	}
	rights, _ := u.Claims["rights"].([]any)
	return slices.Contains(rights, any(right)) || slices.Contains(rights, any("admin"))
}

// inPrefix reports whether the token of a user is for an eventguid. A claim that is neither text nor texts is for none.
func inPrefix(u *hubbub.User, guid string) bool {
	if u == nil {
		return true
	}
	switch v := u.Claims[ClaimPrefix].(type) {
	case nil:
		return true
	case string:
		return strings.HasPrefix(guid, v)
	case []string:
		return slices.ContainsFunc(v, func(p string) bool { return strings.HasPrefix(guid, p) })
	case []any:
		return slices.ContainsFunc(v, func(e any) bool {
			p, ok := e.(string)
			return ok && strings.HasPrefix(guid, p)
		})
	}
	return false
}

// maySubscribe says why a user may not hear of an event over the hub, if so.
func (s *System) maySubscribe(u *hubbub.User, guid string) error {
	if s.config.Verify == nil {
		return nil
	}
	if s.config.Access == NeedRight && !HasRight(u, RightSubscribe) {
		return hubbub.Errorf("The right %s is needed.", RightSubscribe)
	}
	if !inPrefix(u, guid) {
		return hubbub.Errorf("The token is not for the eventguid %q.", clip(guid))
	}
	return nil
}

// clip shortens a text that a client sent, for a message.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}
