package identity_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// TestUsers: an administrator reads, changes and deletes accounts, and the others are told.
func TestUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		ann, bob := p.player("ann@play.com"), p.player("bob@play.com")
		admin := p.token(adminEmail)
		if u := p.updated(ann.ID, 1); u.Email != "ann@play.com" || u.NewTotalGil != 100*contracts.OneGil {
			t.Errorf("told %v of a new account", u)
		}
		var all []map[string]any
		p.do("GET", "/users", admin, "").decode(t, &all)
		if len(all) != 3 || all[0]["email"] != adminEmail || all[1]["id"] != ann.ID.String() || all[2]["id"] != bob.ID.String() {
			t.Errorf("users %v", all)
		}
		var one map[string]any
		p.do("GET", "/users/"+strings.ToUpper(ann.ID.String()), admin, "").decode(t, &one)
		created, err := time.Parse(time.RFC3339, one["createdOn"].(string))
		if err != nil || time.Since(created).Abs() > time.Minute {
			t.Errorf("createdOn %v, %v", one["createdOn"], err)
		}
		delete(one, "createdOn")
		if want := map[string]any{"id": ann.ID.String(), "userName": "ann@play.com", "email": "ann@play.com", "gil": 100.0}; !reflect.DeepEqual(one, want) {
			t.Errorf("user %v, want %v", one, want)
		}

		put := func(id uuid.UUID, body string) answer { return p.do("PUT", "/users/"+id.String(), admin, body) }
		if a := put(ann.ID, `{"email":"Ann@play.com","gil":12.345678}`); a.status != 204 || a.body != "" {
			t.Errorf("change: status %d, %s, want 204", a.status, a.body)
		}
		if u := p.updated(ann.ID, 2); u.Email != "Ann@play.com" || u.NewTotalGil.String() != "12.345678" {
			t.Errorf("told %v of a change", u)
		}
		if a := p.do("GET", "/users/"+ann.ID.String(), admin, ""); !strings.Contains(a.body, `"gil":12.345678,`) || !strings.Contains(a.body, `"userName":"Ann@play.com"`) {
			t.Errorf("changed: %s, want the exact amount, and the user name to follow the e-mail", a.body)
		}
		if d := put(bob.ID, `{"email":"ANN@play.com","gil":1}`).problem(t); d.Status != 400 || len(d.Errors["email"]) != 1 {
			t.Errorf("taken e-mail: %v, want an error of email", d)
		}

		if a := p.do("DELETE", "/users/"+ann.ID.String(), admin, ""); a.status != 204 || a.body != "" {
			t.Errorf("delete: status %d, %s, want 204", a.status, a.body)
		}
		if u := p.updated(ann.ID, 3); u.NewTotalGil != 0 {
			t.Errorf("told %v of a deleted account, want no gil", u)
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			body := ""
			if method == "PUT" {
				body = `{"email":"x@play.com","gil":1}`
			}
			for _, id := range []string{ann.ID.String(), uuid.NewString(), "1", uuid.Nil.String()} {
				if d := p.do(method, "/users/"+id, admin, body).problem(t); d.Status != 404 {
					t.Errorf("%s of %s: status %d, want 404", method, id, d.Status)
				}
			}
		}
	})
}

