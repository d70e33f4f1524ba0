package hubbub

import (
	"context"
	"reflect"
	"strings"
	"time"
)

// User is who is connected. It is immutable once it has been handed to the library: an authentication refresh replaces the
// whole value. A nil *User is an anonymous connection; every method works on nil.
type User struct {
	// ID is the user identifier that [Hub.User] addresses, compared byte by byte. The auth package fills it from the "sub" claim
	// unless told otherwise. It may be empty: such a user is authenticated but cannot be addressed.
	ID string
	// Name is for people and logs. It may be empty.
	Name string
	// Claims are what the credential says, as decoded JSON values (string, float64, bool, []any, map[string]any).
	Claims map[string]any
	// Expires is when the credential ends; zero if it does not.
	Expires time.Time
}

// Claim returns the text of the claim with that name, or "" if there is none or it is no text.
func (u *User) Claim(name string) string {
	if u == nil {
		return ""
	}
	s, _ := u.Claims[name].(string)
	return s
}

// HasRole reports whether the claim "role" or "roles" holds role, as a text or in a list. Roles are case-sensitive.
func (u *User) HasRole(role string) bool {
	return u != nil && (claimHolds(u.Claims["role"], role, false) || claimHolds(u.Claims["roles"], role, false))
}

// HasScope reports whether the claim "scope" or "scp" holds scope: a list, or a text of names with blanks between them
// (RFC 8693, section 4.2). Scopes are case-sensitive.
func (u *User) HasScope(scope string) bool {
	return u != nil && (claimHolds(u.Claims["scope"], scope, true) || claimHolds(u.Claims["scp"], scope, true))
}

func claimHolds(claim any, want string, split bool) bool {
	switch v := claim.(type) {
	case string:
		if !split {
			return v == want
		}
		for f := range strings.FieldsSeq(v) {
			if f == want {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok && s == want {
				return true
			}
		}
	case []string:
		for _, s := range v {
			if s == want {
				return true
			}
		}
	}
	return false
}

// Same reports whether v is the same person as u for the purpose of user binding and authentication refresh
// (.NET 11, "authentication refresh"): equal identifier and issuer where there is an identifier, equal name and claims
// otherwise; anonymous equals only anonymous. Expiry, roles and other claims may differ where there is an identifier.
func (u *User) Same(v *User) bool {
	switch {
	case u == nil || v == nil:
		return u == nil && v == nil
	case u.ID != "" || v.ID != "":
		return u.ID == v.ID && u.Claim("iss") == v.Claim("iss")
	default:
		return strings.EqualFold(u.Name, v.Name) && reflect.DeepEqual(u.Claims, v.Claims)
	}
}

// Rule decides whether a user may reach a hub or call a method. For a hub it runs on every HTTP request of its endpoint,
// with in == nil; for a method on every call, with its invocation. u is nil for an anonymous connection. A Rule must be safe
// for concurrent use and must not block for long.
type Rule func(ctx context.Context, u *User, in *Invocation) bool

// RequireUser is a [Rule] that wants any authenticated user.
func RequireUser() Rule {
	return func(_ context.Context, u *User, _ *Invocation) bool { return u != nil }
}

// RequireRole is a [Rule] that wants one of the roles.
func RequireRole(roles ...string) Rule {
	return func(_ context.Context, u *User, _ *Invocation) bool {
		for _, r := range roles {
			if u.HasRole(r) {
				return true
			}
		}
		return false
	}
}

// RequireScope is a [Rule] that wants all of the scopes.
func RequireScope(scopes ...string) Rule {
	return func(_ context.Context, u *User, _ *Invocation) bool {
		for _, s := range scopes {
			if !u.HasScope(s) {
				return false
			}
		}
		return u != nil
	}
}

type userKey struct{}

// WithUser returns a context that carries u. Authenticating middleware calls it on the request's context; the dialects read
// it with [UserFrom].
func WithUser(ctx context.Context, u *User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}

// UserFrom returns the user that [WithUser] put into ctx, or nil. Inside a hub method use [CallerFrom] and [Caller.User].
func UserFrom(ctx context.Context) *User {
	u, _ := ctx.Value(userKey{}).(*User)
	return u
}
