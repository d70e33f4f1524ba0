package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

// classicOffer is a classic server's answer to negotiate. Times are seconds.
type classicOffer struct {
	URL                     string   `json:"Url"`
	ConnectionToken         string   `json:"ConnectionToken"`
	ConnectionID            string   `json:"ConnectionId"`
	KeepAliveTimeout        *float64 `json:"KeepAliveTimeout"`
	DisconnectTimeout       float64  `json:"DisconnectTimeout"`
	ConnectionTimeout       float64  `json:"ConnectionTimeout"`
	TryWebSockets           bool     `json:"TryWebSockets"`
	ProtocolVersion         string   `json:"ProtocolVersion"`
	TransportConnectTimeout float64  `json:"TransportConnectTimeout"`
	LongPollDelay           float64  `json:"LongPollDelay"`
	RedirectURL             string   `json:"RedirectUrl,omitempty"`
	AccessToken             string   `json:"AccessToken,omitempty"`
	Error                   string   `json:"Error,omitempty"`

	at *url.URL // who gave it
}

// probe negotiates in the dialect that is wanted, or in the one that the server speaks, which is known then.
func (s *session) probe() error {
	if s.flags.dialect != dialectClassic {
		_, _, err := s.negotiate(s.http, s.flags.stateful)
		if err == nil || s.flags.dialect == dialectCore || !errors.Is(err, signalr.ErrClassicServer) {
			return s.nearby(err)
		}
		s.flags.dialect = dialectClassic
	}
	_, _, err := s.negotiateClassic()
	return s.nearby(err)
}

// printNegotiated negotiates and prints the answer.
func (s *session) printNegotiated() error {
	began := time.Now()
	if s.flags.dialect != dialectClassic {
		o, hops, err := s.negotiate(s.http, s.flags.stateful)
		if err == nil {
			s.printOffer(o, hops, time.Since(began))
			return nil
		}
		if s.flags.dialect == dialectCore || !errors.Is(err, signalr.ErrClassicServer) {
			return s.nearby(err)
		}
		began = time.Now()
	}
	o, hops, err := s.negotiateClassic()
	if err != nil {
		return s.nearby(err)
	}
	took := time.Since(began)
	s.print.say(struct {
		Event        string   `json:"event"`
		URL          string   `json:"url"`
		Redirects    []string `json:"redirects,omitempty"`
		Milliseconds float64  `json:"milliseconds"`
		Dialect      string   `json:"dialect"`
		*classicOffer
	}{"negotiated", o.at.String(), hops, milliseconds(took.Seconds()), dialectClassic, o}, s.describeClassic(o, hops, took))
	return nil
}

func (s *session) describeClassic(o *classicOffer, hops []string, took time.Duration) string {
	t := s.table()
	for _, h := range hops {
		t.row("sent on by", "%s", h)
	}
	t.row("classic server", "%s", o.at)
	t.row("protocol version", "%s", o.ProtocolVersion)
	t.row("connection id", "%s", o.ConnectionID)
	t.row("connection token", "%s", o.ConnectionToken)
	webSockets := "no"
	if o.TryWebSockets {
		webSockets = "yes"
	}
	t.row("WebSockets", "%s", webSockets)
	keepAlive := "off"
	if o.KeepAliveTimeout != nil {
		keepAlive = seconds(*o.KeepAliveTimeout)
	}
	t.row("keep-alive timeout", "%s", keepAlive)
	t.row("disconnect timeout", "%s", seconds(o.DisconnectTimeout))
	t.row("connection timeout", "%s", seconds(o.ConnectionTimeout))
	t.row("transport timeout", "%s", seconds(o.TransportConnectTimeout))
	t.row("took", "%s", human(took))
	return t.String()
}

func seconds(s float64) string { return time.Duration(s * float64(time.Second)).String() }

// negotiateClassic asks a classic server, and those it sends to.
func (s *session) negotiateClassic() (o *classicOffer, hops []string, err error) {
	ctx, cancel := s.limited()
	defer cancel()
	token := ""
	if s.opts.Token != nil {
		if token, err = s.opts.Token(ctx); err != nil {
			return nil, nil, err
		}
	}
	at := s.url
	for range 100 {
		o, err := s.askClassic(ctx, at, token)
		switch {
		case err != nil:
			return nil, nil, cause(ctx, err)
		case o.Error != "":
			return nil, nil, fmt.Errorf("negotiate: %w", &classic.ServerError{Message: o.Error})
		case o.RedirectURL == "":
			return o, hops, nil
		}
		hops = append(hops, at.String())
		if at, err = at.Parse(o.RedirectURL); err != nil {
			return nil, nil, fmt.Errorf("negotiate: redirection: %w", err)
		}
		if o.AccessToken != "" {
			token = o.AccessToken
		}
	}
	return nil, nil, &Failure{CodeServer, fmt.Errorf("negotiate: sent on more than 100 times, last to %s", at)}
}

// askClassic sends one negotiate request.
func (s *session) askClassic(ctx context.Context, at *url.URL, token string) (*classicOffer, error) {
	query := url.Values{"clientProtocol": {"2.1"}}
	if s.hubs = s.flags.hubs; len(s.hubs) > 0 {
		query.Set("connectionData", connectionData(s.hubs))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, below(at, "/negotiate", query.Encode()), nil)
	if err != nil {
		return nil, err
	}
	s.headers(req.Header, token)
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusMethodNotAllowed:
		return nil, classic.ErrCoreServer
	case res.StatusCode != http.StatusOK:
		return nil, &classic.HTTPError{What: "negotiate", Status: res.StatusCode, Body: shorten(string(body), 300)}
	}
	var core struct {
		AvailableTransports json.RawMessage `json:"availableTransports"`
	}
	o := &classicOffer{at: at}
	if err := json.Unmarshal(body, o); err != nil {
		return nil, fmt.Errorf("negotiate: %w: %w", signalr.ErrInvalidAnswer, err)
	}
	if json.Unmarshal(body, &core) == nil && core.AvailableTransports != nil {
		return nil, classic.ErrCoreServer
	}
	if o.ProtocolVersion == "" {
		return nil, fmt.Errorf("negotiate: %w: no ProtocolVersion", signalr.ErrInvalidAnswer)
	}
	return o, nil
}

// connectionData names hubs as clients do.
func connectionData(hubs []string) string {
	type hub struct{ Name string }
	list := make([]hub, len(hubs))
	for i, h := range hubs {
		list[i] = hub{h}
	}
	return string(compact(list))
}

// nearby is err, unless that is status 404 and a classic server is where most have theirs, and clients for .NET look by themselves.
func (s *session) nearby(err error) error {
	core, isCore := errors.AsType[*signalr.HTTPError](err)
	old, isOld := errors.AsType[*classic.HTTPError](err)
	if s.flags.dialect == dialectCore || !(isCore && core.Status == http.StatusNotFound || isOld && old.Status == http.StatusNotFound) {
		return err
	}
	ctx, cancel := s.limited()
	defer cancel()
	u := *s.url
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+"/signalr", ""
	if _, failed := s.askClassic(ctx, &u, ""); failed != nil {
		return err
	}
	return &Failure{CodeAddress, fmt.Errorf("there is no SignalR hub at %s, but a classic server at %s", s.url, &u)}
}
