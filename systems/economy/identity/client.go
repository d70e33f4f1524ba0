package identity

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// audiences says what tokens with a scope are for.
var audiences = map[string]string{
	"catalog.fullaccess":   "Catalog",
	"catalog.readaccess":   "Catalog",
	"catalog.writeaccess":  "Catalog",
	"inventory.fullaccess": "Inventory",
	"trading.fullaccess":   "Trading",
	"IdentityServerApi":    Audience,
}

const scopeRoles = "roles"

// portalScopes are those that the portal asks for.
var portalScopes = []string{
	oidc.ScopeOpenID, oidc.ScopeProfile, "catalog.fullaccess", "inventory.fullaccess", "trading.fullaccess", "IdentityServerApi", scopeRoles,
}

// audienceOf returns what a token with these scopes is for.
func audienceOf(scopes []string) []string {
	var all []string
	for _, s := range scopes {
		if a := audiences[s]; a != "" && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	slices.Sort(all)
	return all
}

// Client is a program that may have people sign in: by authorization code with PKCE (S256), and without a secret.
type Client struct {
	// ID names it. Needed.
	ID string
	// RedirectURIs are where a code may go, each exactly as it comes.
	RedirectURIs []string
	// PostLogoutRedirectURIs are where a browser may go after signing out, each exactly as it comes.
	PostLogoutRedirectURIs []string
	// Native is a program on the user's machine: of RedirectURIs with a loopback host the port does not matter, and other
	// schemes than http and https are allowed.
	Native bool
}

// Frontend returns the client "frontend", the portal, served at these addresses, each without a slash at its end: codes may go to
// /authentication/login-callback below them or to the address itself.
func Frontend(addresses ...string) Client {
	c := Client{ID: "frontend"}
	for _, a := range addresses {
		c.RedirectURIs = append(c.RedirectURIs, a+"/authentication/login-callback", a+"/")
		c.PostLogoutRedirectURIs = append(c.PostLogoutRedirectURIs, a+"/authentication/logout-callback", a+"/")
	}
	return c
}

// Postman returns the client "postman", for Postman and for other programs on the user's machine that listen at
// http://127.0.0.1:PORT/callback.
func Postman() Client {
	return Client{ID: "postman", Native: true, RedirectURIs: []string{
		"https://oauth.pstmn.io/v1/callback", "https://oauth.pstmn.io/v1/browser-callback", "urn:ietf:wg:oauth:2.0:oob", "http://127.0.0.1/callback",
	}}
}

// origins returns those of the redirect URIs.
func origins(clients []Client) []string {
	all := []string{}
	for _, c := range clients {
		if c.Native {
			continue
		}
		for _, uri := range c.RedirectURIs {
			if o := origin(uri); o != "" && !slices.Contains(all, o) {
				all = append(all, o)
			}
		}
	}
	return all
}

// origin returns that of an http or https address, else "".
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// opClient is a client as package op takes it.
type opClient struct {
	Client
	login    string // address of the login page without its query
	lifetime time.Duration
}

func (c *opClient) GetID() string                    { return c.ID }
func (c *opClient) RedirectURIs() []string           { return c.Client.RedirectURIs }
func (c *opClient) PostLogoutRedirectURIs() []string { return c.Client.PostLogoutRedirectURIs }
func (c *opClient) AuthMethod() oidc.AuthMethod      { return oidc.AuthMethodNone }
func (c *opClient) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

func (c *opClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
}
func (c *opClient) LoginURL(id string) string                                           { return c.login + "?request=" + url.QueryEscape(id) }
func (c *opClient) AccessTokenType() op.AccessTokenType                                 { return op.AccessTokenTypeJWT }
func (c *opClient) IDTokenLifetime() time.Duration                                      { return c.lifetime }
func (c *opClient) RestrictAdditionalIdTokenScopes() func(scopes []string) []string     { return same }
func (c *opClient) RestrictAdditionalAccessTokenScopes() func(scopes []string) []string { return same }
func (c *opClient) IDTokenUserinfoClaimsAssertion() bool                                { return true }
func (c *opClient) ClockSkew() time.Duration                                            { return 0 }

// DevMode allows http for what the configuration lists: it names those addresses exactly.
func (c *opClient) DevMode() bool { return true }

func (c *opClient) ApplicationType() op.ApplicationType {
	if c.Native {
		return op.ApplicationTypeNative
	}
	return op.ApplicationTypeUserAgent
}

// IsScopeAllowed is about scopes beside those of OpenID Connect itself.
func (c *opClient) IsScopeAllowed(scope string) bool {
	return scope == scopeRoles || audiences[scope] != ""
}

func same(scopes []string) []string { return scopes }
