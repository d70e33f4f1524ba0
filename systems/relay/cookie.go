package relay

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Cookie is what a receiver reads out of a cookie of the form Viewmodel=SomeVM&RootId=12|7: which view model to run for which object.
type Cookie struct {
	// ViewModel and RootID are the values of the keys Viewmodel and RootId, which are found in any case. ViewModel is never empty.
	ViewModel, RootID string
	// Rest are the other keys with their values, as they were named, in their order.
	Rest []CookieField
}

// CookieField is a key of a cookie with its value.
type CookieField struct{ Name, Value string }

const (
	keyViewModel = "Viewmodel"
	keyRootID    = "RootId"
)

// ParseCookie reads a cookie: keys and values with = between, parted by &. Both may have percent-escapes; a plus is a plus. A cookie
// without Viewmodel, with Viewmodel or RootId twice, with a broken escape, or with an escape that is no UTF-8, is an error that says
// so. A key without = has an empty value; nothing between two & is nothing.
func ParseCookie(text string) (Cookie, error) {
	var c Cookie
	var hasModel, hasRoot bool
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := unescape(rawName)
		if err != nil {
			return Cookie{}, fmt.Errorf("cookie: key %q: %w", clip(rawName), err)
		}
		value, err := unescape(rawValue)
		if err != nil {
			return Cookie{}, fmt.Errorf("cookie: value of %q: %w", clip(name), err)
		}
		switch {
		case strings.EqualFold(name, keyViewModel):
			if hasModel {
				return Cookie{}, errors.New("cookie: Viewmodel is there twice, want it once")
			}
			hasModel, c.ViewModel = true, value
		case strings.EqualFold(name, keyRootID):
			if hasRoot {
				return Cookie{}, errors.New("cookie: RootId is there twice, want it once")
			}
			hasRoot, c.RootID = true, value
		default:
			c.Rest = append(c.Rest, CookieField{name, value})
		}
	}
	switch {
	case !hasModel:
		return Cookie{}, fmt.Errorf("cookie %q has no Viewmodel, want Viewmodel=…&RootId=…", clip(text))
	case c.ViewModel == "":
		return Cookie{}, errors.New("cookie: Viewmodel is empty, want the name of a view model")
	}
	return c, nil
}

func unescape(s string) (string, error) {
	t, err := url.PathUnescape(s)
	if err != nil {
		return "", err // names the escape
	}
	if !utf8.ValidString(t) {
		return "", errors.New("not UTF-8")
	}
	return t, nil
}

// String returns the cookie as text, with escapes where they are needed, so that [ParseCookie] gives the same again.
func (c Cookie) String() string {
	var b strings.Builder
	b.WriteString(keyViewModel + "=" + escape(c.ViewModel) + "&" + keyRootID + "=" + escape(c.RootID))
	for _, f := range c.Rest {
		b.WriteString("&" + escape(f.Name) + "=" + escape(f.Value))
	}
	return b.String()
}

// escapes are the characters that would be read as something else.
var escapes = strings.NewReplacer("%", "%25", "&", "%26", "=", "%3D")

func escape(s string) string { return escapes.Replace(s) }
