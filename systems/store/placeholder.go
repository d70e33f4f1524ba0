package store

import (
	"strconv"
	"strings"
)

// number writes $1, $2 … for the question marks of a statement, except inside quotes and comments.
func number(q string) string {
	if !strings.Contains(q, "?") {
		return q
	}
	var b strings.Builder
	b.Grow(len(q) + 16)
	n := 0
	for i := 0; i < len(q); {
		if end := skip(q, i); end > i {
			b.WriteString(q[i:end])
			i = end
			continue
		}
		if q[i] == '?' {
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		} else {
			b.WriteByte(q[i])
		}
		i++
	}
	return b.String()
}

// skip returns where the quoted text or comment that begins at i ends, or i if none begins there. A doubled quote inside
// quotes reads as two quoted texts side by side, which comes to the same.
func skip(q string, i int) int {
	rest := q[i:]
	var end string
	from := 1
	switch {
	case rest[0] == '\'' || rest[0] == '"':
		end = rest[:1]
	case strings.HasPrefix(rest, "--"):
		end = "\n"
	case strings.HasPrefix(rest, "/*"):
		end, from = "*/", 2
	default:
		return i
	}
	n := strings.Index(rest[from:], end)
	if n < 0 {
		return len(q)
	}
	return i + from + n + len(end)
}
