package identity

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Audience is what access tokens for the users API are for.
const Audience = "Identity"

// MaximumGil of an account, for who sets it.
const MaximumGil = 1_000_000 * contracts.OneGil

// Bounds of passwords: bcrypt looks at 72 bytes.
const (
	minimumPassword = 8
	maximumPassword = 72
)

// Config of the service. Zero fields have the default of their comment.
type Config struct {
	// Database is the service's own. Its Name is "identity" by default.
	Database store.Config
	// Bus with the queues of [contracts.Queues]. Needed.
	Bus *bus.Bus
	// Issuer is the address of the service as browsers and other services see it, PathBase included, such as
	// https://play.example.com/identity-svc. It is the claim "iss" of all tokens. Needed.
	Issuer string
	// PathBase is what stands before the paths of the service. Default: the path of Issuer.
	PathBase string
	// Verify decides which access tokens for [Audience] are good, of the OpenID provider of somebody else, whose address Issuer
	// then is. The service itself is none then, nobody signs in at it, and it makes no account of an administrator: it keeps
	// accounts only, which POST /register makes for whoever has a token, with the claim "sub", a UUID, as the id. PathBase has no
	// default then. Default: the service is the provider.
	Verify auth.Verifier
	// Clients that may have people sign in. Default: [Frontend] of http://localhost:3000, of the Issuer's server and of
	// /economy there, and [Postman].
	Clients []Client
	// AllowedOrigins are those of pages that may read answers, beside pages of the same origin. Default: the origins of the
	// redirect URIs of Clients.
	AllowedOrigins []string
	// AdminEmail is the account with the role Admin that is made if it is not there. Default admin@play.com.
	AdminEmail string
	// AdminPassword is its password. Default: a random one.
	AdminPassword string
	// Announce hears of the administrator's account once it was made, with the password to tell somebody. Default: it is
	// written to Logger, but without a password that was configured.
	Announce func(email, password string)
	// StartingGil is what a new account has, the administrator's too. Default 100 gil; negative: none.
	StartingGil contracts.Gil
	// PasswordCost is that of bcrypt. Default 10, which is some 50 ms.
	PasswordCost int
	// AccessTokenLifetime is that of access and ID tokens. Default 1 h.
	AccessTokenLifetime time.Duration
	// RefreshTokenLifetime begins with the sign-in. Default 30 days.
	RefreshTokenLifetime time.Duration
	// SessionLifetime is how long a browser stays signed in. Default 12 h.
	SessionLifetime time.Duration
	// KeyLifetime is after what time tokens are signed with another key. The old one verifies as long again. Default 90 days.
	KeyLifetime time.Duration
	// ClientAddress says where a request comes from, for the limits of failed sign-ins. Default: the peer's address, which
	// behind a proxy is the proxy's.
	ClientAddress func(*http.Request) string
	// Box has the options of outbox and inbox; its Store and Bus are those of the service. Its Clock is that of codes, sessions
	// and refresh tokens, but not of signed tokens.
	Box box.Config
	// Logger for what goes wrong. Default slog.Default().
	Logger *slog.Logger
}

// setDefaults fills in what is not set, and reports what is wrong.
func (c *Config) setDefaults() error {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "http" && issuer.Scheme != "https" || issuer.RawQuery != "" || issuer.Fragment != "" {
		return fmt.Errorf("issuer %q, want an http or https address without query", c.Issuer)
	}
	if strings.HasSuffix(c.Issuer, "/") {
		return fmt.Errorf("issuer %q ends with a slash, want none", c.Issuer)
	}
	if c.Bus == nil {
		return errors.New("no bus, want one")
	}
	def(&c.Database.Name, "identity")
	if c.Verify == nil {
		def(&c.PathBase, issuer.Path)
	}
	def(&c.AdminEmail, "admin@play.com")
	if !checkEmail(c.AdminEmail) {
		return fmt.Errorf("administrator's e-mail %q, want one", c.AdminEmail)
	}
	if c.AdminPassword != "" {
		if err := checkPassword(c.AdminPassword); err != nil {
			return fmt.Errorf("administrator's %w", err)
		}
	}
	def(&c.StartingGil, 100*contracts.OneGil)
	c.StartingGil = max(c.StartingGil, 0)
	def(&c.PasswordCost, bcrypt.DefaultCost)
	def(&c.AccessTokenLifetime, time.Hour)
	def(&c.RefreshTokenLifetime, 30*24*time.Hour)
	def(&c.SessionLifetime, 12*time.Hour)
	def(&c.KeyLifetime, 90*24*time.Hour)
	if c.Clients == nil {
		server := issuer.Scheme + "://" + issuer.Host
		c.Clients = []Client{Frontend("http://localhost:3000", server, server+"/economy"), Postman()}
	}
	if c.AllowedOrigins == nil {
		c.AllowedOrigins = origins(c.Clients)
	}
	if c.ClientAddress == nil {
		c.ClientAddress = peer
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Box.Logger == nil {
		c.Box.Logger = c.Logger
	}
	if c.Database.Logger == nil {
		c.Database.Logger = c.Logger
	}
	if c.Announce == nil {
		given := c.AdminPassword
		c.Announce = func(email, password string) {
			if password == given {
				password = "as configured"
			}
			c.Logger.Info("identity: administrator's account was made", "email", email, "password", password)
		}
	}
	return nil
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// peer returns the address of the peer, of IPv6 the network that one customer usually has.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return ip.Mask(net.CIDRMask(64, 128)).String()
	}
	return host
}
