package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/hubbub-go/hubbub/systems/economy/web"
)

// Paths of the provider, those of the original.
const (
	pathDiscovery = "/.well-known/openid-configuration"
	pathKeys      = "/.well-known/openid-configuration/jwks"
	pathAuthorize = "/connect/authorize"
	pathCallback  = "/connect/authorize/callback"
	pathToken     = "/connect/token"
	pathUserinfo  = "/connect/userinfo"
	pathRevoke    = "/connect/revocation"
	pathEnd       = "/connect/endsession"
)

// provider is the OpenID provider of a service: the storage that package op wants, and its endpoints.
type provider struct {
	*Service
	op      *op.Provider
	clients map[string]*opClient
	pages   *pages
	tries   *throttle
}

func newProvider(s *Service) (*provider, error) {
	p := &provider{Service: s, clients: make(map[string]*opClient), tries: newThrottle()}
	for _, c := range s.config.Clients {
		if c.ID == "" || p.clients[c.ID] != nil {
			return nil, fmt.Errorf("client %q, want an id that is not empty and not taken", c.ID)
		}
		p.clients[c.ID] = &opClient{c, s.config.PathBase + pathLogin, s.config.AccessTokenLifetime}
	}
	config := &op.Config{
		CodeMethodS256: true, GrantTypeRefreshToken: true, DefaultLogoutRedirectURI: s.config.PathBase + pathSignedOut,
		SupportedScopes: supportedScopes(),
		SupportedClaims: []string{"sub", "aud", "exp", "iat", "iss", "auth_time", "nonce", "amr", "azp", "name", "preferred_username", "email", "role", "scope"},
	}
	rand.Read(config.CryptoKey[:]) // what is encrypted with it is only ever compared
	var err error
	p.op, err = op.NewProvider(config, p, op.StaticIssuer(s.config.Issuer), op.WithAllowInsecure(), op.WithCORSOptions(nil),
		op.WithCustomEndpoints(op.NewEndpoint(pathAuthorize), op.NewEndpoint(pathToken), op.NewEndpoint(pathUserinfo), op.NewEndpoint(pathRevoke),
			op.NewEndpoint(pathEnd), op.NewEndpoint(pathKeys)))
	if err != nil {
		return nil, err
	}
	p.pages, err = newPages(s.config.PathBase)
	return p, err
}

func supportedScopes() []string {
	return []string{
		oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, scopeRoles, oidc.ScopeOfflineAccess, "catalog.fullaccess", "catalog.readaccess", "catalog.writeaccess",
		"inventory.fullaccess", "trading.fullaccess", "IdentityServerApi",
	}
}

// routes adds the provider's endpoints to a mux without PathBase.
func (p *provider) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathDiscovery, p.discovery)
	mux.Handle("GET "+pathKeys, p.op)
	mux.Handle("POST "+pathToken, limited(p.op))
	mux.Handle("GET "+pathUserinfo, p.op)
	mux.Handle("POST "+pathUserinfo, limited(p.op))
	mux.Handle("POST "+pathRevoke, limited(p.op))
	for _, method := range []string{"GET ", "POST "} {
		mux.Handle(method+pathAuthorize, p.visiting(limited(p.op)))
		mux.Handle(method+pathEnd, p.visiting(p.leaving(limited(p.op))))
	}
	mux.Handle("GET "+pathCallback, p.visiting(http.HandlerFunc(p.callback)))
	p.pageRoutes(mux)
}

// limited bounds bodies of requests.
func limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// leaving removes the cookie of the session.
func (p *provider) leaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.setCookie(w, sessionCookie, "", -1)
		next.ServeHTTP(w, r)
	})
}

