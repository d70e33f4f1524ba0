package settings

import (
	"errors"
	"fmt"
	"reflect"
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
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
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
			s.note(name, pair.Key, path, "unknown key%s", s.suggest(section, key))
		}
	}
}

func (s *Set) value(name string, l *leaf, n ast.Node) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	l.Source = position(name, n)
	wanted := kindOf(l.field.Type())
	if list, ok := l.field.Interface().([]string); ok {
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			s.note(name, n, l.Path, "%s, want %s", describe(n), wanted)
			return
		}
		list = make([]string, 0, len(seq.Values))
		for _, e := range seq.Values {
			text, ok := scalar(e)
			if !ok {
				s.note(name, e, l.Path, "%s, want a text", describe(e))
				return
			}
			list = append(list, text)
		}
		l.field.Set(reflect.ValueOf(list))
		return
	}
	text, ok := scalar(n)
	if !ok {
		s.note(name, n, l.Path, "%s, want %s", describe(n), wanted)
		return
	}
	_, quoted := n.(*ast.StringNode)
	if k := l.field.Kind(); quoted && (k == reflect.Bool || (k == reflect.Int)) {
		s.note(name, n, l.Path, "the text %s, want %s", quote(text), wanted)
		return
	}
	s.take(l, l.Source, text)
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
func (s *Set) suggest(section, key string) string {
	best, distance := "", 3
	for _, k := range s.sections[section] {
		if d := edits(strings.ToLower(k), strings.ToLower(key)); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best == "" {
		return ", want one of " + strings.Join(s.sections[section], ", ")
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
