package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/economy/web"
)

// restRoutes adds the users API.
func (s *Service) restRoutes(verify auth.Verifier) {
	s.rest = web.NewService(verify, s.Ready, s.config.Logger)
	admin := web.Admin("IdentityServerApi")
	s.rest.Handle("GET /users", admin, s.getUsers)
	s.rest.Handle("GET /users/{id}", admin, s.getUser)
	s.rest.Handle("PUT /users/{id}", admin, s.putUser)
	s.rest.Handle("DELETE /users/{id}", admin, s.deleteUser)
}

func (s *Service) getUsers(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Users(r.Context())
	if err != nil {
		return err
	}
	return web.Write(w, http.StatusOK, all)
}

func (s *Service) getUser(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathID(r, "id")
	if err != nil {
		return err
	}
	a, err := accountByID(r.Context(), s.store, id)
	if err != nil {
		return problem(id, err)
	}
	return web.Write(w, http.StatusOK, a.User)
}

const (
	badEmail   = "The field email is not a valid e-mail address."
	takenEmail = "The field email is of another account."
)

func (s *Service) putUser(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathID(r, "id")
	if err != nil {
		return err
	}
	b, err := web.Read(w, r)
	if err != nil {
		return err
	}
	email := b.Text("email", true, 254)
	if email != "" && !checkEmail(email) {
		b.Wrong("email", badEmail)
	}
	gil := b.Gil("gil", MaximumGil)
	if err := b.Err(); err != nil {
		return err
	}
	err = s.update(r.Context(), id, email, gil)
	if errors.Is(err, ErrTaken) {
		b.Wrong("email", takenEmail)
		return b.Err()
	}
	if err != nil {
		return problem(id, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) deleteUser(w http.ResponseWriter, r *http.Request) error {
	id, err := web.PathID(r, "id")
	if err != nil {
		return err
	}
	if err := s.delete(r.Context(), id); err != nil {
		return problem(id, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// problem returns the problem of an account that is not there, or err.
func problem(id uuid.UUID, err error) error {
	if errors.Is(err, ErrNoAccount) {
		return web.NotFound("user", id)
	}
	return fmt.Errorf("identity: users: %w", err)
}

// newcomer is who wants to register.
type newcomer struct{ Email, UserName, Password string }

// fault is what is wrong with a member of a newcomer.
type fault struct{ name, text string }

// admit adds the account of a newcomer, or says what is wrong.
func (s *Service) admit(ctx context.Context, n newcomer) (*account, []fault, error) {
	var wrong []fault
	if n.Email == "" {
		wrong = append(wrong, fault{"email", "The field email is required."})
	} else if !checkEmail(n.Email) {
		wrong = append(wrong, fault{"email", badEmail})
	}
	if len(n.Password) < minimumPassword {
		wrong = append(wrong, fault{"password", fmt.Sprintf("The field password must have at least %d characters.", minimumPassword)})
	} else if len(n.Password) > maximumPassword {
		wrong = append(wrong, fault{"password", fmt.Sprintf("The field password must have at most %d bytes.", maximumPassword)})
	}
	if len(n.UserName) > 100 || !utf8.ValidString(n.UserName) || strings.ContainsFunc(n.UserName, unicode.IsControl) {
		wrong = append(wrong, fault{"userName", "The field userName must have at most 100 bytes, without control characters."})
	}
	if wrong != nil {
		return nil, wrong, nil
	}
	a, err := s.create(ctx, n.Email, n.UserName, n.Password, RolePlayer)
	if errors.Is(err, ErrTaken) {
		return nil, []fault{{"email", takenEmail}}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	s.counts.registered.Add(1)
	return a, nil, nil
}

// postRegister takes JSON or a form, and answers with a UserDto.
func (s *Service) postRegister(w http.ResponseWriter, r *http.Request) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data" {
		if err := formAsJSON(w, r); err != nil {
			return err
		}
	}
	b, err := web.Read(w, r)
	if err != nil {
		return err
	}
	n := newcomer{Email: strings.TrimSpace(b.Text("email", false, 1000)), UserName: strings.TrimSpace(b.Text("userName", false, 1000)), Password: b.Text("password", false, 1000)}
	if err := b.Err(); err != nil {
		return err
	}
	a, wrong, err := s.admit(r.Context(), n)
	if err != nil {
		return err
	}
	if a == nil {
		for _, f := range wrong {
			b.Wrong(f.name, "%s", f.text)
		}
		return b.Err()
	}
	w.Header().Set("Location", s.config.PathBase+"/users/"+a.ID.String())
	return web.Write(w, http.StatusCreated, a.User)
}

// formAsJSON makes the body of a request that is a form the same as JSON.
func formAsJSON(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseMultipartForm(64 << 10); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return badForm(err)
	}
	members := make(map[string]string)
	for name, values := range r.PostForm {
		members[name] = values[0]
	}
	body, err := json.Marshal(members)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// badForm is the problem of a form that cannot be read.
func badForm(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return web.Failure(http.StatusRequestEntityTooLarge, "The form is too large.")
	}
	return web.Failure(http.StatusBadRequest, "The form cannot be read.")
}
