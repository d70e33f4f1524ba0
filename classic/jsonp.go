package classic

import "strings"

// reserved are the words that cannot name a function in JavaScript.
var reserved = map[string]bool{}

func init() {
	for word := range strings.FieldsSeq(`abstract boolean break byte case catch char class const continue debugger default delete do
		double else enum export extends false final finally float for function goto if implements import in instanceof int interface
		long native new null package private protected public return short static super switch synchronized this throw throws
		transient true try typeof var void volatile while with`) {
		reserved[word] = true
	}
}

// validCallback reports whether a name of JSONP is one of a JavaScript function: identifiers with dots between them.
func validCallback(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if part == "" || reserved[part] {
			return false
		}
		for i, c := range []byte(part) {
			letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}
