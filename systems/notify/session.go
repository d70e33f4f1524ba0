package notify

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Session is a login that has not ended.
type Session struct {
	ID         string `json:"id"`
	UserName   string `json:"userName"`
	DeviceName string `json:"deviceName"`
	Address    string `json:"address"`
	CreatedAt  Time   `json:"createdAt"`
	SeenAt     Time   `json:"seenAt"` // login or last refresh
	ExpiresAt  Time   `json:"expiresAt"`
}

// newID returns 128 random bits as text.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// refreshToken returns a new refresh token of a session, and its hash, which is all that is stored.
func refreshToken(session string) (token, hash string) {
	token = session + "." + newID() + newID()
	return token, refreshHash(token)
}

func refreshHash(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(n int64) Time { return Time{time.UnixMilli(n).UTC()} }

var errTooMany = problem(http.StatusForbidden, ErrorDeviceCountExceeded, "The licence allows no further device to be logged in.")

// startSession stores a session, unless its device would be one too many. It returns the sessions that ended to make room.
func (s *System) startSession(ctx context.Context, user, device, address string) (sess Session, refresh string, ended []string, err error) {
	now := s.now()
	most := s.maxDevices(now)
	sess = Session{ID: newID(), UserName: user, DeviceName: device, Address: address,
		CreatedAt: Time{now}, SeenAt: Time{now}, ExpiresAt: Time{now.Add(s.config.SessionLifetime)}}
	refresh, hash := refreshToken(sess.ID)
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		if most > 0 {
			var others int
			err := tx.QueryRow(ctx, "SELECT count(DISTINCT device) FROM session WHERE ended = 0 AND expires > ? AND device <> ?",
				millis(now), device).Scan(&others)
			if err != nil {
				return err
			}
			if others >= most {
				return errTooMany
			}
		}
		var err error
		if ended, err = s.makeRoom(ctx, tx, user, device, now); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO session (id, user_name, device, refresh, address, created, seen, expires, ended)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			sess.ID, user, device, hash, address, millis(now), millis(now), millis(sess.ExpiresAt.Time))
		return err
	})
	if err != nil {
		return Session{}, "", nil, fmt.Errorf("start session: %w", err)
	}
	return sess, refresh, ended, nil
}

// makeRoom ends the oldest sessions of a user at a device beyond the limit, with one to come.
func (s *System) makeRoom(ctx context.Context, tx *store.Tx, user, device string, now time.Time) ([]string, error) {
	alive, err := texts(tx.Query(ctx, `SELECT id FROM session WHERE user_name = ? AND device = ? AND ended = 0 AND expires > ?
		ORDER BY seen DESC, id`, user, device, millis(now)))
	if err != nil {
		return nil, err
	}
	keep := s.config.Limits.SessionsPerDevice - 1
	if len(alive) <= keep {
		return nil, nil
	}
	for _, id := range alive[keep:] {
		if _, err := tx.Exec(ctx, "UPDATE session SET ended = ? WHERE id = ?", millis(now), id); err != nil {
			return nil, err
		}
	}
	return alive[keep:], nil
}

// texts reads rows of one text.
func texts(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

var errBadRefresh = problem(http.StatusUnauthorized, ErrorUnauthenticated, "The refresh token is not valid, or has been used before.")

// refreshSession takes a refresh token for a new one and lengthens its session.
func (s *System) refreshSession(ctx context.Context, old string) (Session, string, error) {
	id, _, _ := strings.Cut(old, ".")
	now := s.now()
	refresh, hash := refreshToken(id)
	var sess Session
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		var known string
		var err error
		sess, known, err = scanSession(tx.QueryRow(ctx, sessionColumns+" WHERE id = ? AND ended = 0 AND expires > ?", id, millis(now)))
		if errors.Is(err, sql.ErrNoRows) || err == nil && subtle.ConstantTimeCompare([]byte(known), []byte(refreshHash(old))) != 1 {
			return errBadRefresh
		}
		if err != nil {
			return err
		}
		sess.SeenAt, sess.ExpiresAt = Time{now}, Time{now.Add(s.config.SessionLifetime)}
		_, err = tx.Exec(ctx, "UPDATE session SET refresh = ?, seen = ?, expires = ? WHERE id = ?",
			hash, millis(now), millis(sess.ExpiresAt.Time), id)
		return err
	})
	if err != nil {
		return Session{}, "", fmt.Errorf("refresh session: %w", err)
	}
	return sess, refresh, nil
}

const sessionColumns = "SELECT id, user_name, device, address, created, seen, expires, refresh FROM session"

