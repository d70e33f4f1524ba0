package classic

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

// connectionToken proves that a connection id is one of this server, and whose it is: the id and the user, signed.
type connectionToken struct {
	id   [16]byte
	user [16]byte // see userHash
	made time.Time
}

const (
	tokenVersion      = 1
	tokenHead         = 1 + 4 // version, key id
	connectionSize    = 16 + 16 + 8
	connectionPurpose = "classic connection token"
	groupsPurpose     = "classic groups token"
)

// newConnectionToken returns a token of a new connection of u.
func newConnectionToken(u *hubbub.User) connectionToken {
	t := connectionToken{user: userHash(u), made: time.Now()}
	rand.Read(t.id[:])
	t.id[6] = t.id[6]&0x0f | 0x40
	t.id[8] = t.id[8]&0x3f | 0x80
	return t
}

// connectionID is the public name of the connection: a GUID, as the original has it.
func (t *connectionToken) connectionID() string {
	h := hex.EncodeToString(t.id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (t *connectionToken) encode(keys *hubbub.KeyRing) string {
	b := append(append(make([]byte, 0, connectionSize), t.id[:]...), t.user[:]...)
	return sign(keys, connectionPurpose, binary.BigEndian.AppendUint64(b, uint64(t.made.UnixMilli())))
}

func parseConnectionToken(s string, keys *hubbub.KeyRing) (t connectionToken, ok bool) {
	b, ok := verify(keys, connectionPurpose, s)
	if !ok || len(b) != connectionSize {
		return t, false
	}
	copy(t.id[:], b)
	copy(t.user[:], b[16:])
	t.made = time.UnixMilli(int64(binary.BigEndian.Uint64(b[32:])))
	return t, true
}

// sign returns body with version, key id and signature as text.
func sign(keys *hubbub.KeyRing, purpose string, body []byte) string {
	b := make([]byte, tokenHead, tokenHead+len(body)+sha256.Size)
	b[0] = tokenVersion
	binary.BigEndian.PutUint32(b[1:], keys.Current())
	b = append(b, body...)
	_, mac := keys.Sign(purpose, b)
	return base64.RawURLEncoding.EncodeToString(append(b, mac...))
}

// verify returns the body of what sign has made with one of the keys, of exactly that text: decoders skip ends of lines.
func verify(keys *hubbub.KeyRing, purpose, s string) (body []byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") || len(b) < tokenHead+sha256.Size || b[0] != tokenVersion {
		return nil, false
	}
	b, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !keys.Verify(binary.BigEndian.Uint32(b[1:]), purpose, b, mac) {
		return nil, false
	}
	return b[tokenHead:], true
}

// groupsToken proves in which groups of which hubs a connection is. It is for a server that does not know the connection.
func groupsToken(keys *hubbub.KeyRing, connectionID string, groups map[string][]string) string {
	body, err := json.Marshal(groups)
	if err != nil { // strings have nothing that could fail
		return ""
	}
	return sign(keys, groupsPurpose, append([]byte(connectionID), body...))
}

// parseGroupsToken returns the groups by hub; none if the token is not one of this connection.
func parseGroupsToken(s string, keys *hubbub.KeyRing, connectionID string) map[string][]string {
	body, ok := verify(keys, groupsPurpose, s)
	if !ok {
		return nil
	}
	rest, own := strings.CutPrefix(string(body), connectionID)
	if !own {
		return nil
	}
	var groups map[string][]string
	if json.Unmarshal([]byte(rest), &groups) != nil {
		return nil
	}
	return groups
}

// userHash stands for a user in a token: that of the identifier and its issuer where there is one, of the name otherwise;
// anonymous is zero.
func userHash(u *hubbub.User) (h [16]byte) {
	if u == nil {
		return h
	}
	who := []string{"name", strings.ToLower(u.Name)}
	if u.ID != "" {
		who = []string{"id", u.ID, u.Claim("iss")}
	}
	b, err := json.Marshal(who)
	if err != nil {
		b = []byte(who[1])
	}
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}
