package jsonvalue

import (
	"encoding/base64"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The readers of the classic form. Json.NET reads some types with a reader of their own, and others as any value that it
// converts afterwards: what is taken, and what is said of the rest, differs between the two.

// token steps over a scalar, and returns its kind and its bytes. Of an array or an object it only tells the kind. start is
// where it begins.
func (s *Scanner) token() (kind byte, raw []byte, start int, err error) {
	if kind = s.Peek(); kind == '[' || kind == '{' {
		return kind, nil, s.i, nil
	}
	start = s.i
	kind, raw, err = s.Scalar()
	return kind, raw, start, err
}

// unquoted is the text of a string that token returned.
func unquoted(raw []byte) string {
	text, _ := unescape(raw[1:len(raw)-1], true) // which does not fail
	return text
}

// readsInt32 reports whether Json.NET reads an integer type by itself, and not as any value that it converts.
func readsInt32(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Uint8:
		return true
	default:
		return false
	}
}

// lenientInteger reads an integer: also from a text, and in the types that are converted from a number without a fraction and
// from true and false.
func lenientInteger[N int64 | uint64](s *Scanner, t reflect.Type, parse func([]byte) (N, error)) (N, error) {
	kind, raw, start, err := s.token()
	if err != nil {
		return 0, err
	}
	own := readsInt32(t)
	switch kind {
	case '0':
		n, err := parse(raw)
		if err == nil {
			return n, nil
		}
		if own {
			return 0, s.badInteger(t, raw, start, err)
		}
		if n, err := parse(whole(raw)); err == nil {
			return n, nil
		}
	case '"':
		text := unquoted(raw)
		if n, err := parse([]byte(strings.TrimPrefix(strings.TrimSpace(text), "+"))); err == nil {
			return n, nil
		}
		if own && text != "" {
			return 0, s.refusal("Could not convert string to integer: %s.", text)
		}
		if own {
			return 0, s.refusedNull(t)
		}
	case 't', 'f':
		if own {
			return 0, s.unexpected(start)
		}
		if kind == 't' {
			return 1, nil
		}
		return 0, nil
	case '{', '[':
		if own {
			return 0, s.unexpected(start)
		}
	}
	return 0, s.mismatch(t, start)
}

// badInteger is the error for a number that is none of t.
func (s *Scanner) badInteger(t reflect.Type, raw []byte, start int, err error) error {
	switch {
	case errors.Is(err, errInteger):
		return s.refusal("Input string '%s' is not a valid integer.", raw)
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int32:
		return s.refusal("JSON integer %s is too large or small for an Int32.", raw)
	}
	return s.mismatch(t, start)
}

// whole returns the digits of a number that has no fraction although it is written with one or with an exponent.
func whole(raw []byte) []byte {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return nil
	}
	return strconv.AppendInt(nil, int64(f), 10)
}

func (s *Scanner) lenientFloat(t reflect.Type, bits int) (float64, error) {
	kind, raw, start, err := s.token()
	if err != nil {
		return 0, err
	}
	switch kind {
	case '0':
		return parseFloat(string(raw), bits)
	case '"':
		text := unquoted(raw)
		if f, err := parseFloatText(strings.TrimSpace(text), bits); err == nil {
			return f, nil
		}
		if text != "" {
			return 0, s.refusal("Could not convert string to double: %s.", text)
		}
		return 0, s.refusedNull(t)
	case 'n':
		return 0, s.mismatch(t, start)
	}
	return 0, s.unexpected(start)
}

// parseFloat reads a number. One beyond the range of the type becomes an infinity, as in .NET.
func parseFloat(text string, bits int) (float64, error) {
	f, err := strconv.ParseFloat(text, bits)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return f, err
}

// parseFloatText reads a number from a text: decimal with digits before or behind the point, or what is no number.
func parseFloatText(text string, bits int) (float64, error) {
	switch {
	case strings.EqualFold(text, "NaN"):
		return math.NaN(), nil
	case strings.EqualFold(text, "Infinity"):
		return math.Inf(1), nil
	case strings.EqualFold(text, "-Infinity"):
		return math.Inf(-1), nil
	case strings.Trim(text, "+-.eE0123456789") != "" || text == "":
		return 0, strconv.ErrSyntax
	}
	return parseFloat(text, bits)
}

func (s *Scanner) lenientBool(t reflect.Type) (bool, error) {
	kind, raw, start, err := s.token()
	if err != nil {
		return false, err
	}
	switch kind {
	case 't', 'f':
		return kind == 't', nil
	case '0':
		f, err := parseFloat(string(raw), 64)
		return f != 0, err
	case '"':
		text := unquoted(raw)
		switch trimmed := strings.TrimSpace(text); {
		case strings.EqualFold(trimmed, "true"):
			return true, nil
		case strings.EqualFold(trimmed, "false"):
			return false, nil
		case text != "":
			return false, s.refusal("Could not convert string to boolean: %s.", text)
		}
		return false, s.refusedNull(t)
	case 'n':
		return false, s.mismatch(t, start)
	}
	return false, s.unexpected(start)
}

