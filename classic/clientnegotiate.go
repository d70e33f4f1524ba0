package classic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	clientProtocol = "2.1"
	maxRedirects   = 100
	maxAnswer      = 1 << 20 // bytes of an answer to negotiate
)

// agreement is what a client knows of its server after negotiating, and where it is.
type agreement struct {
	base   *url.URL // without query
	query  url.Values
	access string // the token of a redirect, which replaces the user's

	ConnectionToken         string
	ConnectionID            string `json:"ConnectionId"`
	KeepAliveTimeout        *float64
	DisconnectTimeout       float64
	TryWebSockets           bool
	ProtocolVersion         string
	TransportConnectTimeout float64
	RedirectURL             string `json:"RedirectUrl"`
	AccessToken             string
	Error                   string

	// What only servers of the other dialect say.
	AvailableTransports json.RawMessage `json:"availableTransports"`
	NegotiateVersion    json.RawMessage `json:"negotiateVersion"`
}

func fromSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// keepAlive is the longest silence that a server promises, 0 if it promises none.
func (a *agreement) keepAlive() time.Duration {
	if a.KeepAliveTimeout == nil {
		return 0
	}
	return fromSeconds(*a.KeepAliveTimeout)
}

// needsStart reports whether OnConnected waits for a request of its own, which is so since protocol 1.4.
func (a *agreement) needsStart() bool { return versionNumber(a.ProtocolVersion) >= 104 }

// versionNumber is 104 for "1.4", 0 for what is no version of two parts.
func versionNumber(s string) int {
	major, minor, ok := strings.Cut(s, ".")
	m, err1 := strconv.Atoi(major)
	n, err2 := strconv.Atoi(minor)
	if !ok || err1 != nil || err2 != nil || n < 0 || n > 99 {
		return 0
	}
	return m*100 + n
}

// negotiate asks for a connection, wherever the server sends the client for it.
func (c *Client) negotiate(ctx context.Context, s *session) (*agreement, error) {
	base, query := c.url, c.opts.Query
	access := ""
	for range maxRedirects {
		a := &agreement{base: base, query: query, access: access}
		if err := c.ask(ctx, s, a); err != nil {
			return nil, fmt.Errorf("negotiate: %w", err)
		}
		if version := versionNumber(a.ProtocolVersion); version >= 200 {
			if a.Error != "" {
				return nil, fmt.Errorf("negotiate: %w", &ServerError{a.Error})
			}
			if a.RedirectURL != "" {
				var err error
				if base, err = base.Parse(a.RedirectURL); err != nil {
					return nil, fmt.Errorf("negotiate: redirect: %w", err)
				}
				if base.RawQuery != "" {
					query = base.Query()
				} else {
					query = nil
				}
				base = bare(base)
				access = a.AccessToken
				continue
			}
		}
		if version := versionNumber(a.ProtocolVersion); version < 102 || version > 201 {
			return nil, fmt.Errorf("negotiate: %w", &VersionError{a.ProtocolVersion})
		}
		if a.ConnectionToken == "" {
			return nil, fmt.Errorf("negotiate: %w: answer without connection token", ErrInvalidAnswer)
		}
		return a, nil
	}
	return nil, fmt.Errorf("negotiate: redirected more than %d times", maxRedirects)
}

// bare is an address without query, fragment and final slash.
func bare(u *url.URL) *url.URL {
	b := *u
	b.RawQuery, b.Fragment, b.ForceQuery = "", "", false
	b.Path = strings.TrimSuffix(b.Path, "/")
	b.RawPath = strings.TrimSuffix(b.RawPath, "/")
	return &b
}

// ask sends one negotiate request.
func (c *Client) ask(ctx context.Context, s *session, a *agreement) error {
	s.agree(a)
	req, err := s.request(ctx, http.MethodGet, "negotiate", nil)
	if err != nil {
		return err
	}
	res, err := c.do(req)
	if err != nil {
		return fmt.Errorf("Error during negotiation request. %w", err) //nolint:staticcheck // the sentence of the .NET client
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusMethodNotAllowed: // classic servers take any method
		return fmt.Errorf("%w: %w", ErrCoreServer, httpError("negotiate", res))
	case res.StatusCode/100 != 2:
		return fmt.Errorf("Error during negotiation request. %w", httpError("negotiate", res)) //nolint:staticcheck // as above
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("Error during negotiation request. %w", err) //nolint:staticcheck // as above
	}
	if err := json.Unmarshal(body, a); err != nil {
		return fmt.Errorf("%w: answer of %d bytes, want the JSON of a SignalR server: %w", ErrInvalidAnswer, len(body), err)
	}
	if a.AvailableTransports != nil || a.NegotiateVersion != nil {
		return ErrCoreServer
	}
	return nil
}

// address is where a command of the connection goes, with all that each request carries.
func (s *session) address(command string, more ...string) string {
	a := s.agreed()
	var b strings.Builder
	b.WriteString(bare(a.base).String())
	b.WriteString("/" + command + "?clientProtocol=" + clientProtocol)
	add := func(name, value string) {
		if value != "" {
			b.WriteString("&" + name + "=" + escape(value))
		}
	}
	if command != "negotiate" {
		add("transport", s.transport.String())
	}
	add("connectionData", s.data)
	if command != "negotiate" {
		add("connectionToken", a.ConnectionToken)
	}
	if len(a.query) > 0 {
		b.WriteString("&" + a.query.Encode())
	}
	for i := 0; i < len(more); i += 2 {
		add(more[i], more[i+1])
	}
	return b.String()
}

// escape escapes a value of a query, with %20 for a space.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// request makes a request with what every one of the connection carries.
func (s *session) request(ctx context.Context, method, command string, body io.Reader, more ...string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.address(command, more...), body)
	if err != nil {
		return nil, err
	}
	req.Header = s.header()
	return req, nil
}

// header has what every request of the connection carries.
func (s *session) header() http.Header {
	h := make(http.Header)
	s.mu.Lock()
	a, bearer := s.agreement, s.bearer
	s.mu.Unlock()
	h.Set("User-Agent", "hubbub (classic)")
	if bearer != "" {
		h.Set("Authorization", "Bearer "+bearer)
	}
	for name, v := range s.c.opts.Header {
		h[name] = v
	}
	if a.access != "" {
		h.Set("Authorization", "Bearer "+a.access)
	}
	return h
}

// authorize asks the user for a token.
func (s *session) authorize(ctx context.Context) error {
	if s.c.opts.Token == nil {
		return nil
	}
	token, err := s.c.opts.Token(ctx)
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	s.mu.Lock()
	s.bearer = token
	s.mu.Unlock()
	return nil
}