// TestUserValidation: what a change must have.
func TestUserValidation(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	ann := p.player("ann@play.com")
	admin := p.token(adminEmail)
	for body, members := range map[string]string{
		`{"email":"a@b.c","gil":-1}`:                                    "gil",
		`{"email":"a@b.c","gil":1000000.000001}`:                        "gil",
		`{"email":"a@b.c","gil":0.0000001}`:                             "gil",
		`{"email":"a@b.c","gil":"many"}`:                                "gil",
		`{"gil":1}`:                                                     "email",
		`{"email":null,"gil":1}`:                                        "email",
		`{"email":"","gil":1}`:                                          "email",
		`{"email":"ann","gil":1}`:                                       "email",
		`{"email":"Ann <a@b.c>","gil":1}`:                               "email",
		`{"email":" a@b.c","gil":1}`:                                    "email",
		`{"email":7,"gil":-1}`:                                          "email gil",
		`{"email":"` + strings.Repeat("a", 250) + `@play.com","gil":1}`: "email",
		`[]`: "$", `{`: "$", `7`: "$", `null`: "$",
	} {
		d := p.do("PUT", "/users/"+ann.ID.String(), admin, body).problem(t)
		var got []string
		for _, name := range []string{"$", "email", "gil"} {
			if len(d.Errors[name]) > 0 {
				got = append(got, name)
			}
		}
		if d.Status != 400 || strings.Join(got, " ") != members {
			t.Errorf("%s: status %d, errors %v, want 400 and those of %s", body, d.Status, d.Errors, members)
		}
	}
	if a := p.do("PUT", "/users/"+ann.ID.String(), admin, `{"Email":"ann@play.com","GIL":1000000}`); a.status != 204 {
		t.Errorf("members in other case and the most gil: status %d, %s", a.status, a.body)
	}
	if a := p.do("PUT", "/users/"+ann.ID.String(), admin, `{"email":"ann@play.com"}`); a.status != 204 {
		t.Errorf("without gil: status %d, %s, want 0 gil as in the original", a.status, a.body)
	}
}

