package hubbub_test

import (
	"testing"
	"time"

	"github.com/hubbub-go/hubbub"
)

type claims = map[string]any

func TestUserSame(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		u, v *hubbub.User
		want bool
	}{
		{"nobody and nobody", nil, nil, true},
		{"nobody and somebody", nil, &hubbub.User{}, false},
		{"equal ids", &hubbub.User{ID: "a"}, &hubbub.User{ID: "a"}, true},
		{"case of ids", &hubbub.User{ID: "a"}, &hubbub.User{ID: "A"}, false},
		{"only one id", &hubbub.User{ID: "a"}, &hubbub.User{}, false},
		{"an id does not need the rest", &hubbub.User{ID: "a", Name: "x", Expires: time.Now(), Claims: claims{"role": "admin"}}, &hubbub.User{ID: "a"}, true},
		{"another issuer", &hubbub.User{ID: "a", Claims: claims{"iss": "x"}}, &hubbub.User{ID: "a", Claims: claims{"iss": "y"}}, false},
		{"the same issuer", &hubbub.User{ID: "a", Claims: claims{"iss": "x"}}, &hubbub.User{ID: "a", Claims: claims{"iss": "x", "n": 1.0}}, true},
		{"names without ids", &hubbub.User{Name: "Ann"}, &hubbub.User{Name: "ann"}, true},
		{"other names", &hubbub.User{Name: "ann"}, &hubbub.User{Name: "bob"}, false},
		{"other claims without ids", &hubbub.User{Name: "ann", Claims: claims{"a": []any{"x"}}}, &hubbub.User{Name: "ann", Claims: claims{"a": []any{"y"}}}, false},
		{"equal claims without ids", &hubbub.User{Claims: claims{"a": []any{"x"}}}, &hubbub.User{Claims: claims{"a": []any{"x"}}}, true},
	}
	for _, test := range tests {
		if got := test.u.Same(test.v); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if got := test.v.Same(test.u); got != test.want {
			t.Errorf("%s, the other way round: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestUserHasRoleAndScope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		claims      claims
		role, scope bool // has the role or scope "x"
	}{
		{"nothing", nil, false, false},
		{"role text", claims{"role": "x"}, true, false},
		{"roles text", claims{"roles": "x"}, true, false},
		{"role list", claims{"role": []any{"y", "x"}}, true, false},
		{"roles list of texts", claims{"roles": []string{"y", "x"}}, true, false},
		{"a role is not split", claims{"role": "y x"}, false, false},
		{"case of roles", claims{"role": "X"}, false, false},
		{"role of another type", claims{"role": 1.0, "roles": []any{1.0, true}}, false, false},
		{"both claims", claims{"role": "y", "roles": "x"}, true, false},
		{"scope text", claims{"scope": "x"}, false, true},
		{"scope among others", claims{"scope": "a x  b"}, false, true},
		{"part of a scope", claims{"scope": "xx x:y"}, false, false},
		{"scp list", claims{"scp": []any{"a", "x"}}, false, true},
		{"a scope in a list is not split", claims{"scope": []any{"a x"}}, false, false},
		{"case of scopes", claims{"scope": "X"}, false, false},
	}
	for _, test := range tests {
		u := &hubbub.User{Claims: test.claims}
		if got := u.HasRole("x"); got != test.role {
			t.Errorf("%s: has the role: %v, want %v", test.name, got, test.role)
		}
		if got := u.HasScope("x"); got != test.scope {
			t.Errorf("%s: has the scope: %v, want %v", test.name, got, test.scope)
		}
	}
	var nobody *hubbub.User
	if nobody.HasRole("") || nobody.HasScope("") || nobody.Claim("sub") != "" {
		t.Error("nobody has something")
	}
	if got := (&hubbub.User{Claims: claims{"a": "b", "n": 1.0}}); got.Claim("a") != "b" || got.Claim("n") != "" {
		t.Errorf("claims %q and %q, want b and nothing", got.Claim("a"), got.Claim("n"))
	}
}

func TestRuleTable(t *testing.T) {
	t.Parallel()
	u := &hubbub.User{Claims: claims{"role": "r", "scope": "s t"}}
	tests := []struct {
		name string
		rule hubbub.Rule
		want bool
	}{
		{"user", hubbub.RequireUser(), true},
		{"one of the roles", hubbub.RequireRole("q", "r"), true},
		{"none of the roles", hubbub.RequireRole("q"), false},
		{"no role", hubbub.RequireRole(), false},
		{"all scopes", hubbub.RequireScope("s", "t"), true},
		{"one of the scopes", hubbub.RequireScope("s", "u"), false},
		{"no scope", hubbub.RequireScope(), true},
	}
	for _, test := range tests {
		if got := test.rule(t.Context(), u, nil); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if test.rule(t.Context(), nil, nil) {
			t.Errorf("%s: lets nobody in", test.name)
		}
	}
}

func TestUserInContext(t *testing.T) {
	t.Parallel()
	u := &hubbub.User{ID: "u"}
	if got := hubbub.UserFrom(hubbub.WithUser(t.Context(), u)); got != u {
		t.Errorf("user %v, want %v", got, u)
	}
	if got := hubbub.UserFrom(t.Context()); got != nil {
		t.Errorf("user %v of a plain context, want nil", got)
	}
}
