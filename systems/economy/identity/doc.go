// Package identity is the service of Play Economy that knows the accounts: who they are, what they may do and how many gil they
// have. It is an OpenID provider for the portal and other clients (authorization code with PKCE), keeps the users for those who
// administrate them, and debits what purchases cost.
//
//	browser ─▶ /connect/authorize ─▶ /account/login or /register ─▶ the client, with a code ─▶ /connect/token ─▶ access token
//	admin   ─▶ /users
//	saga    ─▶ DebitGil ─▶ GilDebited, UserUpdated
//
// Any other OpenID provider can take its place for signing in: the services check access tokens by issuer, audience, role and
// scope alone. The accounts then have to have the ids that the other provider writes as "sub".
package identity
