package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// checkSchema refuses what is no JSON schema, and one that refers to a part of itself that it does not have.
func checkSchema(schema json.RawMessage) error {
	value, err := parseSchema(schema)
	if err != nil {
		return err
	}
	_, err = rebase(value, value, "")
	return err
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

// rebase returns a copy of a part of a schema whose references into the whole, such as #/$defs/City, begin with base in place of
// the number sign: there the whole is found in a document. An $id would give the references another base and is left out.
func rebase(part, whole any, base string) (any, error) {
	switch v := part.(type) {
	case map[string]any:
		all := make(map[string]any, len(v))
		for name, x := range v {
			y, keep, err := rebaseKeyword(name, x, whole, base)
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
			if all[i], err = rebase(x, whole, base); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	return part, nil
}

// rebaseKeyword is rebase for one keyword of a schema, and whether it stays.
func rebaseKeyword(name string, x, whole any, base string) (y any, keep bool, err error) {
	text, isText := x.(string)
	members, isObject := x.(map[string]any)
	switch {
	case isText && (name == "$id" || (name == "id" && strings.Contains(text, ":"))):
		return nil, false, nil
	case isText && name == "$ref" && (text == "#" || strings.HasPrefix(text, "#/")):
		if !points(whole, text) {
			return nil, false, fmt.Errorf("a schema refers to %q, which is not in it", text)
		}
		return base + text[1:], true, nil
	case name == "enum" || name == "const" || name == "default" || name == "example" || name == "examples":
		return x, true, nil // values, not schemas
	case isObject && namesOf[name]:
		all := make(map[string]any, len(members))
		for n, s := range members {
			if all[n], err = rebase(s, whole, base); err != nil {
				return nil, false, err
			}
		}
		return all, true, nil
	}
	y, err = rebase(x, whole, base)
	return y, err == nil, err
}

// points reports whether a reference such as #/$defs/City leads to a schema (RFC 6901).
func points(whole any, ref string) bool {
	if ref == "#" {
		return true
	}
	plain, err := url.PathUnescape(ref[2:])
	if err != nil {
		return false
	}
	for token := range strings.SplitSeq(plain, "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch v := whole.(type) {
		case map[string]any:
			x, ok := v[token]
			if !ok {
				return false
			}
			whole = x
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return false
			}
			whole = v[i]
		default:
			return false
		}
	}
	return isSchema(whole)
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
	return example(value, 0)
}

// example is exampleOf for a part of a schema at a depth, which ends somewhere.
func example(part any, depth int) any {
	s, ok := part.(map[string]any)
	if !ok || depth > 5 {
		return nil
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
	switch kind, _ := s["type"].(string); {
	case kind == "object" || (kind == "" && properties != nil):
		all := make(map[string]any, len(properties))
		for name, p := range properties {
			all[name] = example(p, depth+1)
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
