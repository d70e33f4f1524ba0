package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/web"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Roles of accounts.
const (
	RoleAdmin  = web.AdminRole
	RolePlayer = "Player"
)

// ErrNoAccount says that there is no account of that id or e-mail.
var ErrNoAccount = errors.New("no such account")

// ErrTaken says that the e-mail belongs to another account.
var ErrTaken = errors.New("e-mail is taken")

// User is the UserDto of the original.
type User struct {
	ID        uuid.UUID     `json:"id"`
	UserName  string        `json:"userName"`
	Email     string        `json:"email"`
	Gil       contracts.Gil `json:"gil"`
	CreatedOn time.Time     `json:"createdOn"`
}

// account is a row.
type account struct {
	User
	password string
	roles    []string
	version  int64
}

const accountColumns = "id, email, user_name, password, roles, gil, created, version"

func scanAccount(row interface{ Scan(...any) error }) (*account, error) {
	var a account
	var roles string
	var created int64
	err := row.Scan(&a.ID, &a.Email, &a.UserName, &a.password, &roles, &a.Gil, &created, &a.version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoAccount
	}
	a.roles, a.CreatedOn = strings.Fields(roles), time.UnixMilli(created).UTC()
	return &a, err
}

// accountByID returns ErrNoAccount if there is none.
func accountByID(ctx context.Context, q store.Queryer, id uuid.UUID) (*account, error) {
	return scanAccount(q.QueryRow(ctx, "SELECT "+accountColumns+" FROM account WHERE id = ?", id.String()))
}

// accountByEmail returns ErrNoAccount if there is none.
func accountByEmail(ctx context.Context, q store.Queryer, email string) (*account, error) {
	if !isText(email) {
		return nil, ErrNoAccount
	}
	return scanAccount(q.QueryRow(ctx, "SELECT "+accountColumns+" FROM account WHERE email_key = ?", emailKey(email)))
}

// isText reports whether a database can keep what came as a text.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// emailKey is the form of an e-mail by which accounts differ.
func emailKey(email string) string { return strings.ToLower(email) }

// checkEmail reports whether a text has the form of an e-mail.
func checkEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= 254 &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '"' })
}

// checkPassword reports whether a password has a good length.
func checkPassword(s string) error {
	if n := len(s); n < minimumPassword || n > maximumPassword {
		return fmt.Errorf("password of %d bytes, want %d to %d", n, minimumPassword, maximumPassword)
	}
	return nil
}

// updated tells the others what an account has now.
func (a *account) updated() contracts.UserUpdated {
	return contracts.UserUpdated{UserID: a.ID, Email: a.Email, NewTotalGil: a.Gil, Version: a.version}
}

// create adds an account with a password and tells the others.
func (s *Service) create(ctx context.Context, email, userName, password string, roles ...string) (*account, error) {
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return nil, err
	}
	return s.add(ctx, uuid.New(), email, userName, hash, roles...)
}

// add adds an account and tells the others. No password has the hash "".
func (s *Service) add(ctx context.Context, id uuid.UUID, email, userName, hash string, roles ...string) (*account, error) {
	if userName == "" {
		userName = email
	}
	a := &account{
		User:     User{ID: id, UserName: userName, Email: email, Gil: s.config.StartingGil, CreatedOn: s.box.Now()},
		password: hash, roles: roles,
	}
	err := s.box.Tx(ctx, func(tx *box.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) + 1 FROM former_account WHERE id = ?", id.String()).Scan(&a.version); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO account (id, email, email_key, user_name, password, roles, gil, created, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			a.ID.String(), a.Email, emailKey(a.Email), a.UserName, a.password, strings.Join(a.roles, " "), int64(a.Gil), a.CreatedOn.UnixMilli(), a.version); err != nil {
			return err
		}
		return tx.Send(ctx, a.updated())
	})
	if s.store.IsUnique(err) {
		return nil, ErrTaken
	}
	if err != nil {
		return nil, fmt.Errorf("identity: create account: %w", err)
	}
	return a, nil
}

// Register adds an account with the role Player and the starting gil, and tells the others. An empty userName stands for the
// e-mail. It blocks for the database and for the hash of the password. It returns [ErrTaken], or an error that says what is
// wrong with an argument.
func (s *Service) Register(ctx context.Context, email, password, userName string) (User, error) {
	a, wrong, err := s.admit(ctx, newcomer{Email: email, UserName: userName, Password: password})
	switch {
	case err != nil:
		return User{}, err
	case a != nil:
		return a.User, nil
	case wrong[0].text == takenEmail:
		return User{}, fmt.Errorf("identity: register %q: %w", email, ErrTaken)
	}
	return User{}, fmt.Errorf("identity: register %q: %s", email, wrong[0].text)
}

