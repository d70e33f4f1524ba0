package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub/signalr"
)

// finding is what one check of doctor has found.
type finding struct {
	Event string `json:"event"`
	Check string `json:"check"`
	State string `json:"state"` // ok, problem, or note: what is worth knowing, or was not checked
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

func ok(format string, args ...any) finding {
	return finding{State: "ok", Text: fmt.Sprintf(format, args...)}
}

func note(format string, args ...any) finding {
	return finding{State: "note", Text: fmt.Sprintf(format, args...)}
}

func problem(fix, format string, args ...any) finding {
	return finding{State: "problem", Fix: fix, Text: fmt.Sprintf(format, args...)}
}

// doctor examines one hub.
type doctor struct {
	*session
	origin  string
	idle    time.Duration
	largest int
	tries   int
	offer   *offer
}

func (c *Console) doctorCommand() *cobra.Command {
	d := &doctor{}
	cmd := c.command("doctor URL", "Find out why clients have trouble with a hub, and what to fix",
		`Examine a hub and what stands before it, as a browser, a .NET client and a slow proxy would find it: every transport, CORS with the headers
of the JavaScript client, event streams that a proxy holds back, quiet connections that are cut, requests that reach another
server, the token in the query, the largest message, stateful reconnect. Each check says ok, problem with what to fix, or note.
It calls no method that a hub could have. --idle bounds how long it stays quiet.`,
		"  hubbub doctor https://example.com/chat --origin https://app.example.com\n  hubbub doctor http://localhost:8080/chat --idle 0s --json",
		cobra.ExactArgs(1), func(s *session, _ []string) error {
			d.session = s
			return d.examine()
		})
	cmd.Flags().StringVar(&d.origin, "origin", "", "`origin` of the pages that must be able to connect, such as https://app.example.com")
	cmd.Flags().DurationVar(&d.idle, "idle", 20*time.Second, "how long a connection stays quiet, to see whether it is cut; 0s: no check")
	cmd.Flags().IntVar(&d.largest, "largest", 1<<20, "largest message to try, in `bytes`")
	cmd.Flags().IntVar(&d.tries, "tries", 8, "connections to make to see whether their requests reach the same server")
	return cmd
}

func (d *doctor) examine() error {
	var err error
	began := time.Now()
	if d.offer, _, err = d.negotiate(d.http, false); err != nil {
		return err // nothing else can be examined
	}
	problems, notes := 0, 0
	for _, check := range []struct {
		name string
		run  func() finding
	}{
		{"negotiate", func() finding {
			return ok("version %d, %s offered, %s", d.offer.NegotiateVersion, plural(len(d.offer.AvailableTransports), "transport"), human(time.Since(began)))
		}},
		{"websockets", func() finding { return d.transport(signalr.WebSockets) }},
		{"sse", func() finding { return d.transport(signalr.ServerSentEvents) }},
		{"longpolling", func() finding { return d.transport(signalr.LongPolling) }},
		{"messagepack", d.messagePack},
		{"cors", d.cors},
		{"sse buffering", d.buffering},
		{"stickiness", d.stickiness},
		{"token in query", d.tokenInQuery},
		{"largest message", d.largestMessage},
		{"stateful reconnect", d.stateful},
		{"idle", d.quiet},
	} {
		if d.ctx.Err() != nil {
			return cause(d.ctx, d.ctx.Err())
		}
		f := check.run()
		f.Event, f.Check = "check", check.name
		d.report(f)
		switch f.State {
		case "problem":
			problems++
		case "note":
			notes++
		}
	}
	text := fmt.Sprintf("%s, %s", plural(problems, "problem"), plural(notes, "note"))
	d.print.note(struct {
		Event    string `json:"event"`
		Problems int    `json:"problems"`
		Notes    int    `json:"notes"`
	}{"summary", problems, notes}, text)
	if problems > 0 {
		return &Failure{CodeProblems, fmt.Errorf("%s with %s", plural(problems, "problem"), d.url)}
	}
	return nil
}

func (d *doctor) report(f finding) {
	colour := map[string]string{"ok": green, "problem": red, "note": yellow}[f.State]
	text := fmt.Sprintf("%s %-19s %s", d.print.paint(colour, fmt.Sprintf("%-8s", f.State)), f.Check, f.Text)
	if f.Fix != "" {
		text += fmt.Sprintf("\n%29s%s %s", "", d.print.paint(dim, "fix:"), f.Fix)
	}
	d.print.say(f, text)
}

// connectWith opens a client that may only use one transport.
func (d *doctor) connectWith(t signalr.Transport, setup func(o *signalr.ClientOptions)) (*signalr.Client, time.Duration, error) {
	began := time.Now()
	c, err := d.open(func(o *signalr.ClientOptions) {
		o.Transports, o.SkipNegotiation = t, false
		o.HandshakeTimeout = min(d.flags.timeout, 10*time.Second)
		if setup != nil {
			setup(o)
		}
	})
	return c, time.Since(began), err
}

// proxyFix says by transport what a proxy must let through.
var proxyFix = map[signalr.Transport]string{
	signalr.WebSockets: "let Upgrade and Connection through: in nginx proxy_http_version 1.1 and proxy_set_header Upgrade $http_upgrade; " +
		"a WebSocket must reach the server that answered negotiate",
	signalr.ServerSentEvents: "let the answer to GET through as it comes, and POST to the same address",
	signalr.LongPolling:      "let a GET wait for 100 s, and POST and DELETE to the same address",
}

func (d *doctor) transport(t signalr.Transport) finding {
	if !d.offer.has(t) {
		return note("the server does not offer it")
	}
	c, took, err := d.connectWith(t, func(o *signalr.ClientOptions) {
		if t == signalr.ServerSentEvents {
			o.Protocol = "json" // event streams carry text only
		}
	})
	if err != nil {
		return problem(proxyFix[t], "offered, but it does not work: %s", d.reason(err))
	}
	defer c.Close()
	return ok("connected in %s", human(took))
}

// reason is an error of a client in one line.
func (d *doctor) reason(err error) string {
	if transports, ok := errors.AsType[*signalr.TransportsError](err); ok {
		for _, f := range transports.Failed {
			if !strings.Contains(f.Err.Error(), "disabled by the client") {
				err = f.Err
			}
		}
	}
	return shorten(strings.Join(strings.Fields(d.classify(err).Error()), " "), 200)
}

func (d *doctor) messagePack() finding {
	c, took, err := d.connectWith(signalr.AllTransports, func(o *signalr.ClientOptions) { o.Protocol = "messagepack" })
	if err != nil {
		return note("not spoken: %s", d.reason(err))
	}
	defer c.Close()
	return ok("spoken, connected in %s", human(took))
}

func (d *doctor) stateful() finding {
	got, _, err := d.negotiate(d.http, true)
	switch {
	case err != nil:
		return problem("look at the server's log", "negotiating with it: %s", d.reason(err))
	case got.UseStatefulReconnect:
		return ok("offered: a WebSocket that is cut loses nothing")
	}
	return note("not offered: with a connection its messages are lost (AllowStatefulReconnects turns it on)")
}

// corsHeaders are what the JavaScript client sends across origins.
var corsHeaders = []string{"authorization", "content-type", "x-requested-with", "x-signalr-user-agent"}

func (d *doctor) cors() finding {
	origin, asked := d.origin, d.origin != ""
	if !asked {
		origin = "https://another-origin.example"
	}
	wrong, err := d.preflight(origin)
	switch {
	case err != nil:
		return problem("answer OPTIONS", "preflight: %s", d.reason(err))
	case len(wrong) == 0 && asked:
		return ok("pages of %s can connect, with credentials", origin)
	case len(wrong) == 0:
		return note("pages of any origin can connect, with credentials: is that meant?")
	case asked:
		return problem("allow that origin by name (not *), with credentials, the method POST and the headers "+strings.Join(corsHeaders, ", "),
			"pages of %s cannot connect: %s", origin, strings.Join(wrong, "; "))
	}
	return note("pages of other origins cannot connect, which is right if there are none; --origin checks yours")
}

// preflight asks as a browser does before it negotiates, and returns what keeps it from going on.
func (d *doctor) preflight(origin string) (wrong []string, err error) {
	ctx, cancel := d.limited()
	defer cancel()
	ask := func(method string, set func(h http.Header)) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, below(d.url, "/negotiate", "negotiateVersion=1"), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Origin", origin)
		set(req.Header)
		res, err := d.http.Do(req)
		if err != nil {
			return nil, cause(ctx, err)
		}
		return res, res.Body.Close()
	}
	res, err := ask(http.MethodOptions, func(h http.Header) {
		h.Set("Access-Control-Request-Method", "POST")
		h.Set("Access-Control-Request-Headers", strings.Join(corsHeaders, ","))
	})
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		wrong = append(wrong, fmt.Sprintf("OPTIONS is answered with status %d", res.StatusCode))
	}
	wrong = append(wrong, judgeOrigin(res.Header, origin)...)
	if len(wrong) > 0 {
		return wrong, nil
	}
	allowed := strings.ToLower(strings.Join(res.Header.Values("Access-Control-Allow-Headers"), ","))
	for _, h := range corsHeaders {
		if !strings.Contains(allowed, h) {
			wrong = append(wrong, "the header "+h+" is not allowed")
		}
	}
	if m := res.Header.Get("Access-Control-Allow-Methods"); m != "" && !strings.Contains(strings.ToUpper(m), "POST") {
		wrong = append(wrong, "the method POST is not allowed")
	}
	token := ""
	if d.opts.Token != nil {
		if token, err = d.opts.Token(ctx); err != nil {
			return nil, err
		}
	}
	res, err = ask(http.MethodPost, func(h http.Header) { d.headers(h, token) })
	if err != nil {
		return nil, err
	}
	for _, w := range judgeOrigin(res.Header, origin) {
		wrong = append(wrong, "behind a good preflight, in the answer to POST: "+w)
	}
	return wrong, nil
}