// TestUsersNeedAnAdministrator is P8 for the users API.
func TestUsersNeedAnAdministrator(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	ann := p.player("ann@play.com")
	admin := p.token(adminEmail)
	scoped := func(scope string) string { return p.signIn(adminEmail, adminPassword, scope).Access }
	expired, err := p.Token(t.Context(), adminEmail, -10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newPlace(t, "sqlite", nil)
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"nobody": {"", 401}, "no token": {"abc", 401}, "player": {p.token("ann@play.com"), 403}, "administrator": {admin, 200},
		"expired": {expired, 401}, "other audience": {scoped("openid trading.fullaccess"), 401}, "its scope": {scoped("openid IdentityServerApi"), 200},
		"other issuer": {elsewhere.token(adminEmail), 401}, "tampered": {admin[:len(admin)-8] + "AAAAAAAA", 401},
	} {
		for _, r := range []struct{ method, path, body string }{
			{"GET", "/users", ""}, {"GET", "/users/" + ann.ID.String(), ""}, {"PUT", "/users/" + ann.ID.String(), `{"email":"ann@play.com","gil":5}`},
		} {
			want := c.want
			if want == 200 && r.method == "PUT" {
				want = 204
			}
			if a := p.do(r.method, r.path, c.token, r.body); a.status != want {
				t.Errorf("%s: %s %s: status %d, want %d", name, r.method, r.path, a.status, want)
			}
		}
	}
	if a := p.do("GET", "/users?access_token="+admin, "", ""); a.status != 401 {
		t.Errorf("token in the query: status %d, want 401", a.status)
	}
	if a := p.do("DELETE", "/users/"+ann.ID.String(), p.token("ann@play.com"), ""); a.status != 403 {
		t.Errorf("delete by a player: status %d, want 403", a.status)
	}
	late, err := p.Token(t.Context(), adminEmail, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	made := time.Now()
	for p.do("GET", "/users", late, "").status == 200 {
		if time.Since(made) > patience {
			t.Fatalf("a token of 2 s is good after %s", patience)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if took := time.Since(made); took < 2*time.Second {
		t.Errorf("a token of 2 s was refused after %s", took)
	}
}

// TestRegister: JSON and a form make an account; what is wrong is named.
func TestRegister(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", nil)
	for name, a := range map[string]answer{
		"JSON": p.do("POST", "/register", "", `{"email":"json@play.com","password":"correct horse","userName":"Jason"}`),
		"form": p.post("/register", url.Values{"email": {"form@play.com"}, "password": {"correct horse"}}),
	} {
		var u identity.User
		a.decode(t, &u)
		if a.status != 201 || u.ID == uuid.Nil || u.Gil.String() != "100" || a.header.Get("Location") != "/identity-svc/users/"+u.ID.String() {
			t.Errorf("%s: status %d, headers %v, %s", name, a.status, a.header, a.body)
		}
		if want := map[string][2]string{"JSON": {"json@play.com", "Jason"}, "form": {"form@play.com", "form@play.com"}}[name]; u.Email != want[0] || u.UserName != want[1] {
			t.Errorf("%s: %s, want %v", name, a.body, want)
		}
		if told := p.updated(u.ID, 1); told.NewTotalGil != 100*contracts.OneGil || told.Email != u.Email {
			t.Errorf("%s: told %v", name, told)
		}
	}
	if c := claims(t, p.signIn("json@play.com", "correct horse", allScopes).Access); c["name"] != "Jason" || c["role"] != "Player" {
		t.Errorf("token %v", c)
	}
	before := p.Stats().Registered
	for body, members := range map[string]string{
		`{"email":"JSON@play.com","password":"correct horse"}`:           "email",
		`{"email":"nobody","password":"correct horse"}`:                  "email",
		`{"email":"a@b.c","password":"short"}`:                           "password",
		`{"email":"a@b.c","password":"` + strings.Repeat("x", 73) + `"}`: "password",
		`{"email":"a@b.c"}`: "password",
		`{}`:                "email password",
		`{"email":"a@b.c","password":"correct horse","userName":"` + strings.Repeat("x", 101) + `"}`: "userName",
		`{"email":"a@b.c","password":"correct horse","userName":"a\u0007b"}`:                         "userName",
		`{"email":1,"password":"correct horse"}`:                                                     "email",
		`"text"`:                                                                                     "$",
	} {
		d := p.do("POST", "/register", "", body).problem(t)
		var got []string
		for _, name := range []string{"$", "email", "password", "userName"} {
			if len(d.Errors[name]) > 0 {
				got = append(got, name)
			}
		}
		if d.Status != 400 || strings.Join(got, " ") != members {
			t.Errorf("%s: status %d, errors %v, want 400 and those of %s", body, d.Status, d.Errors, members)
		}
	}
	if d := p.post("/register", url.Values{"email": {"form@play.com"}, "password": {"correct horse"}}).problem(t); d.Status != 400 || len(d.Errors["email"]) != 1 {
		t.Errorf("form with a taken e-mail: %v", d)
	}
	if d := p.do("POST", "/register", "", strings.Repeat("x", 1<<20)).problem(t); d.Status != 413 {
		t.Errorf("large body: status %d, want 413", d.Status)
	}
	if n := p.Stats().Registered; n != before {
		t.Errorf("%d accounts were made, want %d", n, before)
	}
	a := p.browser().open(p.url+"/register", url.Values{"email": {`"><b>@play.com`}, "userName": {"<i>"}, "password": {"short"}})
	if a.status != 400 || !strings.Contains(a.body, "not a valid e-mail") || !strings.Contains(a.body, "at least 8 characters") || strings.Contains(a.body, "<b>") || strings.Contains(a.body, "<i>") {
		t.Errorf("page: status %d, %s, want both errors and no markup of the guest", a.status, a.body)
	}
}

// TestRegisterAtOnce: of many who register the same e-mail, one does.
func TestRegisterAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		errs := make(chan error, 8)
		for range cap(errs) {
			go func() {
				_, err := p.Register(t.Context(), "ann@play.com", "correct horse", "")
				errs <- err
			}()
		}
		good := 0
		for range cap(errs) {
			if err := <-errs; err == nil {
				good++
			} else if !strings.Contains(err.Error(), identity.ErrTaken.Error()) {
				t.Error(err)
			}
		}
		if good != 1 {
			t.Errorf("%d have registered, want 1", good)
		}
	})
}

// TestExactGil: amounts go through the database and JSON as they are.
func TestExactGil(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "sqlite", func(c *identity.Config) { c.StartingGil = 100_100_001 })
	var u map[string]json.RawMessage
	p.do("POST", "/register", "", `{"email":"ann@play.com","password":"correct horse"}`).decode(t, &u)
	if string(u["gil"]) != "100.100001" {
		t.Errorf("gil %s, want 100.100001", u["gil"])
	}
}
