package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
)

const testHub = "/testhub"

// negotiateChecks are about the answer to negotiate (TransportProtocols.md, "POST [endpoint-base]/negotiate request").
func negotiateChecks() []check {
	list := []check{
		{name: "negotiate/version 1", run: func(p *probe) error {
			r, err := p.do(http.MethodPost, testHub+"/negotiate?negotiateVersion=1", "")
			if err != nil {
				return err
			}
			if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" {
				return fmt.Errorf("status %d, type %q, want 200, application/json", r.status, r.header.Get("Content-Type"))
			}
			var o offer
			if err := json.Unmarshal([]byte(r.body), &o); err != nil {
				return err
			}
			if o.NegotiateVersion != 1 || o.ConnectionID == "" || o.ConnectionToken == "" || o.ConnectionID == o.ConnectionToken || o.UseStatefulReconnect {
				return fmt.Errorf("got %s, want version 1, an id, another token and no stateful reconnect", r.body)
			}
			return transportsAre(&o, "WebSockets Text Binary, ServerSentEvents Text, LongPolling Text Binary")
		}},
		{name: "negotiate/no WebSockets", run: func(p *probe) error {
			o, err := p.offered("/testhub-nowebsockets", "negotiateVersion=1")
			return all(err, transportsAre(o, "ServerSentEvents Text, LongPolling Text Binary"))
		}},
		{name: "negotiate/redirection", run: func(p *probe) error {
			c, err := p.client("/redirect?baseUrl="+p.url.Scheme+"://"+p.url.Host, signalr.AllTransports, "json", nil)
			if err != nil {
				return err
			}
			if n, err := hubbub.Invoke[int](p.ctx, c, "GetNumRedirects"); err != nil || n < 1 {
				return fmt.Errorf("GetNumRedirects: %d, %w, want at least 1", n, err)
			}
			return nil
		}},
		{name: "negotiate/refused", run: func(p *probe) error {
			_, err := p.client("/bad-negotiate", signalr.AllTransports, "json", nil)
			refused, ok := errors.AsType[*signalr.HTTPError](err)
			if !ok || refused.Status != http.StatusBadRequest || refused.Body != "Some response from server" {
				return fmt.Errorf("got %v, want status 400 and its text", err)
			}
			return nil
		}},
	}
	for _, x := range []struct{ name, path, query, want string }{
		{"version missing", testHub, "", "0"},
		{"version 0", testHub, "negotiateVersion=0", "0"},
		{"version 7", testHub, "negotiateVersion=7", "1"},
		{"version with blanks and a plus", testHub, "negotiateVersion=%20%2B1%20", "1"},
		{"query without regard to case", testHub, "NEGOTIATEVERSION=1", "1"},
		{"path without regard to case", "/TestHUB", "negotiateVersion=1", "1"},
		{"version is no number", testHub, "negotiateVersion=abc", "The client requested a non-integer protocol version."},
		{"version is empty", testHub, "negotiateVersion=", "The client requested a non-integer protocol version."},
		{"version is 1.0", testHub, "negotiateVersion=1.0", "The client requested a non-integer protocol version."},
		{"version twice", testHub, "negotiateVersion=1&negotiateVersion=1", "The client requested a non-integer protocol version."},
		{"version is negative", testHub, "negotiateVersion=-1", "The client requested version '-1', but the server does not support this version."},
		{"stateful where it is off", testHub, "negotiateVersion=1&useStatefulReconnect=true", "1"},
		{"stateful not asked for", "/testhub-stateful", "negotiateVersion=1", "1"},
		{"stateful asked for", "/testhub-stateful", "negotiateVersion=1&useStatefulReconnect=true", "1 stateful"},
		{"stateful asked for in capitals", "/testhub-stateful", "negotiateVersion=1&useStatefulReconnect=True", "1 stateful"},
		{"stateful is 1", "/testhub-stateful", "negotiateVersion=1&useStatefulReconnect=1", "1"},
	} {
		list = append(list, check{name: "negotiate/" + x.name, run: func(p *probe) error {
			o, err := p.offered(x.path, x.query)
			if err != nil {
				return err
			}
			got := fmt.Sprint(o.NegotiateVersion)
			switch {
			case o.Error != "":
				got = o.Error
			case o.ConnectionID == "" || (o.ConnectionToken != "") != (o.NegotiateVersion > 0):
				return fmt.Errorf("version %d, id %q, token %q", o.NegotiateVersion, o.ConnectionID, o.ConnectionToken)
			case o.UseStatefulReconnect:
				got += " stateful"
			}
			if got != x.want {
				return fmt.Errorf("got %q, want %q", got, x.want)
			}
			return nil
		}})
	}
	return append(list, authorizationChecks()...)
}

func transportsAre(o *offer, want string) error {
	if o == nil {
		return nil
	}
	var list []string
	for _, t := range o.AvailableTransports {
		list = append(list, strings.Join(append([]string{t.Transport}, t.TransferFormats...), " "))
	}
	if got := strings.Join(list, ", "); got != want {
		return fmt.Errorf("transports %q, want %q", got, want)
	}
	return nil
}

// authorizationChecks are about access tokens.
func authorizationChecks() []check {
	const hub = "/authorizedhub"
	refused := func(challenge string, header ...string) func(p *probe) error {
		return func(p *probe) error {
			r, err := p.do(http.MethodPost, hub+"/negotiate?negotiateVersion=1", "", header...)
			if err != nil {
				return err
			}
			if got := r.header.Get("WWW-Authenticate"); got != challenge {
				err = fmt.Errorf("WWW-Authenticate is %q, want %q", got, challenge)
			}
			return all(err, r.want(http.StatusUnauthorized, "", ""))
		}
	}
	list := []check{
		{name: "authorization/no token", run: refused("Bearer")},
		{name: "authorization/bad token", run: refused(`Bearer error="invalid_token"`, "Authorization", "Bearer x.y.z")},
		{name: "authorization/query", run: func(p *probe) error {
			token, err := p.do(http.MethodGet, "/generateJwtToken", "")
			if err != nil {
				return err
			}
			r, err := p.do(http.MethodPost, hub+"/negotiate?negotiateVersion=1&access_token="+token.body, "")
			if err == nil && r.status != http.StatusOK {
				err = fmt.Errorf("status %d, want 200", r.status)
			}
			return err
		}},
	}
	for _, t := range transports {
		list = append(list, check{name: "authorization/" + t.String(), run: func(p *probe) error {
			token, err := p.do(http.MethodGet, "/generateJwtToken", "")
			if err != nil {
				return err
			}
			c, err := p.client(hub, t, "json", func(_ *signalr.Client, o *signalr.ClientOptions) {
				o.Header = http.Header{"Authorization": {"Bearer " + token.body}}
			})
			if err != nil {
				return err
			}
			return echoes(p, c, "let in")
		}})
	}
	return list
}

var transports = []signalr.Transport{signalr.WebSockets, signalr.ServerSentEvents, signalr.LongPolling}

// echoes calls Echo.
func echoes(p *probe, c hubbub.Invoker, text string) error {
	got, err := hubbub.Invoke[string](p.ctx, c, "Echo", text)
	if err == nil && got != text {
		err = fmt.Errorf("echo of %q is %q", shorten(text, 40), shorten(got, 40))
	}
	return err
}
