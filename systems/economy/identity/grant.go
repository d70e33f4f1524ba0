package identity

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// grant is what somebody has allowed a client: to have tokens of an account, with these scopes.
type grant struct {
	client   string
	account  string
	scopes   []string
	authTime time.Time
	// signed is set once the access token was made. The ID token that is made next is for the client alone: with the audiences
	// of the services it would do as an access token.
	signed bool
}

func (g *grant) GetACR() string         { return "" }
func (g *grant) GetAMR() []string       { return []string{"pwd"} }
func (g *grant) GetAuthTime() time.Time { return g.authTime }
func (g *grant) GetClientID() string    { return g.client }
func (g *grant) GetScopes() []string    { return g.scopes }
func (g *grant) GetSubject() string     { return g.account }
func (g *grant) accessTokenMade()       { g.signed = true }

func (g *grant) GetAudience() []string {
	if g.signed {
		return nil
	}
	return audienceOf(g.scopes)
}

// signIn is a row: a sign-in that a browser has begun for a client. It is op.AuthRequest.
type signIn struct {
	grant
	id           string
	browser      string
	redirectURI  string
	state        string
	nonce        string
	responseMode string
	challenge    string
	used         bool
	expires      time.Time
}

func (s *signIn) GetID() string                      { return s.id }
func (s *signIn) GetNonce() string                   { return s.nonce }
func (s *signIn) GetRedirectURI() string             { return s.redirectURI }
func (s *signIn) GetResponseType() oidc.ResponseType { return oidc.ResponseTypeCode }
func (s *signIn) GetResponseMode() oidc.ResponseMode { return oidc.ResponseMode(s.responseMode) }
func (s *signIn) GetState() string                   { return s.state }
func (s *signIn) Done() bool                         { return s.account != "" }

func (s *signIn) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: s.challenge, Method: oidc.CodeChallengeMethodS256}
}

// renewal is a row: a refresh token that is being used. It is op.RefreshTokenRequest.
type renewal struct {
	grant
	family  string
	all     []string // scopes of the sign-in
	expires time.Time
}

// SetCurrentScopes narrows the scopes for the tokens that are made now.
func (r *renewal) SetCurrentScopes(scopes []string) { r.scopes = scopes }
