package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// fetcher gets documents of an issuer.
type fetcher struct {
	client    *http.Client
	allowHTTP bool
}

func newFetcher(client *http.Client, allowHTTP bool) *fetcher {
	f := &fetcher{allowHTTP: allowHTTP}
	own := http.Client{}
	if client != nil {
		own = *client
	}
	follow := own.CheckRedirect
	own.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if _, err := f.parse(r.URL.String()); err != nil {
			return err
		}
		if follow != nil {
			return follow(r, via)
		}
		if len(via) >= 5 {
			return fmt.Errorf("stopped after 5 redirects")
		}
		return nil
	}
	f.client = &own
	return f
}

// parse checks an address that keys are to come from: whoever can change what comes from there can be anybody.
func (f *fetcher) parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, err
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("address %s, want an absolute https one", quote(address))
	case u.Scheme == "http" && !f.allowHTTP && !loopback(u.Hostname()):
		return nil, fmt.Errorf("address %s is not https and AllowHTTP is off", quote(address))
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// get returns the body of an answer 200, of at most 1 MiB.
func (f *fetcher) get(ctx context.Context, address string) ([]byte, error) {
	u, err := f.parse(address)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "hubbub")
	w, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d, want 200", u.Redacted(), w.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(w.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", u.Redacted(), err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("get %s: body of more than %d bytes", u.Redacted(), maxDocument)
	}
	return body, nil
}

// keys fetches a JWK set.
func (f *fetcher) keys(ctx context.Context, address string) (*keySet, error) {
	body, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	return parseJWKS(body)
}

// discover fetches the keys of an issuer by way of its configuration (OpenID Connect Discovery 1.0, section 4). The issuer
// that the configuration names must be the one that was asked for.
func (f *fetcher) discover(ctx context.Context, issuer string) (*keySet, error) {
	address := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	body, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("get %s: %w", address, err)
	}
	if doc.Issuer != issuer {
		return nil, fmt.Errorf("get %s: issuer is %s, want %s", address, quote(doc.Issuer), quote(issuer))
	}
	if doc.JWKS == "" {
		return nil, fmt.Errorf("get %s: there is no jwks_uri", address)
	}
	return f.keys(ctx, doc.JWKS)
}
