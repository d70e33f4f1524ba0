package jsonvalue

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf16"

	"github.com/hubbub-go/hubbub"
)

// The sentences of Json.NET 13.

// refusal says that a token which the scanner has just left cannot be read.
func (s *Scanner) refusal(format string, args ...any) error {
	return &mismatch{class: "JsonReaderException", text: fmt.Sprintf(format, args...), end: s.i}
}

// unexpected says that a value of another kind was to begin at start.
func (s *Scanner) unexpected(start int) error {
	text := fmt.Sprintf("Unexpected character encountered while parsing value: %c.", s.b[start])
	return &mismatch{class: "JsonReaderException", text: text, end: start + 1}
}

// refusedNull is the error for an empty text, which Json.NET takes for null, where there must be a value.
func (s *Scanner) refusedNull(t reflect.Type) error {
	return &mismatch{class: conversionClass, text: conversion("{null}", t), end: s.i}
}

const conversionClass = "JsonSerializationException"

func conversion(value string, t reflect.Type) string {
	return fmt.Sprintf("Error converting value %s to type '%s'.", value, fullName(t))
}

// classicMismatch is the error for a value that starts at start and is no t.
func (s *Scanner) classicMismatch(t reflect.Type, start int) error {
	at := Scanner{b: s.b, i: start}
	kind, raw, start, err := at.token()
	if err != nil {
		return err
	}
	m := &mismatch{class: conversionClass, end: start + len(raw)}
	switch kind {
	case '{', '[':
		m.end = start + 1
		m.text = cannotDeserialize(kind, t)
	case '"':
		m.text = conversion(`"`+unquoted(raw)+`"`, t)
	case 'n':
		m.text = conversion("{null}", t)
	case 't':
		m.text = conversion("True", t)
	case 'f':
		m.text = conversion("False", t)
	default:
		m.text = conversion(string(raw), t)
	}
	return m
}

// cannotDeserialize is the sentence for an object or an array where t is something else. Advice
// on how to change the .NET type is left out.
func cannotDeserialize(kind byte, t reflect.Type) string {
	want := "JSON primitive value (e.g. string, number, boolean, null)"
	switch NoPointer(t).Kind() {
	case reflect.Slice, reflect.Array:
		want = "JSON array (e.g. [1,2,3])"
	case reflect.Struct, reflect.Map:
		want = `JSON object (e.g. {"name":"value"})`
	}
	if kind == '[' {
		return "Cannot deserialize the current JSON array (e.g. [1,2,3]) into type '" + fullName(t) + "' because the type requires a " +
			want + " to deserialize correctly."
	}
	return `Cannot deserialize the current JSON object (e.g. {"name":"value"}) into type '` + fullName(t) + "' because the type requires a " +
		want + " to deserialize correctly."
}

// refused makes the error of Decode of what a reader said. at is where the scanner stopped.
func refused(raw []byte, err error, at int) error {
	m, ok := err.(*mismatch)
	if ok {
		err = nil // it is all in the text
	} else {
		m = &mismatch{class: "JsonReaderException", end: at}
		switch {
		case errors.Is(err, ErrDepth):
			m.text = fmt.Sprintf("The reader's MaxDepth of %d has been exceeded.", classicDepth)
		case !errors.Is(err, ErrSyntax):
			m.class, m.text = conversionClass, err.Error()+"."
		case at >= len(raw):
			m.text = "Unexpected end of content while loading JSON."
		default:
			m.text = fmt.Sprintf("Unexpected character encountered while parsing value: %c.", firstRune(raw[at:]))
			m.end++
		}
	}
	line, place := classicPosition(raw, m.end)
	return hubbub.Classify(m.class, err, fmt.Sprintf("%s Path '%s', line %d, position %d.", m.text, strings.TrimPrefix(m.path, "."), line, place))
}

func firstRune(b []byte) rune {
	for _, r := range string(b) {
		return r
	}
	return 0
}

// classicPosition tells the line of b[i], from 1, and how many characters of UTF-16 stand before it in that line.
func classicPosition(b []byte, i int) (line, place int) {
	line, at := position(b, min(i, len(b)))
	i = min(i, len(b))
	for _, r := range string(b[i-at : i]) {
		place += utf16.RuneLen(r)
	}
	return line + 1, place
}
