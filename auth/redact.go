package auth

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// queryName is the query parameter of an access token, as SignalR's clients write it. ASP.NET Core reads it in any case.
const queryName = "access_token"

const redacted = "REDACTED"

func isTokenName(raw string) bool {
	name, err := url.QueryUnescape(raw)
	return err == nil && strings.EqualFold(name, queryName)
}

// cutToken takes the access tokens out of a raw query and leaves the rest byte by byte.
func cutToken(query string) (rest string, values []string) {
	if !mayHoldToken(query) {
		return query, nil
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if isTokenName(name) {
			values = append(values, value)
		} else {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&"), values
}

// mayHoldToken is the quick look: most queries have no token. An escaped letter may be one of the name.
func mayHoldToken(query string) bool {
	if strings.Contains(query, "%") {
		return true
	}
	return indexFold(query, queryName) >= 0
}

func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}

// RedactURL returns the text of u for a log: the values of access_token in its query (in any case, escaped or not) are
// replaced, and so is a password. A nil u is "".
func RedactURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	c := *u
	c.RawQuery = redactQuery(u.RawQuery)
	return c.Redacted()
}

func redactQuery(query string) string {
	if !mayHoldToken(query) {
		return query
	}
	var b strings.Builder
	for len(query) > 0 {
		pair, sep := query, ""
		if i := strings.IndexAny(query, "&;"); i >= 0 { // a semicolon divides nothing for us, but may for those who log it
			pair, sep = query[:i], query[i:i+1]
		}
		query = query[len(pair)+len(sep):]
		if name, _, ok := strings.Cut(pair, "="); ok && isTokenName(name) {
			pair = name + "=" + redacted
		}
		b.WriteString(pair + sep)
	}
	return b.String()
}

// RedactAttr is for [slog.HandlerOptions].ReplaceAttr: it replaces the values of access_token in attributes that are texts,
// errors, or URLs, and in the message of a record. Attributes without one stay as they are.
func RedactAttr(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value; v.Kind() {
	case slog.KindString:
		if s := v.String(); indexFold(s, queryName) >= 0 {
			a.Value = slog.StringValue(redactText(s))
		}
	case slog.KindAny:
		switch x := v.Any().(type) {
		case *url.URL:
			a.Value = slog.StringValue(RedactURL(x))
		case url.URL:
			a.Value = slog.StringValue(RedactURL(&x))
		case error:
			if s := x.Error(); indexFold(s, queryName) >= 0 {
				a.Value = slog.StringValue(redactText(s))
			}
		}
	}
	return a
}

// redactText replaces what stands after "access_token=" up to a character that ends a value in a URL or in a sentence.
func redactText(s string) string {
	var b strings.Builder
	for {
		i := indexFold(s, queryName+"=")
		if i < 0 {
			return b.String() + s
		}
		i += len(queryName) + 1
		b.WriteString(s[:i] + redacted)
		s = s[i:]
		if end := strings.IndexAny(s, "&;# \t\r\n\"'<>,)"); end >= 0 {
			s = s[end:]
		} else {
			s = ""
		}
	}
}

// stripToken takes the access token out of the copy of a request that the next handler gets.
func stripToken(r *http.Request) {
	rest, values := cutToken(r.URL.RawQuery)
	if values == nil {
		return
	}
	u := *r.URL
	u.RawQuery = rest
	u.ForceQuery = false
	r.URL = &u
	r.RequestURI = u.RequestURI()
	if r.Form != nil {
		form := url.Values{}
		for name, v := range r.Form {
			if !strings.EqualFold(name, queryName) {
				form[name] = v
			}
		}
		r.Form = form
	}
}
