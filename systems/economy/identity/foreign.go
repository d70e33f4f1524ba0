package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/economy/web"
)

// foreign reports whether people sign in elsewhere.
func (s *Service) foreign() bool { return s.config.Verify != nil }

// foreignRoutes adds what is left of the provider where people sign in elsewhere: POST /register with the access token of who
// wants an account makes it, with the claim "sub" as its id and the claim "email", or that of the body.
func (s *Service) foreignRoutes() {
	s.rest.Handle("POST /register", web.Anybody, func(w http.ResponseWriter, r *http.Request) error {
		id, err := web.UserID(r)
		if err != nil {
			return err
		}
		u := hubbub.UserFrom(r.Context())
		email, _ := u.Claims["email"].(string)
		name := u.Name
		if r.ContentLength != 0 {
			b, err := web.Read(w, r)
			if err != nil {
				return err
			}
			if own := strings.TrimSpace(b.Text("email", false, 1000)); own != "" && email == "" {
				email = own
			}
			if own := strings.TrimSpace(b.Text("userName", false, 1000)); own != "" {
				name = own
			}
			if err := b.Err(); err != nil {
				return err
			}
		}
		if emailKey(email) == emailKey(s.config.AdminEmail) && !u.HasRole(RoleAdmin) { // with it there would be no administrator later
			return web.Failure(http.StatusConflict, takenEmail)
		}
		if !checkEmail(email) {
			return web.Failure(http.StatusBadRequest, "The access token has no e-mail, and the body has none that is one.")
		}
		if len(name) > 100 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			name = ""
		}
		a, made, err := s.admitForeign(r.Context(), id, email, name)
		if errors.Is(err, ErrTaken) {
			return web.Failure(http.StatusConflict, takenEmail)
		}
		if err != nil {
			return err
		}
		if !made {
			return web.Write(w, http.StatusOK, a.User)
		}
		w.Header().Set("Location", s.config.PathBase+"/users/"+a.ID.String())
		return web.Write(w, http.StatusCreated, a.User)
	})
}

// admitForeign returns the account of an id, and makes it first if it is not there.
func (s *Service) admitForeign(ctx context.Context, id uuid.UUID, email, name string) (a *account, made bool, err error) {
	a, err = accountByID(ctx, s.store, id)
	if !errors.Is(err, ErrNoAccount) {
		return a, false, err
	}
	a, err = s.add(ctx, id, email, name, "", RolePlayer)
	if errors.Is(err, ErrTaken) { // perhaps by the same one at the same time
		if same, again := accountByID(ctx, s.store, id); again == nil {
			return same, false, nil
		}
	}
	if err == nil {
		s.counts.registered.Add(1)
	}
	return a, err == nil, err
}
