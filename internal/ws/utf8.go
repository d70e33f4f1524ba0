package ws

import "unicode/utf8"

// utf8Check validates UTF-8 that arrives in pieces, byte by byte: which byte is refused
// does not depend on how the text was cut. The zero value stands between two characters.
type utf8Check struct {
	need   byte // continuation bytes still wanted
	lo, hi byte // bounds of the next one
}

// scan returns the index of the first byte that no valid text can have here, or -1.
func (u *utf8Check) scan(p []byte) int {
	i := 0
	for ; i < len(p) && u.need > 0; i++ {
		if !u.step(p[i]) {
			return i
		}
	}
	if end := len(p) - unfinished(p[i:]); utf8.Valid(p[i:end]) {
		i = end
	}
	for ; i < len(p); i++ {
		if !u.step(p[i]) {
			return i
		}
	}
	return -1
}

// unfinished returns how many bytes at the end of p begin a character without ending it.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// whole reports whether the text may end here.
func (u *utf8Check) whole() bool { return u.need == 0 }

func (u *utf8Check) step(b byte) bool {
	if u.need > 0 {
		if b < u.lo || b > u.hi {
			return false
		}
		u.need--
		u.lo, u.hi = 0x80, 0xBF
		return true
	}
	u.lo, u.hi = 0x80, 0xBF
	switch {
	case b < 0x80:
		return true
	case b < 0xC2: // a stray continuation byte, or an overlong pair
		return false
	case b < 0xE0:
		u.need = 1
	case b < 0xF0:
		u.need = 2
		if b == 0xE0 { // overlong below
			u.lo = 0xA0
		} else if b == 0xED { // surrogates above
			u.hi = 0x9F
		}
	case b < 0xF5:
		u.need = 3
		if b == 0xF0 { // overlong below
			u.lo = 0x90
		} else if b == 0xF4 { // beyond U+10FFFF above
			u.hi = 0x8F
		}
	default:
		return false
	}
	return true
}
