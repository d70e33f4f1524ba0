package classic

import (
	"bytes"
	"strconv"
	"strings"
)

// callID is the id of a call as the runtime sees it: the way its answer takes and a zero byte, then what the answer must say: the
// lengths of hub and method, a zero byte, both, and the id. Two calls never have the same, although two calls of a client may.
type callID string

// newCallID makes the id of the call that is answered over route. id is the member I, nil if there is none.
func newCallID(route, hub, method string, id *string) callID {
	i := ""
	if id != nil {
		i = "=" + *id
	}
	return callID(route + "\x00" + strconv.Itoa(len(hub)) + "." + strconv.Itoa(len(method)) + "\x00" + hub + method + i)
}

func (c callID) parts() (route, id, hub, method string) {
	route, rest, _ := strings.Cut(string(c), "\x00")
	lengths, rest, _ := strings.Cut(rest, "\x00")
	h, m, _ := strings.Cut(lengths, ".")
	hubSize, _ := strconv.Atoi(h)
	methodSize, _ := strconv.Atoi(m)
	if hubSize+methodSize > len(rest) { // not one of newCallID
		return route, "", "", ""
	}
	return route, rest[hubSize+methodSize:], rest[:hubSize], rest[hubSize : hubSize+methodSize]
}

// appendID appends the id of a call as its answer has it: always a string, null if the client sent none.
func appendID(dst []byte, id string) []byte {
	if id == "" {
		return append(dst, "null"...)
	}
	return appendText(dst, id[1:])
}

// route is the way that an answer takes: 's' and the number of a stream, or 'p' and the number of a POST. serial keeps two
// calls of one stream apart.
func route(kind byte, number, serial uint64) string {
	return string(strconv.AppendUint(append(strconv.AppendUint([]byte{kind}, number, 16), '.'), serial, 16))
}

// parseRoute takes the route off an answer.
func parseRoute(b []byte) (kind byte, number uint64, answer []byte, ok bool) {
	head, answer, ok := bytes.Cut(b, []byte{0})
	if !ok || len(head) < 2 {
		return 0, 0, nil, false
	}
	text, _, _ := strings.Cut(string(head[1:]), ".")
	number, err := strconv.ParseUint(text, 16, 64)
	return head[0], number, answer, err == nil
}
