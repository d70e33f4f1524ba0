package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hubbub-go/hubbub"
)

// Token returns an [Authenticator] of access tokens. It takes the token from the first of these that holds one:
//  1. the header "Authorization" with the scheme of [Options].Scheme, "Bearer" by default, in any case;
//  2. the query parameter access_token (its name in any case), if [Options].QueryToken is set.
//
// Another scheme in the header and an empty token count as no credential. Two of the same kind are a bad one.
func Token(v Verifier, o *Options) Authenticator {
	if v == nil {
		panic("auth: Token without a verifier")
	}
	scheme, fromQuery := o.scheme(), o != nil && o.QueryToken
	return func(r *http.Request) (*hubbub.User, error) {
		token, err := headerToken(r.Header["Authorization"], scheme)
		if token == "" && err == nil && fromQuery {
			token, err = queryToken(r.URL.RawQuery)
		}
		if token == "" || err != nil {
			return nil, err
		}
		u, err := v(r.Context(), token)
		if err == nil && u == nil {
			err = errNobody
		}
		return u, err
	}
}

// Bearer returns middleware that authenticates requests by their access token: [Middleware] with [Token]. o may be nil. It
// panics without a verifier.
func Bearer(v Verifier, o *Options) func(http.Handler) http.Handler {
	return Middleware(Token(v, o), o)
}

func headerToken(lines []string, scheme string) (token string, err error) {
	found := false
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, " ")
		if !strings.EqualFold(name, scheme) {
			continue
		}
		if found {
			return "", errors.New("auth: more than one Authorization header, want one")
		}
		found, token = true, strings.Trim(rest, " \t")
	}
	return token, nil
}

func queryToken(query string) (token string, err error) {
	_, values := cutToken(query)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		token, err = url.QueryUnescape(values[0])
		if err != nil {
			return "", errors.New("auth: access_token in the query is escaped wrongly") // err quotes a part of the token
		}
		return token, nil
	}
	return "", fmt.Errorf("auth: access_token is in the query %d times, want once", len(values))
}
