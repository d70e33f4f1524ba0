// Package settings fills a struct from a YAML file, from environment variables and from flags, remembers where every value
// came from, and says of every bad one where it stands.
//
// The struct is the only place where a setting is declared. Its fields are structs (sections) or leaves: string, bool, int, float64,
// time.Duration, []string, map[string]string, and slices of structs of these. Tags:
//
//	yaml:"maxDevices"    the key, in the file and, behind its section, as path: notify.maxDevices
//	doc:"…"              a sentence for people
//	secret:"true"        never printed; secret:"url" prints an address without its password
//
// The environment variable of a key follows from its path: HUBBUB_NOTIFY_MAX_DEVICES. It holds what would stand in the file;
// a list of texts may also be written with commas, without brackets.
package settings

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/parser"
)

// Prefix begins the name of every environment variable that is a setting.
const Prefix = "HUBBUB_"

// Key describes one setting.
type Key struct {
	Path    string // as in the file, with dots: notify.maxDevices
	Env     string // the environment variable
	Doc     string
	Default string // as YAML, before anything was read, without secrets
	Value   string // as YAML, what is in force, without secrets
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
	places   map[string]string   // of entries of lists and their keys, by path
	problems Problems
}

type leaf struct {
	Key
	field reflect.Value
}

// New returns a Set that fills the struct target points to, whose values are the defaults. It panics if the struct has a
// field that cannot be a setting, which is a mistake in the program.
func New(target any) *Set {
	s := &Set{byPath: map[string]*leaf{}, byEnv: map[string]*leaf{}, sections: map[string][]string{}, places: map[string]string{}}
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
			panic(fmt.Sprintf("settings: field %s has type %s, which cannot be a setting", f.Name, f.Type))
		}
		if l.Doc == "" {
			panic("settings: field " + f.Name + " has no doc tag")
		}
		l.Default = flow(l.field, l.Secret)
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
	case t == reflect.TypeFor[map[string]string]():
		return "keys with texts"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "a list of entries with keys: " + strings.Join(keysOf(t.Elem()), ", ")
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	}
	return ""
}

func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

// setScalar parses the text of a single value into v.
func setScalar(v reflect.Value, value string) error {
	bad := fmt.Errorf("%s, want %s", quote(value), kindOf(v.Type()))
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(value)
		if err != nil {
			return bad
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(value)
	case v.Kind() == reflect.Bool:
		if value != "true" && value != "false" {
			return bad
		}
		v.SetBool(value == "true")
	case v.Kind() == reflect.Int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return bad
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.Float64:
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return bad
		}
		v.SetFloat(n)
	default:
		return bad
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

// Env takes settings from environment variables, each as NAME=value. An empty variable counts as not set. It returns the names that begin with [Prefix] and are no setting: they may be misspelt, or set by somebody else.
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

// take sets a leaf from a text that does not stand in a file.
func (s *Set) take(l *leaf, where, value string) {
	l.Source = where
	s.forget(l.Path)
	switch l.field.Kind() {
	case reflect.Slice, reflect.Map:
		s.takeMany(l, where, value)
		return
	}
	if err := setScalar(l.field, value); err != nil {
		if l.Secret != "" {
			err = fmt.Errorf("not %s", kindOf(l.field.Type()))
		}
		s.problems = append(s.problems, &Problem{where, l.Path, err.Error()})
	}
}

// forget drops the places within a list whose value comes from elsewhere now.
func (s *Set) forget(path string) {
	maps.DeleteFunc(s.places, func(at, _ string) bool { return strings.HasPrefix(at, path+"[") })
}

// takeMany reads a list or a map, written as YAML or, if it is a list of texts, with commas.
func (s *Set) takeMany(l *leaf, where, value string) {
	if l.field.Type() == reflect.TypeFor[[]string]() && !strings.HasPrefix(strings.TrimSpace(value), "[") {
		var list []string
		for e := range strings.SplitSeq(value, ",") {
			if e = strings.TrimSpace(e); e != "" {
				list = append(list, e)
			}
		}
		l.field.Set(reflect.ValueOf(list))
		return
	}
	f, err := parser.ParseBytes([]byte(value), 0)
	switch {
	case err != nil:
		p := syntaxProblem(where, err)
		p.Path = l.Path
		s.problems = append(s.problems, p)
	case len(f.Docs) > 0 && f.Docs[0].Body != nil:
		s.decode(where, l.Path, l.field, f.Docs[0].Body)
	}
}

// Fault records that the value of a key, well-formed as it is, cannot be used. The path may lead into a list:
// notify.users[0].name. If there is no such place, that of what it would be in is named.
func (s *Set) Fault(path, format string, args ...any) {
	where := "default"
	for at := path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if place := s.places[at]; place != "" {
			where = place
			break
		}
		if l := s.byPath[at]; l != nil {
			where = l.Source
			break
		}
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
		keys[i].Value = flow(l.field, l.Secret)
	}
	return keys
}
