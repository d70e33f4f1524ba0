package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// checkSchema refuses what is no JSON schema, and one that refers to a part of itself that it does not have.
func checkSchema(schema json.RawMessage) error {
	value, err := parseSchema(schema)
	if err != nil {
		return err
	}
	for _, d := range definitionsOf(value) {
		if !isSchema(d.schema) {
			return fmt.Errorf("the definition %q in a schema is none, want an object or a boolean", d.name)
		}
	}
	_, err = rebase(value, value, func(ref string) string { return ref })
	return err
}

// definition is a schema that others in the same whole refer to by name.
type definition struct {
	keyword, name string
	schema        any
}

// definitionsOf returns the definitions of a schema, by name.
func definitionsOf(whole any) []definition {
	var all []definition
	s, _ := whole.(map[string]any)
	for _, keyword := range []string{"$defs", "definitions"} {
		members, _ := s[keyword].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			all = append(all, definition{keyword, name, members[name]})
		}
	}
	return all
}

// parseSchema reads a schema, which is an object or a boolean. Numbers keep their digits.
func parseSchema(schema json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(schema))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, errors.New("a schema is no JSON")
	}
	if d.More() {
		return nil, errors.New("a schema has more than one JSON value")
	}
	if isSchema(value) {
		return value, nil
	}
	return nil, fmt.Errorf("a schema is %.20s, want an object or a boolean", schema)
}

// namesOf are the keywords whose members have names of the author's, with a schema each.
var namesOf = map[string]bool{"properties": true, "patternProperties": true, "$defs": true, "definitions": true, "dependentSchemas": true}

