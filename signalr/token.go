package signalr

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

// token is what a connection token says: it is signed, so that negotiating costs no memory, and any node with the same keys
// can answer for it.
type token struct {
	stateful bool
	version  int // negotiate version
	id       [16]byte
	node     [8]byte
	user     [16]byte  // see userHash
	bindBy   time.Time // the first transport request must come before
}

const (
	tokenVersion = 1
	tokenSize    = 1 + 1 + 4 + 16 + 8 + 16 + 8
)

// encode signs the token for an endpoint: for another path it is worth nothing.
func (t *token) encode(keys *hubbub.KeyRing, path string) string {
	b := make([]byte, tokenSize, tokenSize+sha256.Size)
	b[0] = tokenVersion
	b[1] = byte(t.version) << 1
	if t.stateful {
		b[1] |= 1
	}
	copy(b[6:], t.id[:])
	copy(b[22:], t.node[:])
	copy(b[30:], t.user[:])
	binary.BigEndian.PutUint64(b[46:], uint64(t.bindBy.UnixMilli()))
	key := keys.Current()
	binary.BigEndian.PutUint32(b[2:], key)
	_, mac := keys.Sign(purpose(path), b)
	return base64.RawURLEncoding.EncodeToString(append(b, mac...))
}

// parseToken returns the token if it is one that a node with these keys has signed for the endpoint.
func parseToken(s string, keys *hubbub.KeyRing, path string) (token, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") || len(b) != tokenSize+sha256.Size || b[0] != tokenVersion { // decoders skip ends of lines
		return token{}, false
	}
	b, mac := b[:tokenSize], b[tokenSize:]
	if !keys.Verify(binary.BigEndian.Uint32(b[2:]), purpose(path), b, mac) {
		return token{}, false
	}
	t := token{
		stateful: b[1]&1 != 0,
		version:  int(b[1] >> 1),
		bindBy:   time.UnixMilli(int64(binary.BigEndian.Uint64(b[46:]))),
	}
	copy(t.id[:], b[6:])
	copy(t.node[:], b[22:])
	copy(t.user[:], b[30:])
	return t, true
}

func (t *token) connectionID() string { return base64.RawURLEncoding.EncodeToString(t.id[:]) }

func purpose(path string) string { return "signalr connection token " + path }

// endpointPath is the path of the endpoint that a request is for, without regard to case.
func endpointPath(path string) string {
	path = strings.ToLower(strings.TrimSuffix(path, "/"))
	path = strings.TrimSuffix(path, "/negotiate")
	return strings.TrimSuffix(path, "/refresh")
}

// userHash stands for a user in a token: equal exactly for users that are the same (hubbub.User.Same). Anonymous is zero.
func userHash(u *hubbub.User) (h [16]byte) {
	if u == nil {
		return h
	}
	var who []any
	if u.ID != "" {
		who = []any{"id", u.ID, u.Claim("iss")}
	} else {
		who = []any{"claims", strings.ToLower(u.Name), u.Claims}
	}
	b, err := json.Marshal(who)
	if err != nil { // claims that are no JSON values
		b = []byte(u.Name)
	}
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}