func judgeOrigin(h http.Header, origin string) (wrong []string) {
	switch got := h.Get("Access-Control-Allow-Origin"); {
	case got == "":
		return []string{"there is no Access-Control-Allow-Origin"}
	case got == "*":
		return []string{"Access-Control-Allow-Origin is *, which browsers refuse with credentials"}
	case got != origin:
		return []string{"Access-Control-Allow-Origin is " + got}
	}
	if h.Get("Access-Control-Allow-Credentials") != "true" {
		return []string{"Access-Control-Allow-Credentials is not true"}
	}
	return nil
}

// errQuiet ends a wait that was to be quiet.
var errQuiet = errors.New("quiet")

// quiet holds a WebSocket and says nothing but the first ping.
func (d *doctor) quiet() finding {
	if d.idle <= 0 {
		return note("not checked (--idle)")
	}
	began := time.Now()
	heard := make(chan time.Duration, 16)
	c, _, err := d.connectWith(signalr.AllTransports, func(o *signalr.ClientOptions) {
		o.KeepAliveInterval, o.ServerTimeout = d.idle+time.Hour, d.idle+time.Hour
		o.Trace = func(sent bool, _ signalr.Transport, p []byte) {
			for _, f := range frames(p, d.opts.Protocol) {
				if !sent && f.name() == "Ping" {
					select {
					case heard <- time.Since(began):
					default:
					}
				}
			}
		}
	})
	if err != nil {
		return problem("look at the transports above", "cannot connect: %s", d.reason(err))
	}
	defer c.Close()
	over := d.session.transport()
	select { // what earlier checks have closed
	case <-d.lost:
	default:
	}
	ctx, cancel := context.WithTimeoutCause(d.ctx, d.idle, errQuiet)
	defer cancel()
	first := time.Duration(0)
	for {
		select {
		case err := <-d.lost:
			return problem("raise the idle timeout of what stands between to more than 30 s (nginx: proxy_read_timeout 100s); the server pings every 15 s",
				"a quiet connection over %s was cut after %s: %s", over, human(time.Since(began)), d.reason(err))
		case at := <-heard:
			if first == 0 {
				first = at
			}
		case <-ctx.Done():
			switch {
			case first > 0:
				return ok("a quiet connection over %s holds for %s; the server pinged after %s", over, human(d.idle), human(first))
			case over != signalr.LongPolling.String() && d.idle > 17*time.Second:
				return note("a quiet connection over %s holds for %s, but the server has not pinged; clients give up after 30 s", over, human(d.idle))
			}
			return ok("a quiet connection over %s holds for %s", over, human(d.idle))
		}
	}
}
