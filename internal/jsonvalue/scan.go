package jsonvalue

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// What is wrong with JSON. The scanner lets bytes that are no UTF-8 and half surrogate pairs pass until somebody wants the text.
var (
	ErrSyntax    = errors.New("not valid JSON")
	ErrTrailing  = fmt.Errorf("%w: trailing comma", ErrSyntax)
	errInteger   = errors.New("number is not an integer")
	errRange     = errors.New("number is out of range")
	ErrDepth     = errors.New("JSON nests deeper")
	ErrUTF8      = errors.New("string is not valid UTF-8")
	ErrSurrogate = errors.New("string holds half of a surrogate pair")
)

// Scanner reads JSON strictly as RFC 8259 has it: no comments, no trailing commas, no byte order mark. It works on the
// bytes in place and allocates nothing but strings that hold escapes. It comes from [Codec.Scan] and is for one goroutine.
type Scanner struct {
	b     []byte
	i     int   // the next byte
	depth int32 // open arrays and objects
	limit int32 // how many may be open
	exact bool  // values of no type keep all digits of integers (see anyValue)

	classic bool // values are read in the classic form
}

// Peek skips white space and returns the next byte, 0 at the end.
func (s *Scanner) Peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// End fails unless nothing but white space is left.
func (s *Scanner) End() error {
	if s.Peek() != 0 || s.i < len(s.b) {
		return ErrSyntax
	}
	return nil
}

// Enter steps over the bracket that opens an array or an object, which Peek has seen.
func (s *Scanner) Enter() error {
	if s.depth >= s.limit {
		return s.tooDeep()
	}
	s.depth++
	s.i++
	return nil
}

func (s *Scanner) tooDeep() error { return fmt.Errorf("%w than %d", ErrDepth, s.limit) }

// Leave steps over the bracket that closes it, which Peek has seen. More does it by itself.
func (s *Scanner) Leave() {
	s.depth--
	s.i++
}

// More goes to the next element of an array or to the next name of an object, after the opening bracket (first) or after a
// value. It reports false, and leaves, at the closing bracket end.
func (s *Scanner) More(first bool, end byte) (bool, error) {
	c := s.Peek()
	if c == end {
		s.Leave()
		return false, nil
	}
	if first {
		return true, nil
	}
	if c != ',' {
		return false, ErrSyntax
	}
	s.i++
	if s.Peek() == end {
		return false, ErrTrailing
	}
	return true, nil
}

// Name reads the name of a member and the colon behind it. The name is decoded; a plain one aliases the bytes scanned.
func (s *Scanner) Name() ([]byte, error) {
	if s.Peek() != '"' {
		return nil, ErrSyntax
	}
	raw, plain, err := s.rawString()
	if err != nil {
		return nil, err
	}
	if s.Peek() != ':' {
		return nil, ErrSyntax
	}
	s.i++
	if plain {
		return raw, nil
	}
	// A name that is no text is nobody's name: it stays as it is.
	if decoded, err := unescape(raw, s.classic); err == nil {
		return []byte(decoded), nil
	}
	return raw, nil
}

// Skip steps over one value of any kind.
func (s *Scanner) Skip() error {
	switch s.Peek() {
	case '{':
		return s.skipObject()
	case '[':
		return s.skipArray()
	default:
		_, _, err := s.Scalar()
		return err
	}
}

// RawValue steps over one value of any kind and returns its bytes, which alias those scanned.
func (s *Scanner) RawValue() ([]byte, error) {
	s.Peek()
	start := s.i
	err := s.Skip()
	return s.b[start:s.i:s.i], err
}

// Position tells the line of the next byte, from 0, and its place in that line.
func (s *Scanner) Position() (line, at int) { return position(s.b, s.i) }

// position tells the line of b[i], from 0, and the place in that line.
func position(b []byte, i int) (line, at int) {
	return bytes.Count(b[:i], []byte{'\n'}), i - 1 - bytes.LastIndexByte(b[:i], '\n')
}

func (s *Scanner) skipObject() error {
	if err := s.Enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.More(first, '}')
		if err != nil || !ok {
			return err
		}
		if s.Peek() != '"' {
			return ErrSyntax
		}
		if _, _, err := s.rawString(); err != nil {
			return err
		}
		if s.Peek() != ':' {
			return ErrSyntax
		}
		s.i++
		if err := s.Skip(); err != nil {
			return err
		}
	}
}

func (s *Scanner) skipArray() error {
	if err := s.Enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := s.More(first, ']')
		if err != nil || !ok {
			return err
		}
		if err := s.Skip(); err != nil {
			return err
		}
	}
}