func scanSession(row interface{ Scan(...any) error }) (s Session, refresh string, err error) {
	var created, seen, expires int64
	err = row.Scan(&s.ID, &s.UserName, &s.DeviceName, &s.Address, &created, &seen, &expires, &refresh)
	s.CreatedAt, s.SeenAt, s.ExpiresAt = fromMillis(created), fromMillis(seen), fromMillis(expires)
	return s, refresh, err
}

// session returns a session that lives; the error is sql.ErrNoRows if there is none.
func (s *System) session(ctx context.Context, id string) (Session, error) {
	sess, _, err := scanSession(s.store.QueryRow(ctx, sessionColumns+" WHERE id = ? AND ended = 0 AND expires > ?", id, millis(s.now())))
	return sess, err
}

// Sessions returns the sessions that live, oldest first, at most 1000.
func (s *System) Sessions(ctx context.Context) ([]Session, error) {
	rows, err := s.store.Query(ctx, sessionColumns+" WHERE ended = 0 AND expires > ? ORDER BY created, id LIMIT 1000", millis(s.now()))
	if err != nil {
		return nil, fmt.Errorf("notify: sessions: %w", err)
	}
	defer rows.Close()
	all := []Session{}
	for rows.Next() {
		sess, _, err := scanSession(rows)
		if err != nil {
			return nil, fmt.Errorf("notify: sessions: %w", err)
		}
		all = append(all, sess)
	}
	return all, rows.Err()
}

// reasonSession is what clients read whose session was deleted. They do not come back by themselves.
const reasonSession = "The session has been ended."

// EndSession ends a session: its tokens are refused from now on, and its connections on every node are closed with a reason,
// not to come back. It returns false if there is no such session.
func (s *System) EndSession(ctx context.Context, id string) (bool, error) {
	n, err := s.store.Exec(ctx, "UPDATE session SET ended = ? WHERE id = ? AND ended = 0", millis(s.now()), id)
	if err != nil {
		return false, fmt.Errorf("notify: end session: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	s.sessionEnded(ctx, id)
	return true, nil
}

// sessionEnded closes the connections of a session here and tells the other nodes.
func (s *System) sessionEnded(ctx context.Context, id string) {
	s.closeSession(id)
	s.tell(ctx, &nodeMessage{Kind: kindSession, ID: id})
}

func (s *System) closeSession(id string) {
	s.hub.CloseWhere(func(c *hubbub.Caller) bool { return c.User().Claim("sid") == id }, reasonSession, false)
}

var errNoSession = errors.New("notify: the session of the token has ended")

// Verify is the verifier of access tokens ([auth.Verifier]): of those that logins hand out, as long as their session lives,
// with the rights that the account has now, and of others that the issuer signed. It asks the store.
func (s *System) Verify(ctx context.Context, token string) (*hubbub.User, error) {
	u, err := s.config.Tokens.Verify(ctx, token)
	if err != nil && s.config.Foreign != nil {
		return s.verifyForeign(ctx, token)
	}
	if err != nil {
		return nil, err
	}
	id := u.Claim("sid")
	if id == "" {
		return u, nil
	}
	sess, err := s.session(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoSession
	}
	if err != nil {
		return nil, fmt.Errorf("notify: look for the session of a token: %w: %w", auth.ErrUnavailable, err)
	}
	a := s.accounts.user(sess.UserName)
	if a == nil || s.accounts.device(sess.DeviceName) == nil {
		return nil, errNoSession
	}
	return sessionUser(u, sess, a), nil
}

// verifyForeign takes the claim "sid" away, which OpenID issuers have for sessions of their own: here it would name one of ours.
func (s *System) verifyForeign(ctx context.Context, token string) (*hubbub.User, error) {
	u, err := s.config.Foreign(ctx, token)
	if err != nil || u == nil || u.Claims["sid"] == nil {
		return u, err
	}
	own := *u
	own.Claims = maps.Clone(u.Claims)
	delete(own.Claims, "sid")
	return &own, nil
}

// sessionUser returns the user of a token with what its account and its session say now.
func sessionUser(u *hubbub.User, sess Session, a *Account) *hubbub.User {
	claims := maps.Clone(u.Claims)
	rights := make([]any, len(a.Rights))
	for i, r := range a.Rights {
		rights[i] = r
	}
	claims["rights"] = rights
	claims["userName"], claims["device"], claims["feature"] = a.UserName, sess.DeviceName, a.FeatureName
	if slices.Contains(a.Rights, ScopePublish) || slices.Contains(a.Rights, RightAdmin) {
		claims["scope"] = ScopePublish
	} else {
		delete(claims, "scope")
	}
	return &hubbub.User{ID: a.ID, Name: a.Name, Claims: claims, Expires: u.Expires}
}
