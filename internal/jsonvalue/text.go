package jsonvalue

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

const upperHex = "0123456789ABCDEF"

// unicode16 are the code points that Unicode 16 added below U+10000, from first to last: .NET 10 has them as the letters and
// symbols they are, and the tables of Go may be older.
var unicode16 = [][2]rune{
	{0x0897, 0x0897}, {0x1b4e, 0x1b4f}, {0x1b7f, 0x1b7f}, {0x1c89, 0x1c8a}, {0x2427, 0x2429}, {0x2ffc, 0x2fff},
	{0x31e4, 0x31e5}, {0x31ef, 0x31ef}, {0xa7cb, 0xa7cd}, {0xa7da, 0xa7dc},
}

// rawRunes holds a bit for every code point below U+10000 that System.Text.Json writes as it is: letters, marks, numbers,
// punctuation, symbols and format characters but the byte order mark, the blank as the only space.
var rawRunes = sync.OnceValue(func() *[1 << 16 / 64]uint64 {
	set := new([1 << 16 / 64]uint64)
	for r := rune(0x20); r < 1<<16; r++ {
		if r != '"' && r != '\\' && (unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) && r >= 0xa0 && r != 0xfeff) {
			set[r>>6] |= 1 << (r & 63)
		}
	}
	for _, span := range unicode16 {
		for r := span[0]; r <= span[1]; r++ {
			set[r>>6] |= 1 << (r & 63)
		}
	}
	return set
})

// plainByte tells which bytes of ASCII stand for themselves inside a string.
var plainByte = func() (plain [utf8.RuneSelf]bool) {
	for c := 0x20; c < 0x7f; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// AppendString writes a string with exactly the escapes of ASP.NET Core. Bytes that are no UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if !plainByte[b] {
				dst = appendEscape(append(dst, s[start:i]...), rune(b))
				start = i + 1
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r > 0xffff || rawRunes()[r>>6]&(1<<(r&63)) == 0 {
			dst = appendEscape(append(dst, s[start:i]...), r)
			start = i + n
		}
		i += n
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if r > 0xffff {
		r -= 0x10000
		dst = appendEscape(dst, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	return append(dst, '\\', 'u', upperHex[r>>12&15], upperHex[r>>8&15], upperHex[r>>4&15], upperHex[r&15])
}

// AppendClassicString writes a string with exactly the escapes of Json.NET. Bytes that are no UTF-8 become U+FFFD.
func AppendClassicString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if !plainByte[b] && b != 0x7f {
				dst = appendClassicEscape(append(dst, s[start:i]...), rune(b))
				start = i + 1
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = utf8.AppendRune(append(dst, s[start:i]...), r)
			start = i + n
		case r == 0x85 || r == 0x2028 || r == 0x2029:
			dst = appendClassicEscape(append(dst, s[start:i]...), r)
			start = i + n
		}
		i += n
	}
	return append(append(dst, s[start:]...), '"')
}

func appendClassicEscape(dst []byte, r rune) []byte {
	at := len(dst)
	dst = appendEscape(dst, r)
	for i := at + 2; i < len(dst); i++ { // the digits of \u
		if dst[i] >= 'A' && dst[i] <= 'F' {
			dst[i] |= 0x20
		}
	}
	return dst
}
