package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

// offer is a server's answer to negotiate.
type offer struct {
	Error                string `json:"error,omitempty"`
	URL                  string `json:"url,omitempty"`
	AccessToken          string `json:"accessToken,omitempty"`
	UseStatefulReconnect bool   `json:"useStatefulReconnect,omitempty"`
	NegotiateVersion     int    `json:"negotiateVersion"`
	ConnectionID         string `json:"connectionId"`
	ConnectionToken      string `json:"connectionToken,omitempty"`
	TokenLifetimeSeconds *int   `json:"tokenLifetimeSeconds,omitempty"`
	AvailableTransports  []struct {
		Transport       string   `json:"transport"`
		TransferFormats []string `json:"transferFormats"`
	} `json:"availableTransports"`

	at *url.URL // the hub that gave it
}

func (o *offer) has(transport signalr.Transport) bool {
	for _, t := range o.AvailableTransports {
		if t.Transport == transport.String() {
			return true
		}
	}
	return false
}

// token is the secret of the connection, which version 0 does not tell from its id.
func (o *offer) token() string {
	if o.ConnectionToken != "" {
		return o.ConnectionToken
	}
	return o.ConnectionID
}

func (c *Console) negotiateCommand() *cobra.Command {
	return c.command("negotiate URL", "Ask a hub for a connection and print its answer",
		"Ask a hub for a connection and print what it offers: transports, ids, where it sends its clients. Nothing is connected.",
		"  hubbub negotiate https://example.com/chat\n  hubbub negotiate http://localhost:8080/chat --json | jq .connectionId",
		cobra.ExactArgs(1), func(s *session, _ []string) error { return s.printNegotiated() })
}

func (s *session) printOffer(o *offer, hops []string, took time.Duration) {
	s.print.say(struct {
		Event        string   `json:"event"`
		URL          string   `json:"url"`
		Redirects    []string `json:"redirects,omitempty"`
		Milliseconds float64  `json:"milliseconds"`
		Dialect      string   `json:"dialect"`
		*answer
	}{"negotiated", o.at.String(), hops, milliseconds(took.Seconds()), dialectCore, (*answer)(o)}, s.describe(o, hops, took))
}

// answer is an offer without its url, which is that of a redirection.
type answer offer

// table is names and what is said of them, in two columns.
type table struct {
	print *printer
	b     strings.Builder
}

func (s *session) table() *table { return &table{print: s.print} }

func (t *table) row(name, format string, args ...any) {
	fmt.Fprintf(&t.b, "%s %s\n", t.print.paint(cyan, fmt.Sprintf("%-20s", name)), fmt.Sprintf(format, args...))
}

// String returns the rows without the end of the last line.
func (t *table) String() string { return strings.TrimRight(t.b.String(), "\n") }

func (s *session) describe(o *offer, hops []string, took time.Duration) string {
	t := s.table()
	for _, h := range hops {
		t.row("sent on by", "%s", h)
	}
	t.row("hub", "%s", o.at)
	t.row("negotiate version", "%d", o.NegotiateVersion)
	t.row("connection id", "%s", o.ConnectionID)
	if o.ConnectionToken != "" {
		t.row("connection token", "%s", o.ConnectionToken)
	}
	for i, offered := range o.AvailableTransports {
		name := ""
		if i == 0 {
			name = "transports"
		}
		t.row(name, "%-17s %s", offered.Transport, strings.Join(offered.TransferFormats, ", "))
	}
	if len(o.AvailableTransports) == 0 {
		t.row("transports", "none")
	}
	switch {
	case o.UseStatefulReconnect:
		t.row("stateful reconnect", "yes")
	case s.flags.stateful:
		t.row("stateful reconnect", "no")
	default:
		t.row("stateful reconnect", "not asked for (--stateful)")
	}
	if o.TokenLifetimeSeconds != nil {
		t.row("token lives for", "%v", time.Duration(*o.TokenLifetimeSeconds)*time.Second)
	}
	t.row("took", "%s", human(took))
	return t.String()
}

// negotiate asks the hub, and those it sends to, with h.
func (s *session) negotiate(h *http.Client, stateful bool) (o *offer, hops []string, err error) {
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
		o, err := s.ask(ctx, h, at, token, stateful)
		if err != nil {
			return nil, nil, cause(ctx, err)
		}
		if o.URL == "" {
			return o, hops, nil
		}
		hops = append(hops, at.String())
		if at, err = url.Parse(o.URL); err != nil {
			return nil, nil, fmt.Errorf("negotiate: redirection: %w", err)
		}
		if o.AccessToken != "" {
			token = o.AccessToken
		}
	}
	return nil, nil, &Failure{CodeServer, fmt.Errorf("negotiate: sent on more than 100 times, last to %s", at)}
}

// ask sends one negotiate request.
func (s *session) ask(ctx context.Context, h *http.Client, at *url.URL, token string, stateful bool) (*offer, error) {
	u := below(at, "/negotiate", "negotiateVersion=1")
	if stateful {
		u = below(at, "/negotiate", "negotiateVersion=1&useStatefulReconnect=true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, nil)
	if err != nil {
		return nil, err
	}
	s.headers(req.Header, token)
	res, err := h.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, &signalr.HTTPError{What: "negotiate", Status: res.StatusCode, Body: shorten(string(body), 300)}
	}
	var classic struct {
		ProtocolVersion string `json:"ProtocolVersion"`
	}
	o := &offer{at: at}
	if err := json.Unmarshal(body, o); err != nil {
		return nil, fmt.Errorf("negotiate: %w: %w", signalr.ErrInvalidAnswer, err)
	}
	switch err := json.Unmarshal(body, &classic); {
	case err == nil && classic.ProtocolVersion != "":
		return nil, signalr.ErrClassicServer
	case o.Error != "":
		return nil, &hubbub.Error{Message: o.Error}
	case o.URL == "" && o.ConnectionID == "":
		return nil, fmt.Errorf("negotiate: %w: no connectionId", signalr.ErrInvalidAnswer)
	}
	return o, nil
}

// headers are those of every request that is not made by a client of the library.
func (s *session) headers(h http.Header, token string) {
	h.Set("X-Requested-With", "XMLHttpRequest")
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	for k, v := range s.opts.Header {
		h[k] = v
	}
}

// below is u with something behind its path, and with more of a query.
func below(u *url.URL, tail, query string) string {
	b := *u
	b.Path, b.RawPath = strings.TrimSuffix(b.Path, "/")+tail, ""
	if b.RawQuery != "" && query != "" {
		query = "&" + query
	}
	b.RawQuery += query
	return b.String()
}

// human is a duration for people.
func human(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