// rebase returns a copy of a part of a schema whose references into the whole, such as #/$defs/City, are what to makes of them: the
// whole is another one in a document. An $id would give the references another base and is left out.
func rebase(part, whole any, to func(ref string) string) (any, error) {
	switch v := part.(type) {
	case map[string]any:
		all := make(map[string]any, len(v))
		for name, x := range v {
			y, keep, err := rebaseKeyword(name, x, whole, to)
			if err != nil {
				return nil, err
			}
			if keep {
				all[name] = y
			}
		}
		return all, nil
	case []any:
		all := make([]any, len(v))
		for i, x := range v {
			var err error
			if all[i], err = rebase(x, whole, to); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	return part, nil
}

// rebaseKeyword is rebase for one keyword of a schema, and whether it stays.
func rebaseKeyword(name string, x, whole any, to func(ref string) string) (y any, keep bool, err error) {
	text, isText := x.(string)
	members, isObject := x.(map[string]any)
	switch {
	case isText && (name == "$id" || (name == "id" && strings.Contains(text, ":"))):
		return nil, false, nil
	case isText && name == "$ref" && (text == "#" || strings.HasPrefix(text, "#/")):
		if !points(whole, text) {
			return nil, false, fmt.Errorf("a schema refers to %q, which is not in it", text)
		}
		return to(text), true, nil
	case name == "enum" || name == "const" || name == "default" || name == "example" || name == "examples":
		return x, true, nil // values, not schemas
	case isObject && namesOf[name]:
		all := make(map[string]any, len(members))
		for n, s := range members {
			if all[n], err = rebase(s, whole, to); err != nil {
				return nil, false, err
			}
		}
		return all, true, nil
	}
	y, err = rebase(x, whole, to)
	return y, err == nil, err
}

// points reports whether a reference such as #/$defs/City leads to a schema, not to a list of them.
func points(whole any, ref string) bool {
	value, ok := follow(whole, ref)
	last, err := url.PathUnescape(ref[strings.LastIndexByte(ref, '/')+1:])
	return ok && err == nil && isSchema(value) && !namesOf[last]
}

// follow returns what a reference such as #/$defs/City leads to (RFC 6901).
func follow(whole any, ref string) (any, bool) {
	if ref == "#" {
		return whole, true
	}
	plain, err := url.PathUnescape(strings.TrimPrefix(ref, "#/"))
	if err != nil || !strings.HasPrefix(ref, "#/") {
		return nil, false
	}
	for token := range strings.SplitSeq(plain, "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch v := whole.(type) {
		case map[string]any:
			x, ok := v[token]
			if !ok {
				return nil, false
			}
			whole = x
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			whole = v[i]
		default:
			return nil, false
		}
	}
	return whole, true
}

// splitRef takes a reference such as #/$defs/City/properties/name apart: the first two names, and what follows as it is.
func splitRef(ref string) (keyword, name, rest string) {
	parts := strings.SplitN(strings.TrimPrefix(ref, "#/"), "/", 3)
	if len(parts) < 2 {
		return "", "", ""
	}
	var names [2]string
	for i := range names {
		plain, err := url.PathUnescape(parts[i])
		if err != nil {
			return "", "", ""
		}
		names[i] = strings.ReplaceAll(strings.ReplaceAll(plain, "~1", "/"), "~0", "~")
	}
	if len(parts) == 3 {
		rest = "/" + parts[2]
	}
	return names[0], names[1], rest
}

// isSchema reports whether a value can be a schema.
func isSchema(value any) bool {
	switch value.(type) {
	case map[string]any, bool:
		return true
	}
	return false
}

// typeNames are the schemas of the names that people give types of parameters, in lower case and without a namespace.
var typeNames = map[string]object{
	"string": {{"type", "string"}}, "char": {{"type", "string"}},
	"guid": {{"type", "string"}, {"format", "uuid"}}, "uuid": {{"type", "string"}, {"format", "uuid"}}, "uri": {{"type", "string"}, {"format", "uri"}},
	"datetime": {{"type", "string"}, {"format", "date-time"}}, "datetimeoffset": {{"type", "string"}, {"format", "date-time"}},
	"timespan": {{"type", "string"}}, "byte[]": {{"type", "string"}, {"contentEncoding", "base64"}},
	"bool": {{"type", "boolean"}}, "boolean": {{"type", "boolean"}},
	"byte": {{"type", "integer"}}, "short": {{"type", "integer"}}, "int16": {{"type", "integer"}},
	"int": {{"type", "integer"}}, "int32": {{"type", "integer"}}, "integer": {{"type", "integer"}},
	"long": {{"type", "integer"}}, "int64": {{"type", "integer"}},
	"float": {{"type", "number"}}, "single": {{"type", "number"}}, "double": {{"type", "number"}}, "decimal": {{"type", "number"}}, "number": {{"type", "number"}},
}

// typeSchema returns a schema for the name of a type such as string, System.Int32 or Quote[]. Of one that is not known it has
// the name alone.
func typeSchema(name string) object {
	short := name[strings.LastIndexByte(name, '.')+1:]
	if known, ok := typeNames[strings.ToLower(short)]; ok {
		return known
	}
	if of, ok := strings.CutSuffix(name, "[]"); ok {
		return object{{"type", "array"}, {"items", typeSchema(of)}}
	}
	if name == "" || strings.EqualFold(short, "object") || strings.EqualFold(short, "any") {
		return object{}
	}
	return object{{"title", name}}
}

// exampleOf returns a value for a schema: one that it names itself, or a plain one of its type.
func exampleOf(schema json.RawMessage) any {
	value, err := parseSchema(schema)
	if err != nil {
		return nil
	}
	return example(value, value, 0)
}

// example is exampleOf for a part of a schema at a depth, which ends somewhere.
func example(part, whole any, depth int) any {
	s, ok := part.(map[string]any)
	if !ok || depth > 5 {
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		to, _ := follow(whole, ref)
		return example(to, whole, depth+1)
	}
	for _, name := range []string{"example", "const", "default"} {
		if v, ok := s[name]; ok {
			return v
		}
	}
	for _, name := range []string{"examples", "enum"} {
		if list, ok := s[name].([]any); ok && len(list) > 0 {
			return list[0]
		}
	}
	properties, _ := s["properties"].(map[string]any)
	kind, _ := s["type"].(string)
	if kinds, ok := s["type"].([]any); ok && len(kinds) > 0 {
		kind, _ = kinds[0].(string)
	}
	switch {
	case kind == "object" || (kind == "" && properties != nil):
		all := make(map[string]any, len(properties))
		for name, p := range properties {
			all[name] = example(p, whole, depth+1)
		}
		return all
	case kind == "array":
		return []any{}
	case kind == "string":
		return "string"
	case kind == "integer", kind == "number":
		return 0
	case kind == "boolean":
		return false
	}
	return nil
}
