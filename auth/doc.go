// Package auth answers one question about a request: who is it? It reads a credential, verifies it and puts a [hubbub.User]
// into the request's context. What that user may do is decided elsewhere, by [hubbub.Rule].
//
//	request ──▶ CORS ──▶ Bearer or Middleware ──▶ signalr.Handler, your handlers
//	                     │ token: header, then query     │ hubbub.UserFrom(ctx)
//	                     ▼                               ▼
//	                  Verifier: JWT, Issuer, Any      Challenge (401), Forbid (403)
//
// [Bearer] is middleware for access tokens, [Middleware] for any other scheme. A [Verifier] turns a token into a user: [JWT]
// with a key, a key file, a JWKS URL or OpenID Connect discovery, [Issuer] for tokens that the server signs itself, [Any] for
// several of them. [CORS] must stand outside of the authenticating middleware, because a preflight carries no credential.
// [Origins] says from which pages a WebSocket may come.
//
// A request without a credential, or with a bad one, passes on as anonymous unless [Options].Required says otherwise; a
// later 401 then names the bad credential, as ASP.NET Core's bearer handler does. Answers of this package have no body, which
// is what makes SignalR's JavaScript client print its own sentence.
//
// Nothing in this package logs or returns a token, and a token in the query is taken out of the URL before the next handler
// sees it. A logger that stands outside of the middleware uses [RedactURL] or [RedactAttr].
package auth
