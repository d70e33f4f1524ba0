package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (c *Console) traceCommand() *cobra.Command {
	var u until
	var say []string
	cmd := c.command("trace URL", "Print everything on the wire, decoded, in both directions",
		`Connect and print every request and every message in both directions, decoded: handshake, pings and acknowledgements too. --send
calls a method once connected. Access tokens and connection tokens are not printed. Ctrl-C ends it.`,
		"  hubbub trace http://localhost:8080/chat --send 'SendMessage ann hello'\n  hubbub trace https://example.com/hub --protocol messagepack --for 20s",
		cobra.ExactArgs(1), func(s *session, _ []string) error {
			began := s.print.now()
			s.http.Transport = tracer{s.http.Transport, s, began}
			client, err := s.dial(wiring{reconnect: u.reconnect, targets: firstWords(say), trace: func(sent bool, transport string, p []byte) {
				list := frames(p, s.opts.Protocol)
				if s.dialect == dialectClassic {
					list = classicFrames(sent, p)
				}
				for _, f := range list {
					s.traceFrame(sent, transport, f, s.print.now().Sub(began))
				}
			}})
			if err != nil {
				return err
			}
			return s.follow(s.ctx, client, u, say, nil)
		})
	cmd.Flags().DurationVar(&u.duration, "for", 0, "end after that `time`; 0s: never")
	cmd.Flags().BoolVar(&u.reconnect, "reconnect", true, "come back when the connection is lost")
	cmd.Flags().StringArrayVar(&say, "send", nil, "`CALL`, such as 'Subscribe {}', to make once connected; may be repeated")
	return cmd
}

// arrow shows the direction.
func (s *session) arrow(sent bool) string {
	if sent {
		return s.print.paint(green, "──▶")
	}
	return s.print.paint(yellow, "◀──")
}

func direction(sent bool) string {
	if sent {
		return "sent"
	}
	return "received"
}

func (s *session) traceFrame(sent bool, transport string, f frame, at time.Duration) {
	s.print.say(struct {
		Event        string          `json:"event"`
		Milliseconds float64         `json:"milliseconds"`
		Direction    string          `json:"direction"`
		Transport    string          `json:"transport"`
		Type         string          `json:"type"`
		Bytes        int             `json:"bytes"`
		Message      json.RawMessage `json:"message"`
	}{"message", milliseconds(at.Seconds()), direction(sent), transport, f.name(), f.size, f.json},
		fmt.Sprintf("%9.3f %s %s %s", at.Seconds(), s.arrow(sent), s.print.paint(cyan, fmt.Sprintf("%-16s", f.name())), f.json))
}

// tracer tells of requests.
type tracer struct {
	next  http.RoundTripper
	s     *session
	began time.Time
}

// RoundTrip implements http.RoundTripper.
func (t tracer) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	status, text := 0, ""
	if err != nil {
		text = err.Error()
	} else {
		status, text = res.StatusCode, res.Status
	}
	at := t.s.print.now().Sub(t.began)
	address := redacted(r.URL)
	t.s.print.say(struct {
		Event        string  `json:"event"`
		Milliseconds float64 `json:"milliseconds"`
		Method       string  `json:"method"`
		URL          string  `json:"url"`
		Status       int     `json:"status,omitempty"`
		Error        string  `json:"error,omitempty"`
	}{"request", milliseconds(at.Seconds()), r.Method, address, status, errorText(err)},
		fmt.Sprintf("%9.3f %s %s", at.Seconds(), t.s.print.paint(dim, "    "+r.Method+" "+address), text))
	return res, err
}

// CloseIdleConnections is for http.Client.CloseIdleConnections.
func (t tracer) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// redacted is u without secrets.
func redacted(u *url.URL) string {
	var parts []string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		if strings.EqualFold(name, "id") || strings.EqualFold(name, "connectionToken") || strings.EqualFold(name, "groupsToken") || strings.EqualFold(name, "access_token") {
			part = name + "=…"
		}
		if part != "" {
			parts = append(parts, part)
		}
	}
	text := u.Scheme + "://" + u.Host + u.Path
	if len(parts) > 0 {
		text += "?" + strings.Join(parts, "&")
	}
	return text
}
