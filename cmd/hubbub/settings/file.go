package settings

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// File takes settings from the text of a YAML file; name is what problems call it. Unknown keys are problems, as are keys
// that come twice and values of the wrong type. A key without a value keeps its default.
func (s *Set) File(name string, text []byte) {
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		s.problems = append(s.problems, syntaxProblem(name, err))
		return
	}
	if len(f.Docs) > 1 && f.Docs[1].Body != nil {
		s.note(name, f.Docs[1].Body, "", "a second document, want one")
		return
	}
	for _, doc := range f.Docs {
		if doc.Body != nil {
			s.section(name, doc.Body, "")
		}
	}
}

// syntaxProblem keeps the position and the first line of what the parser says.
func syntaxProblem(name string, err error) *Problem {
	var syntax yaml.Error
	if errors.As(err, &syntax) && syntax.GetToken() != nil {
		at := syntax.GetToken().Position
		return &Problem{Where: fmt.Sprintf("%s:%d:%d", name, at.Line, at.Column), Text: syntax.GetMessage()}
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return &Problem{Where: name, Text: first}
}

func (s *Set) note(name string, n ast.Node, path, format string, args ...any) {
	s.problems = append(s.problems, &Problem{position(name, n), path, fmt.Sprintf(format, args...)})
}

func position(name string, n ast.Node) string {
	at := n.GetToken().Position
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		at = m.Values[0].Key.GetToken().Position
	}
	return fmt.Sprintf("%s:%d:%d", name, at.Line, at.Column)
}

func (s *Set) section(name string, n ast.Node, section string) {
	switch n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return
	}
	pairs, ok := mapping(n)
	if !ok {
		s.note(name, n, section, "%s, want keys: %s", describe(n), strings.Join(s.sections[section], ", "))
		return
	}
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		path := key
		if section != "" {
			path = section + "." + key
		}
		l := s.byPath[path]
		switch {
		case l != nil:
			s.value(name, l, pair.Value)
		case s.sections[path] != nil && path != "":
			s.section(name, pair.Value, path)
		default:
			s.note(name, pair.Key, path, "unknown key%s", suggest(s.sections[section], key))
		}
	}
}

func (s *Set) value(name string, l *leaf, n ast.Node) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	l.Source = position(name, n)
	s.decode(name, l.Path, l.field, n)
}

// decode puts what stands at n into v, or notes what is wrong with it.
func (s *Set) decode(name, path string, v reflect.Value, n ast.Node) {
	switch v.Kind() {
	case reflect.Slice:
		s.decodeList(name, path, v, n)
		return
	case reflect.Map:
		s.decodeMap(name, path, v, n)
		return
	case reflect.Struct: // within an entry of a list
		s.decodeEntry(name, path, v, n)
		return
	}
	text, ok := scalar(n)
	if !ok {
		s.note(name, n, path, "%s, want %s", describe(n), kindOf(v.Type()))
		return
	}
	if _, quoted := n.(*ast.StringNode); quoted && slices.Contains([]reflect.Kind{reflect.Bool, reflect.Int, reflect.Float64}, v.Kind()) {
		s.note(name, n, path, "the text %s, want %s", quote(text), kindOf(v.Type()))
		return
	}
	if err := setScalar(v, text); err != nil {
		s.note(name, n, path, "%v", err)
	}
}

func (s *Set) decodeList(name, path string, v reflect.Value, n ast.Node) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		s.note(name, n, path, "%s, want %s", describe(n), kindOf(v.Type()))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, e := range seq.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		s.places[at] = position(name, e)
		if v.Type().Elem().Kind() == reflect.Struct {
			s.decodeEntry(name, at, list.Index(i), e)
		} else {
			s.decode(name, at, list.Index(i), e)
		}
	}
	v.Set(list)
}

// decodeEntry fills one struct of a list, or one within it.
func (s *Set) decodeEntry(name, path string, v reflect.Value, n ast.Node) {
	pairs, ok := mapping(n)
	keys := keysOf(v.Type())
	if !ok {
		s.note(name, n, path, "%s, want keys: %s", describe(n), strings.Join(keys, ", "))
		return
	}
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		at := path + "." + key
		s.places[at] = position(name, pair.Key)
		i := slices.Index(keys, key)
		if i < 0 {
			s.note(name, pair.Key, at, "unknown key%s", suggest(keys, key))
			continue
		}
		if _, null := pair.Value.(*ast.NullNode); !null {
			s.decode(name, at, v.Field(i), pair.Value)
		}
	}
}

func (s *Set) decodeMap(name, path string, v reflect.Value, n ast.Node) {
	pairs, ok := mapping(n)
	if !ok {
		s.note(name, n, path, "%s, want %s", describe(n), kindOf(v.Type()))
		return
	}
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		text, ok := scalar(pair.Value)
		if !ok {
			s.note(name, pair.Value, path+"."+key, "%s, want a text", describe(pair.Value))
			continue
		}
		m[key] = text
	}
	v.Set(reflect.ValueOf(m))
}

// mapping returns the pairs of a node that has keys.
func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// scalar returns the text of a single value as it was written.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func describe(n ast.Node) string {
	if text, ok := scalar(n); ok {
		return quote(text)
	}
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or alias, which are not supported"
	}
	return "a " + strings.ToLower(n.Type().String())
}

// suggest names the key that was probably meant: the same without regard to case, or one that differs by a letter or two.
func suggest(keys []string, key string) string {
	best, distance := "", 3
	for _, k := range keys {
		if d := edits(strings.ToLower(k), strings.ToLower(key)); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best == "" {
		return ", want one of " + strings.Join(keys, ", ")
	}
	return ", did you mean " + best + "?"
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