// lenientString reads a text: a number, true and false stand for what they are written as.
func (s *Scanner) lenientString() (string, error) {
	kind, raw, start, err := s.token()
	if err != nil {
		return "", err
	}
	switch kind {
	case '"':
		return unquoted(raw), nil
	case '0', 't', 'f':
		return string(raw), nil
	case 'n':
		return "", nil
	}
	return "", s.unexpected(start)
}

// lenientNumeral reads the text of a number, also from a string.
func (s *Scanner) lenientNumeral(t reflect.Type) ([]byte, error) {
	kind, raw, start, err := s.token()
	if err != nil {
		return nil, err
	}
	switch kind {
	case '0':
		return raw, nil
	case '"':
		text := unquoted(raw)
		inner := Scanner{b: []byte(strings.TrimSpace(text))}
		if err := inner.number(); err == nil && inner.i == len(inner.b) {
			return inner.b, nil
		}
		if text != "" {
			return nil, s.refusal("Could not convert string to decimal: %s.", text)
		}
		return nil, s.refusedNull(t)
	case 'n':
		return nil, s.mismatch(t, start)
	}
	return nil, s.unexpected(start)
}

// lenientBytes reads bytes: base64, in which blanks do not count, or an array of numbers.
func (s *Scanner) lenientBytes(t reflect.Type) ([]byte, error) {
	kind, raw, start, err := s.token()
	if err != nil {
		return nil, err
	}
	switch kind {
	case '"':
		text := strings.Join(strings.Fields(unquoted(raw)), "")
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, s.refusal("The input is not a valid Base-64 string.")
		}
		return b, nil
	case '[':
		b := []byte{}
		err := s.elements(t, func() error {
			n, err := s.uint(reflect.TypeFor[uint8](), 8)
			if err != nil {
				return within(err, len(b))
			}
			b = append(b, byte(n))
			return nil
		})
		return b, err
	case 'n':
		return nil, nil
	}
	return nil, s.unexpected(start)
}

// lenientTime reads a date and time of ISO 8601, with a blank for the T too, or one of the old form "/Date(1700000000000)/".
func lenientTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "/Date("); ok {
		if inner, ok = strings.CutSuffix(inner, ")/"); ok {
			return parseOldTime(inner)
		}
	}
	if len(text) > len("2006-01-02") && text[len("2006-01-02")] == ' ' {
		text = text[:len("2006-01-02")] + "T" + text[len("2006-01-02 "):]
	}
	return parseTime(text)
}

// parseOldTime reads milliseconds since 1970, and behind them perhaps an offset +0100.
func parseOldTime(text string) (time.Time, error) {
	zone := time.UTC
	if i := strings.LastIndexAny(text, "+-"); i > 0 {
		offset := text[i:]
		if len(offset) != len("+0100") {
			return time.Time{}, errTime
		}
		var ok bool
		if zone, ok = parseZone(offset[:3] + ":" + offset[3:]); !ok {
			return time.Time{}, errTime
		}
		text = text[:i]
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, errTime
	}
	t := time.UnixMilli(ms).In(zone)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, errTime
	}
	return t, nil
}

func lenientDuration(text string) (time.Duration, error) {
	return parseDuration(strings.TrimSpace(text))
}

// lenientTimeReader reads a time.
func lenientTimeReader(t reflect.Type) readFunc {
	return func(s *Scanner, v reflect.Value) error {
		kind, raw, start, err := s.token()
		switch {
		case err != nil:
			return err
		case kind == 'n':
			return s.mismatch(t, start)
		case kind != '"':
			return s.unexpected(start)
		}
		text := unquoted(raw)
		if text == "" {
			return s.refusedNull(t)
		}
		x, err := lenientTime(text)
		if err != nil {
			return s.refusal("Could not convert string to DateTime: %s.", text)
		}
		*v.Addr().Interface().(*time.Time) = x
		return nil
	}
}

// absent steps over null. In the classic form the empty text stands for null too, in types that have no other use for it.
func (s *Scanner) absent(t reflect.Type) (bool, error) {
	if !s.classic || s.Peek() != '"' {
		return s.Null()
	}
	elem := NoPointer(t)
	if len(s.b)-s.i < 2 || s.b[s.i+1] != '"' || elem.Kind() == reflect.String || elem.Kind() == reflect.Interface {
		return false, nil
	}
	s.i += 2
	return true, nil
}

// validText puts U+FFFD for bytes that are no UTF-8.
func validText(raw []byte) []byte {
	if utf8.Valid(raw) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		out = utf8.AppendRune(out, r)
		raw = raw[n:]
	}
	return out
}