// Users returns all accounts, oldest first. It blocks for the database.
func (s *Service) Users(ctx context.Context) ([]User, error) {
	rows, err := s.store.Query(ctx, "SELECT "+accountColumns+" FROM account ORDER BY created, id")
	if err != nil {
		return nil, fmt.Errorf("identity: list users: %w", err)
	}
	defer rows.Close()
	all := []User{}
	for rows.Next() {
		a, err := scanAccount(rows)
		if err != nil {
			return nil, fmt.Errorf("identity: list users: %w", err)
		}
		all = append(all, a.User)
	}
	return all, rows.Err()
}

// update gives an account another e-mail and so many gil, and tells the others. A user name that was the e-mail stays it.
func (s *Service) update(ctx context.Context, id uuid.UUID, email string, gil contracts.Gil) error {
	err := s.box.Tx(ctx, func(tx *box.Tx) error {
		a, err := accountByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if a.UserName == a.Email {
			a.UserName = email
		}
		a.Email, a.Gil = email, gil
		return save(ctx, tx, a)
	})
	if s.store.IsUnique(err) {
		return ErrTaken
	}
	return err
}

// save stores an account that was read before in the same transaction, as its next version, and tells the others.
func save(ctx context.Context, tx *box.Tx, a *account) error {
	n, err := tx.Exec(ctx, "UPDATE account SET email = ?, email_key = ?, user_name = ?, gil = ?, version = version + 1 WHERE id = ? AND version = ?",
		a.Email, emailKey(a.Email), a.UserName, int64(a.Gil), a.ID.String(), a.version)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("account %s is not of version %d any more", a.ID, a.version)
	}
	a.version++
	return tx.Send(ctx, a.updated())
}

// signOut ends all sessions and refresh tokens of an account.
func signOut(ctx context.Context, q store.Queryer, id uuid.UUID) error {
	for _, table := range []string{"session", "sign_in", "refresh_token"} {
		if _, err := q.Exec(ctx, "DELETE FROM "+table+" WHERE account = ?", id.String()); err != nil {
			return err
		}
	}
	return nil
}

// delete removes an account, signs it out, and tells the others that it has no gil.
func (s *Service) delete(ctx context.Context, id uuid.UUID) error {
	return s.box.Tx(ctx, func(tx *box.Tx) error {
		a, err := accountByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM account WHERE id = ?", id.String()); err != nil {
			return err
		}
		if err := signOut(ctx, tx, id); err != nil {
			return err
		}
		a.Gil, a.version = 0, a.version+1
		if _, err := tx.Exec(ctx, "INSERT INTO former_account (id, version) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version",
			id.String(), a.version); err != nil {
			return err
		}
		return tx.Send(ctx, a.updated())
	})
}

// SetPassword gives an account another password and signs it out everywhere. It blocks for the database and for the hash. It
// returns [ErrNoAccount] if there is none of that e-mail.
func (s *Service) SetPassword(ctx context.Context, email, password string) error {
	if err := checkPassword(password); err != nil {
		return fmt.Errorf("identity: set password: %w", err)
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		a, err := accountByEmail(ctx, tx, email)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE account SET password = ? WHERE id = ?", hash, a.ID.String()); err != nil {
			return err
		}
		return signOut(ctx, tx, a.ID)
	})
	if err != nil {
		return fmt.Errorf("identity: set password of %q: %w", email, err)
	}
	return nil
}

// seed makes the administrator's account if it is not there.
func (s *Service) seed(ctx context.Context) error {
	_, err := accountByEmail(ctx, s.store, s.config.AdminEmail)
	if !errors.Is(err, ErrNoAccount) {
		return err
	}
	password := s.config.AdminPassword
	if password == "" {
		password = secret()[:20]
	}
	_, err = s.create(ctx, s.config.AdminEmail, "", password, RoleAdmin)
	if errors.Is(err, ErrTaken) { // another process of the database was first
		return nil
	}
	if err == nil {
		s.config.Announce(s.config.AdminEmail, password)
	}
	return err
}
