package notify

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub"
)

// RightAdmin is the right that stands for every right.
const RightAdmin = "admin"

// The rights that the REST endpoints ask for; who has [RightAdmin] needs none of them. Publishing needs a scope instead.
const (
	RightSessionGet    = "sessionGet"
	RightSessionDelete = "sessionDelete"
	RightWebhookGet    = "webhookGet"
	RightWebhookManage = "webhookManage"
)

// ScopePublish is the scope that publishing over REST needs. As a right of an [Account] it does as well.
const ScopePublish = "notifications:publish"

// Account is a user who may log in.
type Account struct {
	// ID identifies the user. Default: UserName.
	ID string
	// UserName is what the user logs in with, without regard to case.
	UserName string
	// Name is for people. Default: UserName.
	Name string
	// PasswordHash is a bcrypt hash, such as [HashPassword] returns.
	PasswordHash string
	// Rights of the user. [RightAdmin] stands for all of them, [ScopePublish] lets the user publish.
	Rights []string
	// FeatureName is set for virtual users: parts of the system with a login of their own.
	FeatureName string
}

// Device is one that may log in.
type Device struct {
	// Name is what the device logs in with, exactly.
	Name string
	// EnvName is its environment: BackOffice, CashRegister, PDA or Tool, or another one. Default Tool.
	EnvName string
	// Description is for people.
	Description string
	// Preferences and Settings are handed out at login as they are, as JSON objects; nil is {}.
	Preferences, Settings map[string]any
}

// HashPassword returns the bcrypt hash of a password, which must have at most 72 bytes. It takes some 50 ms.
func HashPassword(password string) (string, error) {
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", fmt.Errorf("notify: hash password: %w", err)
	}
	return string(h), nil
}

// accounts are the users and devices of the configuration.
type accounts struct {
	users   map[string]*Account // by folded user name
	devices map[string]*Device  // nil: any
	absent  []byte              // hash to compare with where there is no user, so that it takes as long
	busy    chan struct{}       // bounds the hashing, which is expensive on purpose
}

func newAccounts(users []Account, devices []Device) (*accounts, error) {
	a := &accounts{users: make(map[string]*Account), busy: make(chan struct{}, 4)}
	cost := bcrypt.DefaultCost
	for _, u := range users {
		key := strings.ToLower(u.UserName)
		if key == "" || a.users[key] != nil {
			return nil, fmt.Errorf("user name %q: want one that is not empty and not taken", u.UserName)
		}
		n, err := bcrypt.Cost([]byte(u.PasswordHash))
		if err != nil {
			return nil, fmt.Errorf("password hash of user %q: want a bcrypt hash: %w", u.UserName, err)
		}
		cost = n
		if u.ID == "" {
			u.ID = u.UserName
		}
		if u.Name == "" {
			u.Name = u.UserName
		}
		a.users[key] = &u
	}
	for _, d := range devices {
		if a.devices == nil {
			a.devices = make(map[string]*Device)
		}
		if d.Name == "" || a.devices[d.Name] != nil {
			return nil, fmt.Errorf("device name %q: want one that is not empty and not taken", d.Name)
		}
		a.devices[d.Name] = &d
	}
	var err error
	a.absent, err = bcrypt.GenerateFromPassword([]byte("nobody"), cost)
	return a, err
}

// check returns the user with that password, or nil. It blocks for the time of a hash.
func (a *accounts) check(userName, password string) *Account {
	a.busy <- struct{}{}
	defer func() { <-a.busy }()
	u := a.users[strings.ToLower(userName)]
	hash := a.absent
	if u != nil {
		hash = []byte(u.PasswordHash)
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil {
		return nil
	}
	return u
}

func (a *accounts) user(userName string) *Account { return a.users[strings.ToLower(userName)] }

// device returns the device with that name, or nil if it may not log in.
func (a *accounts) device(name string) *Device {
	if a.devices == nil {
		return &Device{Name: name}
	}
	return a.devices[name]
}

// hasRight reports whether a user has a right, from a login of ours or from the claims "role", "roles" or "rights" of another
// token.
func hasRight(u *hubbub.User, right string) bool {
	if u == nil {
		return false
	}
	rights, _ := u.Claims["rights"].([]any)
	for _, r := range [...]string{right, RightAdmin} {
		if slices.Contains(rights, any(r)) || u.HasRole(r) {
			return true
		}
	}
	return false
}

// identity is a user as notifications name one.
func identity(u *hubbub.User) Identity {
	id := Identity{User: u.Claim("userName"), Device: u.Claim("device")}
	if id.User == "" {
		id.User = u.ID
	}
	if f := u.Claim("feature"); f != "" {
		id.Feature = &f
	}
	return id
}
