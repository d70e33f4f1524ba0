// Package settings fills a struct from a YAML file, from environment variables and from flags, remembers where every value
// came from, and says of every bad one where it stands.
//
// The struct is the only place where a setting is declared. Its fields are structs (sections) or leaves: string, bool, int,
// time.Duration and []string. Tags:
//
//	yaml:"maxDevices"    the key, in the file and, behind its section, as path: notify.maxDevices
//	doc:"…"              a sentence for people
//	secret:"true"        never printed; secret:"url" prints an address without its password
//
// The environment variable of a key follows from its path: HUBBUB_NOTIFY_MAX_DEVICES.
package settings

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Prefix begins the name of every environment variable that is a setting.
const Prefix = "HUBBUB_"

// Key describes one setting.
type Key struct {
	Path    string // as in the file, with dots: notify.maxDevices
	Env     string // the environment variable
	Doc     string
	Default string // as text, before anything was read
	Value   string // as text, what is in force
	Source  string // "default", or where the value comes from: file:line:column, the variable, the flag
	Secret  string // "", "true" or "url"
}

// Problem is one setting that cannot be used.
type Problem struct {
	Where string // file:line:column, the variable or the flag
	Path  string // the key, "" if the text is not even YAML
	Text  string
}

// Error returns where, which key and what is wrong.
func (p *Problem) Error() string {
	if p.Path == "" {
		return p.Where + ": " + p.Text
	}
	return p.Where + ": " + p.Path + ": " + p.Text
}

// Problems are all settings that cannot be used.
type Problems []*Problem

// Error returns a line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Set is a struct being filled. It is not safe for concurrent use.
type Set struct {
	leaves   []*leaf
	byPath   map[string]*leaf
	byEnv    map[string]*leaf
	sections map[string][]string // path of a section to its keys
	problems Problems
}

type leaf struct {
	Key
	field reflect.Value
}

// New returns a Set that fills the struct target points to, whose values are the defaults. It panics if the struct has a
// field that cannot be a setting, which is a mistake in the program.
func New(target any) *Set {
	s := &Set{byPath: map[string]*leaf{}, byEnv: map[string]*leaf{}, sections: map[string][]string{}}
	s.walk(reflect.ValueOf(target).Elem(), "")
	return s
}

func (s *Set) walk(v reflect.Value, section string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		if name == "" || name == "-" {
			if name == "" {
				panic("settings: field " + f.Name + " has no yaml tag")
			}
			continue
		}
		path := name
		if section != "" {
			path = section + "." + name
		}
		s.sections[section] = append(s.sections[section], name)
		if f.Type.Kind() == reflect.Struct {
			s.walk(v.Field(i), path)
			continue
		}
		l := &leaf{Key: Key{Path: path, Env: envName(path), Doc: f.Tag.Get("doc"), Secret: f.Tag.Get("secret"), Source: "default"}, field: v.Field(i)}
		if kindOf(l.field.Type()) == "" {
			panic(fmt.Sprintf("settings: field %s has type %s, want string, bool, int, time.Duration or []string", f.Name, f.Type))
		}
		if l.Doc == "" {
			panic("settings: field " + f.Name + " has no doc tag")
		}
		l.Default = text(l.field)
		s.leaves = append(s.leaves, l)
		s.byPath[path], s.byEnv[l.Env] = l, l
	}
}

// envName turns notify.maxDevices into HUBBUB_NOTIFY_MAX_DEVICES, and auth.jwksURL into HUBBUB_AUTH_JWKS_URL.
func envName(path string) string {
	var b strings.Builder
	b.WriteString(Prefix)
	last := rune('.')
	for _, r := range path {
		switch {
		case r == '.':
			b.WriteByte('_')
		case unicode.IsUpper(r) && !unicode.IsUpper(last) && last != '.':
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
		last = r
	}
	return b.String()
}

// kindOf says in words what a leaf of that type wants; "" if there is no such leaf.
func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 30s or 5m"
	case t == reflect.TypeFor[[]string]():
		return "a list of texts"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	}
	return ""
}

// set parses a text into the leaf; lists are written with commas.
func (l *leaf) set(value string) error {
	bad := fmt.Errorf("%s, want %s", quote(value), kindOf(l.field.Type()))
	switch l.field.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return bad
		}
		l.field.SetInt(int64(d))
	case []string:
		var list []string
		for e := range strings.SplitSeq(value, ",") {
			if e = strings.TrimSpace(e); e != "" {
				list = append(list, e)
			}
		}
		l.field.Set(reflect.ValueOf(list))
	case string:
		l.field.SetString(value)
	case bool:
		if value != "true" && value != "false" {
			return bad
		}
		l.field.SetBool(value == "true")
	case int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return bad
		}
		l.field.SetInt(int64(n))
	}
	return nil
}

// quote keeps a long value from filling the screen.
func quote(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return strconv.Quote(s)
}

// text writes the value of a leaf as it would stand in an environment variable.
func text(v reflect.Value) string {
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v.Interface())
}

// Env takes settings from environment variables, each as NAME=value. Lists are written with commas. An empty variable counts
// as not set. It returns the names that begin with [Prefix] and are no setting: they may be misspelt, or set by somebody else.
func (s *Set) Env(environ []string) (unknown []string) {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, Prefix) || value == "" {
			continue
		}
		l := s.byEnv[name]
		if l == nil {
			unknown = append(unknown, name)
			continue
		}
		s.take(l, "environment variable "+name, value)
	}
	sort.Strings(unknown)
	return unknown
}

// Flag takes one setting from the command line. It panics if there is no such key.
func (s *Set) Flag(flag, path, value string) {
	l := s.byPath[path]
	if l == nil {
		panic("settings: no key " + path)
	}
	s.take(l, "flag "+flag, value)
}

func (s *Set) take(l *leaf, where, value string) {
	l.Source = where
	if err := l.set(value); err != nil {
		if l.Secret != "" {
			err = fmt.Errorf("not %s", kindOf(l.field.Type()))
		}
		s.problems = append(s.problems, &Problem{where, l.Path, err.Error()})
	}
}

// Fault records that the value of a key, well-formed as it is, cannot be used.
func (s *Set) Fault(path, format string, args ...any) {
	where := "default"
	if l := s.byPath[path]; l != nil {
		where = l.Source
	}
	s.problems = append(s.problems, &Problem{where, path, fmt.Sprintf(format, args...)})
}

// Err returns all [Problems] so far, or nil.
func (s *Set) Err() error {
	if len(s.problems) == 0 {
		return nil
	}
	return s.problems
}

// Keys returns all settings with their present values, in the order of the struct.
func (s *Set) Keys() []Key {
	keys := make([]Key, len(s.leaves))
	for i, l := range s.leaves {
		keys[i] = l.Key
		keys[i].Value = text(l.field)
	}
	return keys
}