// callback sends the browser on to the client, once somebody has signed in.
func (p *provider) callback(w http.ResponseWriter, r *http.Request) {
	s, err := p.signIn(r.Context(), r.URL.Query().Get("id"))
	if errors.Is(err, errNoSignIn) {
		p.pages.expired(w, r)
		return
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	if !s.Done() {
		http.Redirect(w, r, p.config.PathBase+pathLogin+"?request="+s.id, http.StatusSeeOther)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	p.op.ServeHTTP(w, r)
}

// discovery says what the provider can, and not what package op could beyond that.
func (p *provider) discovery(w http.ResponseWriter, r *http.Request) {
	d := op.CreateDiscoveryConfig(op.ContextWithIssuer(r.Context(), p.config.Issuer), p.op, p)
	d.ResponseTypesSupported = []string{string(oidc.ResponseTypeCode)}
	d.GrantTypesSupported = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
	d.TokenEndpointAuthMethodsSupported = []oidc.AuthMethod{oidc.AuthMethodNone}
	d.RevocationEndpointAuthMethodsSupported = []oidc.AuthMethod{oidc.AuthMethodNone}
	d.RevocationEndpointAuthSigningAlgValuesSupported = nil
	d.IntrospectionEndpoint, d.IntrospectionEndpointAuthMethodsSupported, d.IntrospectionEndpointAuthSigningAlgValuesSupported = "", nil, nil
	d.DeviceAuthorizationEndpoint = ""
	op.Discover(w, d)
}

// fail answers that something went wrong.
func (p *provider) fail(w http.ResponseWriter, r *http.Request, err error) {
	web.WriteProblem(w, r, p.config.Logger, err)
}

// GetClientByClientID returns a client of the configuration.
func (p *provider) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	c := p.clients[id]
	if c == nil {
		return nil, oidc.ErrInvalidClient().WithDescription("the client is not known")
	}
	return c, nil
}

// AuthorizeClientIDSecret refuses: no client has a secret.
func (p *provider) AuthorizeClientIDSecret(context.Context, string, string) error {
	return oidc.ErrInvalidClient().WithDescription("clients have no secret")
}

// account returns who a token is of; the account may be gone.
func (p *provider) account(ctx context.Context, subject string) (*account, error) {
	id, err := uuid.Parse(subject)
	if err != nil {
		return nil, oidc.ErrInvalidGrant().WithDescription("the account is not known")
	}
	a, err := accountByID(ctx, p.store, id)
	if errors.Is(err, ErrNoAccount) {
		return nil, oidc.ErrInvalidGrant().WithDescription("the account is not known")
	}
	return a, err
}

// role is the claim of roles as the original has it: a text, or a list of more than one.
func role(a *account) any {
	if len(a.roles) == 1 {
		return a.roles[0]
	}
	return a.roles
}

// GetPrivateClaimsFromRequest returns the claims of access tokens that are ours: name, role and scope.
func (p *provider) GetPrivateClaimsFromRequest(ctx context.Context, r op.TokenRequest, _ []string) (map[string]any, error) {
	a, err := p.account(ctx, r.GetSubject())
	if err != nil {
		return nil, err
	}
	if g, ok := r.(interface{ accessTokenMade() }); ok {
		g.accessTokenMade()
	}
	return map[string]any{"name": a.UserName, "role": role(a), "scope": r.GetScopes()}, nil
}

// GetPrivateClaimsFromScopes does nothing: [provider.GetPrivateClaimsFromRequest] is used in its place.
func (p *provider) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

// SetUserinfoFromRequest puts what the scopes allow into an ID token.
func (p *provider) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	a, err := p.account(ctx, r.GetSubject())
	if err != nil {
		return err
	}
	info.Subject = r.GetSubject()
	for _, s := range scopes {
		switch s {
		case oidc.ScopeProfile:
			info.Name, info.PreferredUsername = a.UserName, a.UserName
		case oidc.ScopeEmail:
			info.Email = a.Email
		case scopeRoles:
			info.AppendClaims("role", role(a))
		}
	}
	return nil
}

// SetUserinfoFromScopes does nothing: [provider.SetUserinfoFromRequest] is used in its place.
func (p *provider) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromToken tells who an access token is of about its own account.
func (p *provider) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, _, subject, _ string) error {
	a, err := p.account(ctx, subject)
	if err != nil {
		return err
	}
	info.Subject = subject
	info.Name, info.PreferredUsername, info.Email = a.UserName, a.UserName, a.Email
	info.AppendClaims("role", role(a))
	return nil
}

// SetIntrospectionFromToken refuses: tokens are checked by their signature.
func (p *provider) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return oidc.ErrInvalidRequest().WithDescription("there is no introspection")
}

// GetKeyByIDAndClientID refuses: no client has a key.
func (p *provider) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, oidc.ErrInvalidClient().WithDescription("clients have no key")
}

// ValidateJWTProfileScopes refuses: no client has a key.
func (p *provider) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, oidc.ErrInvalidGrant().WithDescription("there are no grants by assertion")
}

// Health reports whether the database answers.
func (p *provider) Health(ctx context.Context) error { return p.Ready(ctx) }
