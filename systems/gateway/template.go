package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// errParameters is what is wrong with the parameters of a request; its text is for the client.
type errParameters struct{ text string }

func (e *errParameters) Error() string { return e.text }

// template is the path of a route: texts and, between them, the names of placeholders.
type template struct {
	texts []string // one more than names
	names []string
}

// parseTemplate reads a path with placeholders such as {id}.
func parseTemplate(path string) (template, error) {
	var t template
	if strings.ContainsAny(path, "#\\") {
		return t, fmt.Errorf("path %q has a fragment or a backslash", path)
	}
	for {
		before, after, found := strings.Cut(path, "{")
		if strings.Contains(before, "}") {
			return t, fmt.Errorf("path %q: } without {", path)
		}
		t.texts = append(t.texts, before)
		if !found {
			break
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return t, fmt.Errorf("path %q: want a name between { and }", path)
		}
		t.names, path = append(t.names, name), rest
	}
	if _, err := url.Parse("/" + strings.Join(t.texts, "x")); err != nil {
		return t, fmt.Errorf("path: %w", err)
	}
	return t, nil
}

// fill returns the path, with its query, for the parameters of a request. It has no segments that lead out of the service.
func (t template) fill(parameters string) (string, error) {
	var path string
	if len(t.names) == 0 {
		path = t.texts[0] + parameters
		if before, query, found := strings.Cut(path, "?"); found {
			path = escape(before, false) + "?" + escape(query, true)
		} else {
			path = escape(path, false)
		}
	} else {
		var err error
		if path, err = t.substitute(parameters); err != nil {
			return "", err
		}
	}
	path = "/" + strings.TrimLeft(path, "/")
	before, _, _ := strings.Cut(path, "?")
	for s := range strings.SplitSeq(before, "/") {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return "", &errParameters{"The parameters make an invalid path."}
		}
		for part := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
			if part == "." || part == ".." {
				return "", &errParameters{"The parameters lead out of the path of the route."}
			}
		}
	}
	return path, nil
}

// substitute puts values, which are those of a query that has been decoded, into the placeholders.
func (t template) substitute(parameters string) (string, error) {
	values := make(map[string]string)
	for pair := range strings.SplitSeq(strings.TrimPrefix(parameters, "?"), "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			values[strings.ToLower(name)] = value
		}
	}
	var b strings.Builder
	b.WriteString(t.texts[0])
	query := strings.Contains(t.texts[0], "?")
	for i, name := range t.names {
		value, ok := values[strings.ToLower(name)]
		switch {
		case !ok:
			return "", &errParameters{"The parameters have no " + name + ", want " + strings.Join(t.names, ", ") + "."}
		case query:
			b.WriteString(url.QueryEscape(value))
		default:
			b.WriteString(url.PathEscape(value))
		}
		b.WriteString(t.texts[i+1])
		query = query || strings.Contains(t.texts[i+1], "?")
	}
	return b.String(), nil
}

// escape makes text valid in a path or a query and keeps what has a meaning there.
func escape(text string, query bool) string {
	const hex = "0123456789ABCDEF"
	keep := "/:@!$&'()*+,;=-._~"
	if query {
		keep += "?"
	}
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// parametersOf returns the query value parameters, once decoded; its name is found in any case.
func parametersOf(u *url.URL) (string, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", errors.New("the query cannot be read")
	}
	for name, values := range q {
		if strings.EqualFold(name, "parameters") {
			return values[0], nil
		}
	}
	return "", nil
}
