package settings

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Redacted stands in print for a secret.
const Redacted = "(secret)"

// Print writes all settings in force as a YAML file that explains itself: every key with its sentence, its environment
// variable, and where its value comes from if it is not the default. Secrets are left out.
func (s *Set) Print(w io.Writer) error {
	var b strings.Builder
	var open []string
	for _, l := range s.leaves {
		parts := strings.Split(l.Path, ".")
		sections, key := parts[:len(parts)-1], parts[len(parts)-1]
		shared := 0
		for shared < len(open) && shared < len(sections) && open[shared] == sections[shared] {
			shared++
		}
		for i := shared; i < len(sections); i++ {
			fmt.Fprintf(&b, "\n%s%s:\n", strings.Repeat("  ", i), sections[i])
		}
		open = sections
		indent := strings.Repeat("  ", len(sections))
		fmt.Fprintf(&b, "%s# %s\n%s# %s", indent, l.Doc, indent, l.Env)
		if l.Source != "default" {
			fmt.Fprintf(&b, ", from %s", l.Source)
		}
		fmt.Fprintf(&b, "\n%s%s: %s\n", indent, key, flow(l.field, l.Secret))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// flow writes a value as YAML in one line, without its secrets.
func flow(v reflect.Value, secret string) string {
	var parts []string
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(Redact(secret, v.String()))
	case reflect.Slice:
		for i := range v.Len() {
			parts = append(parts, flow(v.Index(i), secret))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		for _, k := range slices.Sorted(maps.Keys(v.Interface().(map[string]string))) {
			parts = append(parts, strconv.Quote(k)+": "+strconv.Quote(Redact(secret, v.MapIndex(reflect.ValueOf(k)).String())))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Struct:
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag
			parts = append(parts, tag.Get("yaml")+": "+flow(v.Field(i), tag.Get("secret")))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v.Interface())
}

// Redact returns what may be shown of a value: nothing of a secret, and an address without its password (kind "url").
func Redact(kind, value string) string {
	switch {
	case kind == "" || value == "":
		return value
	case kind == "url":
		if u, err := url.Parse(value); err == nil && u.Host != "" {
			u.RawQuery = redactQuery(u.Query()).Encode()
			return u.Redacted()
		}
	}
	return Redacted
}

// redactQuery hides the query values that are known to be secret in addresses of databases.
func redactQuery(q url.Values) url.Values {
	for _, k := range []string{"password", "sslpassword"} {
		if q.Has(k) {
			q.Set(k, "xxxxx")
		}
	}
	return q
}
