package notify

import (
	"fmt"
	"net"
	"net/http"

	"github.com/hubbub-go/hubbub"
)

// AuthResult is the answer to a login or a refresh.
type AuthResult struct {
	// TokenID is the access token.
	TokenID      string `json:"tokenId"`
	RefreshToken string `json:"refreshToken"`
	SessionID    string `json:"sessionId"`
	// ExpiresAt is when the access token ends.
	ExpiresAt Time `json:"expiresAt"`
	User      User `json:"user"`
}

// User is who is logged in, as clients see it.
type User struct {
	ID          string      `json:"id"`
	IsVirtual   bool        `json:"isVirtual"`
	Name        string      `json:"name"`
	UserName    string      `json:"userName"`
	FeatureName *string     `json:"featureName"`
	Rights      []string    `json:"rights"`
	Device      *UserDevice `json:"device"`
}

// UserDevice is the device that a user is logged in at.
type UserDevice struct {
	Name        string         `json:"name"`
	EnvName     string         `json:"envName"`
	Description string         `json:"description"`
	Preferences map[string]any `json:"preferences"`
	Settings    map[string]any `json:"settings"`
}

func (s *System) profile(a *Account, device string) User {
	u := User{ID: a.ID, Name: a.Name, UserName: a.UserName, Rights: append([]string{}, a.Rights...)}
	if a.FeatureName != "" {
		u.IsVirtual, u.FeatureName = true, &a.FeatureName
	}
	d := s.accounts.device(device)
	if d == nil {
		return u
	}
	u.Device = &UserDevice{Name: d.Name, EnvName: d.EnvName, Description: d.Description, Preferences: d.Preferences, Settings: d.Settings}
	if d.EnvName == "" {
		u.Device.EnvName = "Tool"
	}
	if d.Preferences == nil {
		u.Device.Preferences = map[string]any{}
	}
	if d.Settings == nil {
		u.Device.Settings = map[string]any{}
	}
	return u
}

var errBadLogin = problem(http.StatusUnauthorized, ErrorUnauthenticated, "The user name, the password or the device name is not right.")

// members reads text members of a body, those that begin with * are required.
func members(body map[string]any, most int, names ...string) (map[string]string, error) {
	var wrong []*badValue
	values := make(map[string]string)
	for _, name := range names {
		must := name[0] == '*'
		if must {
			name = name[1:]
		}
		v, b := text(body, name, most)
		switch {
		case b != nil:
			wrong = append(wrong, b)
		case v == "" && must:
			wrong = append(wrong, required(name))
		}
		values[name] = v
	}
	if len(wrong) > 0 {
		return nil, invalid(wrong...)
	}
	return values, nil
}

func (s *System) postAuth(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, s.config.Limits.BodyBytes)
	if err != nil {
		return err
	}
	v, err := members(body, 256, "*userName", "password", "*deviceName")
	if err != nil {
		return err
	}
	now := s.now()
	if !s.logins.allowed(v["userName"], now) {
		w.Header().Set("Retry-After", "60")
		return problem(http.StatusTooManyRequests, 0, "Too many logins of this user have failed. Try again in a minute.")
	}
	a := s.accounts.check(v["userName"], v["password"])
	device := s.accounts.device(v["deviceName"])
	if a == nil || device == nil {
		return errBadLogin
	}
	s.logins.succeed(v["userName"])
	if err := s.licenceError(now); err != nil {
		return err
	}
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	sess, refresh, ended, err := s.startSession(r.Context(), a.UserName, device.Name, address)
	if err != nil {
		return err
	}
	for _, id := range ended {
		s.sessionEnded(r.Context(), id)
	}
	return s.writeAuth(w, a, sess, refresh)
}

func (s *System) writeAuth(w http.ResponseWriter, a *Account, sess Session, refresh string) error {
	token, err := s.config.Tokens.Sign(map[string]any{"sub": a.ID, "name": a.Name, "userName": a.UserName, "device": sess.DeviceName,
		"sid": sess.ID}, s.config.TokenLifetime)
	if err != nil {
		return fmt.Errorf("sign access token: %w", err)
	}
	writeJSON(w, http.StatusOK, AuthResult{TokenID: token, RefreshToken: refresh, SessionID: sess.ID,
		ExpiresAt: Time{s.now().Add(s.config.TokenLifetime)}, User: s.profile(a, sess.DeviceName)})
	return nil
}

func (s *System) postRefresh(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, s.config.Limits.BodyBytes)
	if err != nil {
		return err
	}
	v, err := members(body, 1024, "*refreshToken")
	if err != nil {
		return err
	}
	if err := s.licenceError(s.now()); err != nil {
		return err
	}
	sess, refresh, err := s.refreshSession(r.Context(), v["refreshToken"])
	if err != nil {
		return err
	}
	a := s.accounts.user(sess.UserName)
	if a == nil || s.accounts.device(sess.DeviceName) == nil { // not in the configuration any more
		return errBadRefresh
	}
	return s.writeAuth(w, a, sess, refresh)
}

// getAuth answers with the profile: that of the account for a session, what the claims say for any other token.
func (s *System) getAuth(w http.ResponseWriter, r *http.Request) error {
	u := hubbub.UserFrom(r.Context())
	who := identity(u)
	if a := s.accounts.user(who.User); a != nil && u.Claim("sid") != "" {
		writeJSON(w, http.StatusOK, s.profile(a, who.Device))
		return nil
	}
	name := u.Name
	if name == "" {
		name = who.User
	}
	p := User{ID: u.ID, Name: name, UserName: who.User, Rights: []string{}}
	for _, right := range []string{RightAdmin, RightSessionGet, RightSessionDelete, RightWebhookGet, RightWebhookManage} {
		if u.HasRole(right) {
			p.Rights = append(p.Rights, right)
		}
	}
	if u.HasScope(ScopePublish) {
		p.Rights = append(p.Rights, ScopePublish)
	}
	writeJSON(w, http.StatusOK, p)
	return nil
}

// deleteAuth ends the session of the token: a logout.
func (s *System) deleteAuth(w http.ResponseWriter, r *http.Request) error {
	id := hubbub.UserFrom(r.Context()).Claim("sid")
	if id == "" {
		return problem(http.StatusNotFound, 0, "The access token belongs to no session.")
	}
	return s.endSession(w, r, id)
}

func (s *System) getSessions(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Sessions(r.Context())
	if err != nil {
		return err
	}
	writeList(w, all)
	return nil
}

func (s *System) deleteSession(w http.ResponseWriter, r *http.Request) error {
	id, u := r.PathValue("id"), hubbub.UserFrom(r.Context())
	if u.Claim("sid") != id && !hasRight(u, RightSessionDelete) {
		return missingRight(RightSessionDelete)
	}
	return s.endSession(w, r, id)
}

func (s *System) endSession(w http.ResponseWriter, r *http.Request, id string) error {
	ended, err := s.EndSession(r.Context(), id)
	if err != nil {
		return err
	}
	if !ended {
		return notFound("session", id)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *System) getSubscriptions(w http.ResponseWriter, r *http.Request) error {
	writeList(w, s.Listeners())
	return nil
}
