package signalr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hubbub-go/hubbub"
)

// ErrClassicServer says that the server speaks ASP.NET SignalR, the older protocol, which this client does not.
var ErrClassicServer = errors.New("detected a connection attempt to an ASP.NET SignalR server. This client only supports connecting to " +
	"an ASP.NET Core SignalR server; see https://aka.ms/signalr-core-differences for details")

// ErrInvalidAnswer says that what answered negotiate with status 200 is no SignalR hub.
var ErrInvalidAnswer = errors.New("invalid answer")

// maxRedirects is how often a server may send the client elsewhere.
const maxRedirects = 100

// negotiation is what a server has agreed to, and where.
type negotiation struct {
	url        *url.URL
	version    int
	id, token  string // the public name and the secret of the connection
	stateful   bool
	lifetime   time.Duration // of the credential, 0 if the server told none
	transports []transportInfo

	mu     sync.Mutex
	bearer string
	given  bool // bearer is from a server, such as one that sent the client elsewhere: the user is not asked for another
}

func (n *negotiation) credential() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bearer
}

// setCredential takes an access token, of the server or of the user.
func (n *negotiation) setCredential(token string, given bool) {
	n.mu.Lock()
	n.bearer, n.given = token, given
	n.mu.Unlock()
}

// renewable reports whether there may be a better access token than the one in use.
func (d *dialer) renewable(n *negotiation) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return d.opts.Token != nil && !n.given
}

// authorize asks the user for an access token, unless a server has given one.
func (d *dialer) authorize(ctx context.Context, n *negotiation) error {
	if !d.renewable(n) {
		return nil
	}
	token, err := d.opts.Token(ctx)
	if err != nil {
		return fmt.Errorf("access token: %w", err)
	}
	n.setCredential(token, false)
	return nil
}

// answerOfServer is the answer to negotiate (TransportProtocols.md, "POST [endpoint-base]/negotiate request").
type answerOfServer struct {
	Error                string          `json:"error"`
	URL                  string          `json:"url"`
	AccessToken          string          `json:"accessToken"`
	UseStatefulReconnect bool            `json:"useStatefulReconnect"`
	NegotiateVersion     int             `json:"negotiateVersion"`
	ConnectionID         string          `json:"connectionId"`
	ConnectionToken      string          `json:"connectionToken"`
	TokenLifetimeSeconds *int32          `json:"tokenLifetimeSeconds"`
	AvailableTransports  []transportInfo `json:"availableTransports"`
	ProtocolVersion      string          `json:"ProtocolVersion"`
}

// negotiate asks the server, and those it sends to, for a connection.
func (d *dialer) negotiate(ctx context.Context) (*negotiation, error) {
	n := &negotiation{url: d.url}
	if err := d.authorize(ctx, n); err != nil {
		return nil, err
	}
	for range maxRedirects {
		a, err := d.askNegotiate(ctx, n)
		if _, told := errors.AsType[*HTTPError](err); told {
			return nil, err // it says itself what was asked for
		}
		if err != nil {
			return nil, fmt.Errorf("negotiate: %w", err)
		}
		if a.TokenLifetimeSeconds != nil {
			n.lifetime = time.Duration(*a.TokenLifetimeSeconds) * time.Second
		}
		if a.URL == "" {
			return n, n.accept(a, d.opts.StatefulReconnect)
		}
		if n.url, err = url.Parse(a.URL); err != nil {
			return nil, fmt.Errorf("negotiate: redirection: %w", err)
		}
		if a.AccessToken != "" {
			n.setCredential(a.AccessToken, true)
		}
	}
	return nil, errors.New("negotiate: redirection limit exceeded")
}

// accept takes over the answer that ends the negotiation.
func (n *negotiation) accept(a *answerOfServer, stateful bool) error {
	n.version, n.id, n.token = a.NegotiateVersion, a.ConnectionID, a.ConnectionToken
	n.transports = a.AvailableTransports
	n.stateful = a.UseStatefulReconnect && stateful
	switch {
	case n.id == "":
		return fmt.Errorf("negotiate: %w: no connectionId", ErrInvalidAnswer)
	case n.version > 0 && n.token == "":
		return fmt.Errorf("negotiate: %w: no connectionToken", ErrInvalidAnswer)
	case n.transports == nil:
		return fmt.Errorf("negotiate: %w: no availableTransports", ErrInvalidAnswer)
	}
	if n.version == 0 {
		n.token = n.id
	}
	return nil
}

func (d *dialer) askNegotiate(ctx context.Context, n *negotiation) (*answerOfServer, error) {
	u := below(n.url, "/negotiate")
	q := u.Query()
	if !q.Has("negotiateVersion") {
		appendQuery(u, "negotiateVersion=1")
	}
	if d.opts.StatefulReconnect {
		appendQuery(u, "useStatefulReconnect=true")
	}
	res, err := d.do(ctx, n, http.MethodPost, u, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, httpError("negotiate", res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	a := &answerOfServer{}
	if err := json.Unmarshal(body, a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidAnswer, err)
	}
	switch {
	case a.ProtocolVersion != "":
		return nil, ErrClassicServer
	case a.Error != "":
		return nil, &hubbub.Error{Message: a.Error}
	}
	return a, nil
}

// below is u with something behind its path, and with its query.
func below(u *url.URL, tail string) *url.URL {
	b := *u
	b.Path = strings.TrimSuffix(b.Path, "/") + tail
	b.RawPath = ""
	return &b
}

func appendQuery(u *url.URL, q string) {
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += q
}

// transportURL is where the requests of a transport go.
func (n *negotiation) transportURL() *url.URL {
	u := *n.url
	if n.token != "" {
		appendQuery(&u, "id="+url.QueryEscape(n.token))
	}
	return &u
}

// userAgent names the client in the form that servers know.
const userAgent = "Microsoft SignalR/10.0 (10.0; Go; hubbub)"

// header returns the headers of a request. What the user gives replaces what the client gives.
func (d *dialer) header(n *negotiation) http.Header {
	h := http.Header{}
	h.Set("User-Agent", userAgent)
	h.Set("X-Requested-With", "XMLHttpRequest")
	if token := n.credential(); token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	for k, v := range d.opts.Header {
		h[http.CanonicalHeaderKey(k)] = v
	}
	return h
}

// do sends one request.
func (d *dialer) do(ctx context.Context, n *negotiation, method string, u *url.URL, body []byte) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		r = strings.NewReader(string(body))
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
	if err != nil {
		return nil, err
	}
	req.Header = d.header(n)
	res, err := d.send(req)
	if errors.Is(err, io.EOF) { // a connection that broke is no proper end of anything
		err = fmt.Errorf("%s: the server closed the connection without an answer: %w", method, io.ErrUnexpectedEOF)
	}
	return res, err
}

// retry sends one request of a transport, and once more with a new token if the server answers 401.
func (d *dialer) retry(ctx context.Context, n *negotiation, send func() (*http.Response, error)) (*http.Response, error) {
	res, err := send()
	if err != nil || res.StatusCode != http.StatusUnauthorized || !d.renewable(n) {
		return res, err
	}
	res.Body.Close()
	if err := d.authorize(ctx, n); err != nil {
		return nil, err
	}
	return send()
}

func httpError(what string, res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	return &HTTPError{What: what, Status: res.StatusCode, Body: string(body)}
}