// Scalar reads a string, number, true, false or null. kind is '"', '0', 't', 'f' or 'n'; raw is the token, quotes included.
func (s *Scanner) Scalar() (kind byte, raw []byte, err error) {
	c := s.Peek()
	start := s.i
	switch {
	case c == '"':
		_, _, err = s.rawString()
	case c == '-' || c >= '0' && c <= '9':
		c = '0'
		err = s.number()
	case c == 't':
		err = s.word("true")
	case c == 'f':
		err = s.word("false")
	case c == 'n':
		err = s.word("null")
	default:
		err = ErrSyntax
	}
	return c, s.b[start:s.i], err
}

func (s *Scanner) word(w string) error {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return ErrSyntax
	}
	s.i += len(w)
	return nil
}

// number steps over a number: an optional minus, digits without a leading zero, a fraction, an exponent.
func (s *Scanner) number() error {
	b, i := s.b, s.i
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && b[i] >= '1' && b[i] <= '9':
		i = digits(b, i)
	default:
		return ErrSyntax
	}
	if i < len(b) && b[i] == '.' {
		j := digits(b, i+1)
		if j == i+1 {
			return ErrSyntax
		}
		i = j
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		j := digits(b, i)
		if j == i {
			return ErrSyntax
		}
		i = j
	}
	s.i = i
	return nil
}

// digits returns the index of the first byte from i on that is no digit.
func digits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

// rawString steps over a string and returns what stands between its quotes. plain is true for a string of ASCII without
// escapes, which is its own text.
func (s *Scanner) rawString() (raw []byte, plain bool, err error) {
	b := s.b
	start := s.i + 1
	plain = true
	for i := start; i < len(b); i++ {
		c := b[i]
		if c < utf8.RuneSelf && plainByte[c] {
			continue
		}
		switch {
		case c == '"':
			s.i = i + 1
			return b[start:i], plain, nil
		case c < 0x20:
			return nil, false, ErrSyntax
		case c == '\\':
			plain = false
			n := escapeLen(b[i:])
			if n == 0 {
				return nil, false, ErrSyntax
			}
			i += n - 1
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return nil, false, ErrSyntax
}

// escapeLen returns the length of the escape at the start of b, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(b[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits, -1 if they are none.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// ParseInt reads an integer of that many bits: digits only, as System.Text.Json wants it.
func ParseInt(raw []byte, bits int) (int64, error) {
	negative := len(raw) > 0 && raw[0] == '-'
	if negative {
		raw = raw[1:]
	}
	limit := uint64(1)<<(bits-1) - 1
	if negative {
		limit++
	}
	n, err := parseUint(raw, limit)
	if negative {
		return -int64(n), err
	}
	return int64(n), err
}

// parseUint reads digits up to limit.
func parseUint(raw []byte, limit uint64) (uint64, error) {
	if len(raw) == 0 {
		return 0, errInteger
	}
	var n uint64
	for _, c := range raw {
		d := uint64(c - '0')
		if d > 9 {
			return 0, errInteger
		}
		if n > limit/10 || n*10 > limit-d {
			return 0, errRange
		}
		n = n*10 + d
	}
	return n, nil
}

// Text reads a string. Anything else is a syntax error.
func (s *Scanner) Text() (string, error) {
	if s.Peek() != '"' {
		return "", ErrSyntax
	}
	raw, plain, err := s.rawString()
	if err != nil {
		return "", err
	}
	if plain {
		return string(raw), nil
	}
	return unescape(raw, s.classic)
}

// unescape returns the text of what rawString returned. It fails on bytes that are no UTF-8 and on half surrogate pairs,
// which the scanner lets pass because a message that holds them is whole. With lenient they become U+FFFD.
func unescape(raw []byte, lenient bool) (string, error) {
	if lenient {
		raw = validText(raw)
	} else if !utf8.Valid(raw) {
		return "", ErrUTF8
	}
	first := 0
	for first < len(raw) && raw[first] != '\\' {
		first++
	}
	if first == len(raw) {
		return string(raw), nil
	}
	out := append(make([]byte, 0, len(raw)), raw[:first]...)
	for i := first; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			out = append(out, unescaped(raw[i+1]))
			i += 2
			continue
		}
		r := hex4(raw[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			whole := utf8.RuneError
			if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				whole = utf16.DecodeRune(r, hex4(raw[i+2:]))
			}
			if whole == utf8.RuneError && !lenient {
				return "", ErrSurrogate
			}
			if whole != utf8.RuneError {
				i += 6
			}
			r = whole
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), nil
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}
