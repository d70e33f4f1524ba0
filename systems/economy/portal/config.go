package portal

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Config says where the services are. An address is absolute, http or https, or relative to that of the portal; a slash at its end
// does not matter. Zero fields have the default of their comment, which is for everything on one server.
type Config struct {
	// Catalog, Inventory, Identity and Trading are the addresses of the services. Default ../catalog-svc and so on.
	Catalog   string `json:"catalog"`
	Inventory string `json:"inventory"`
	Identity  string `json:"identity"`
	Trading   string `json:"trading"`
	// Hub is the address of the hub. Default: messagehub below Trading.
	Hub string `json:"hub"`
	// Issuer is the OpenID provider, as in its tokens. Default: Identity.
	Issuer string `json:"issuer"`
	// Addresses are where browsers have to come from for the issuer to take them, each absolute: its redirect URIs are below them. The
	// page says so to those who have opened it elsewhere, and leads them to the first. Default: /economy/ at the Issuer's server, by both
	// names of this machine if it is one of them; empty and not nil, or if Issuer is relative: not checked.
	Addresses []string `json:"addresses"`
	// Client is the portal's id at the issuer, which has as redirect URI authentication/login-callback below each of Addresses and as the one after
	// signing out authentication/logout-callback. Default "frontend".
	Client string `json:"client"`
	// Scopes to ask for. Default: those of the services, roles, and offline_access for the renewal of tokens.
	Scopes []string `json:"scopes"`
}

func (c *Config) setDefaults() error {
	c.Addresses = slices.Clone(c.Addresses)
	def := func(v *string, value string) {
		if *v == "" {
			*v = value
		}
	}
	def(&c.Catalog, "../catalog-svc")
	def(&c.Inventory, "../inventory-svc")
	def(&c.Identity, "../identity-svc")
	def(&c.Trading, "../trading-svc")
	def(&c.Hub, strings.TrimSuffix(c.Trading, "/")+"/messagehub")
	def(&c.Issuer, c.Identity)
	def(&c.Client, "frontend")
	if len(c.Scopes) == 0 {
		c.Scopes = []string{
			"openid", "profile", "email", "roles", "offline_access", "catalog.fullaccess", "inventory.fullaccess", "trading.fullaccess", "IdentityServerApi",
		}
	}
	for _, address := range c.addresses() {
		*address = strings.TrimSuffix(*address, "/")
		if err := check(*address); err != nil {
			return err
		}
	}
	if c.Addresses == nil {
		c.Addresses = atServer(c.Issuer)
	}
	for i, address := range c.Addresses {
		if err := check(address); err != nil {
			return err
		}
		if origin(address) == "" {
			return fmt.Errorf("address of the portal %q, want an absolute one", address)
		}
		c.Addresses[i] = strings.TrimSuffix(address, "/") + "/"
	}
	return nil
}

// atServer returns where the portal is if it is on the server of an address.
func atServer(address string) []string {
	all := []string{}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return all
	}
	for _, host := range []string{u.Hostname(), map[string]string{"localhost": "127.0.0.1", "127.0.0.1": "localhost"}[u.Hostname()]} {
		if host != "" {
			all = append(all, u.Scheme+"://"+strings.TrimSuffix(net.JoinHostPort(host, u.Port()), ":")+"/economy/")
		}
	}
	return all
}

func (c *Config) addresses() []*string {
	return []*string{&c.Catalog, &c.Inventory, &c.Identity, &c.Trading, &c.Hub, &c.Issuer}
}

// check returns an error if a text is no address.
func check(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return fmt.Errorf("address %q: %w", address, err)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "":
	case u.Scheme == "" && u.Host == "" && u.Path != "":
		return nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && !strings.ContainsAny(u.Host, " ;,'*"):
		return nil
	}
	return fmt.Errorf("address %q, want a relative one, or one of http or https, without query", address)
}

// origin returns that of an absolute address, else "".
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// policy lets the page load what comes with it and talk to the services, and nothing else. There is no inline script, no inline style,
// and no text becomes markup.
func (c *Config) policy() string {
	talk := []string{"'self'"}
	for _, address := range c.addresses() {
		if o := origin(*address); o != "" && !slices.Contains(talk, o) {
			talk = append(talk, o, "ws"+strings.TrimPrefix(o, "http"))
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src " + strings.Join(talk, " ") +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}
