package main

import (
	"strings"
	"testing"
)

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"unknown key", "listen: 127.0.0.1:0\nnotify:\n  maxDevice: 3\n", ":3:3: notify.maxDevice: unknown key, did you mean maxDevices?"},
		{"wrong type", "notify:\n  maxDevices: many\n", `:2:15: notify.maxDevices: the text "many", want a whole number`},
		{"bad duration", "drain:\n  timeout: 1 minute\n", `:2:12: drain.timeout: "1 minute", want a duration such as 30s or 5m`},
		{"duration without a unit", "drain:\n  timeout: 30\n", `:2:12: drain.timeout: "30", want a duration such as 30s or 5m`},
		{"negative", "notify:\n  maxDevices: -1\n", `:2:15: notify.maxDevices: is -1, want 0 or more`},
		{"no time", "hub:\n  keepAliveInterval: 0s\n", `:2:22: hub.keepAliveInterval: is 0s, want more than 0s`},
		{"address without a port", "listen: localhost\n", `:1:9: listen: "localhost", want HOST:PORT`},
		{"port too high", "listen: localhost:70000\n", `:1:9: listen: "localhost:70000" has no such port, want a number up to 65535`},
		{"other database", "database: mysql://root:hush@db\n", `:1:11: database: want postgres://… or nothing for SQLite`},
		{"log level", "log:\n  level: loud\n", `:2:10: log.level: "loud", want debug, info, warn or error`},
		{"log format", "log:\n  format: xml\n", `:2:11: log.format: "xml", want one of auto, text, json`},
		{"half of TLS", "tls:\n  certFile: x.pem\n", `:2:13: tls.certFile: certFile and keyFile belong together, want both or none`},
		{"no certificate", "tls:\n  certFile: /nonexistent/x\n  keyFile: /nonexistent/y\n", `:2:13: tls.certFile: certificate: stat /nonexistent/x: no such file or directory`},
		{"wildcard origin", "trustedOrigins: ['*']\n", `:1:17: trustedOrigins: origin "*" together with credentials, want exact origins or NoCredentials`},
		{"origin with a path", "trustedOrigins: ['https://a.example/x']\n", `:1:17: trustedOrigins: origin "https://a.example/x": more than scheme, host and port`},
		{"transport", "hub:\n  transports: [webSockets, pigeon]\n", `:2:15: hub.transports: "pigeon", want webSockets, serverSentEvents or longPolling`},
		{"no transport", "hub:\n  transports: []\n", `:2:15: hub.transports: is empty, want at least one transport`},
		{"two sources of keys", "auth:\n  jwksURL: https://a.example/keys\n  keyFile: x\n", `:2:12: auth.jwksURL: is set beside auth.keyFile, want one source of keys`},
		{"algorithm", "auth:\n  issuer: https://a.example\n  algorithms: [none]\n", `:3:15: auth.algorithms: algorithm "none", want one of`},
		{"keys without TLS", "auth:\n  jwksURL: http://a.example/keys\n", `:2:12: auth.jwksURL: `},
		{"password in the clear", "notify:\n  users:\n  - userName: ann\n    passwordHash: hush\n", `:3:3: notify.users: passwordHash of user "ann", want a bcrypt hash: hubbub hash makes one`},
		{"path without a slash", "catalog:\n  path: Centro\n", `:2:9: catalog.path: "Centro", want a path such as /Centro/signalr`},
		{"path with a pattern", "catalog:\n  path: /x/{y}\n", `:2:9: catalog.path: "/x/{y}", want a path such as /Centro/signalr`},
		{"path of others", "catalog:\n  path: /API/x\n", `:2:9: catalog.path: "/API/x" is taken, want another path such as /Centro/signalr`},
		{"path of the Core clients", "catalog:\n  path: /centro\n", `:2:9: catalog.path: "/centro" is taken, want another path such as /Centro/signalr`},
		{"no token type", "catalog:\n  tokenTypes: []\n", `:2:15: catalog.tokenTypes: is empty, want at least one type, such as Bearer`},
		{"token type of two words", "catalog:\n  tokenTypes: [My Token]\n", `:2:15: catalog.tokenTypes: "My Token", want one word such as Bearer`},
		{"classic transport", "catalog:\n  classic:\n    transports: [fax]\n", `:3:17: catalog.classic.transports: "fax", want webSockets, serverSentEvents, foreverFrame or longPolling`},
		{"no classic transport", "catalog:\n  classic:\n    transports: []\n", `:3:17: catalog.classic.transports: is empty, want at least one transport`},
		{"short time-out", "catalog:\n  classic:\n    disconnectTimeout: 5s\n", `:3:24: catalog.classic.disconnectTimeout: is 5s, want 6s or more`},
		{"long keep-alive", "catalog:\n  classic:\n    keepAlive: 11s\n", `:3:16: catalog.classic.keepAlive: is 11s, want 2s to a third of disconnectTimeout`},
		{"slow consumer", "catalog:\n  classic:\n    slowConsumer: wait\n", `:3:19: catalog.classic.slowConsumer: "wait", want one of close, dropOldest`},
		{"no subscriptions", "catalog:\n  maxSubscriptionsPerConnection: 0\n", `:2:34: catalog.maxSubscriptionsPerConnection: is 0, want 1 or more`},
		{"one service of none", "economy:\n  only: shop\n  broker:\n    url: nats://127.0.0.1:4222\n", `:2:9: economy.only: "shop", want one of catalog, inventory, identity, trading`},
		{"address with a path", "economy:\n  url: https://play.example.com/shop\n", `:2:8: economy.url: "https://play.example.com/shop" has a path, want http://host or https://host`},
		{"issuer with a slash", "economy:\n  issuer:\n    url: https://login.example.com/\n", `:3:10: economy.issuer.url: "https://login.example.com/", want http://host or https://host without a slash at its end`},
		{"foreign issuer of nowhere", "economy:\n  issuer:\n    url: ''\n    foreign: true\n", `:3:10: economy.issuer.url: is empty, want the address of the foreign issuer`},
		{"portal of nowhere", "economy:\n  frontends: [play]\n", `:2:14: economy.frontends: entry 1 is "play", want http://host or https://host`},
		{"two replicas", "economy:\n  broker:\n    replicas: 2\n", `:3:15: economy.broker.replicas: is 2, want 1, 3 or 5`},
		{"no time for a purchase", "economy:\n  deadline: 0s\n", `:2:13: economy.deadline: is 0s, want more than 0s`},
		{"much to begin with", "economy:\n  startingGil: 1000001\n", `:2:16: economy.startingGil: is 1000001, want 0 to 1000000`},
		{"cost of nothing", "economy:\n  passwordCost: 3\n", `:2:17: economy.passwordCost: is 3, want 4 to 20`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "hubbub.yaml", c.text)
			code, out, errs := run(t, nil, "config", "check", path)
			if c.want == "" {
				if code != exitOK || out != "configuration is good\n" {
					t.Errorf("exit code %d, %q, %q; want 0 and that it is good", code, out, errs)
				}
				return
			}
			if want := "hubbub: " + path + c.want; code != exitConfig || !strings.HasPrefix(errs, want) {
				t.Errorf("exit code %d, %s\nwant 3 and %s", code, errs, want)
			}
			if strings.Contains(errs, "hush") {
				t.Errorf("a secret in %s", errs)
			}
			if code, _, _ := run(t, nil, "serve", "--config", path, "--data", t.TempDir()); code != exitConfig {
				t.Errorf("serve: exit code %d, want 3", code)
			}
		})
	}
	if code, _, errs := run(t, nil, "config", "check", "/nonexistent/x.yaml"); code != exitConfig || !strings.Contains(errs, "no such file") {
		t.Errorf("no file: exit code %d, %s; want 3 and that it is not there", code, errs)
	}
}

// A flag wins over a variable, a variable over the file, the file over the default.
func TestConfigOrder(t *testing.T) {
	t.Parallel()
	path := file(t, "hubbub.yaml", "listen: 127.0.0.1:1\nlog: {level: warn}\nnotify: {maxDevices: 1}\n")
	for _, c := range []struct {
		name    string
		environ []string
		args    []string
		want    []string
	}{
		{"defaults", nil, nil, []string{"\nlisten: \"127.0.0.1:8080\"\n", "\n  maxDevices: 0\n", "\n  level: \"info\"\n"}},
		{"file", nil, []string{"--config", path}, []string{"\n# HUBBUB_LISTEN, from " + path + ":1:9\nlisten: \"127.0.0.1:1\"\n", "\n  maxDevices: 1\n"}},
		{"file by variable", []string{"HUBBUB_CONFIG=" + path}, nil, []string{"\nlisten: \"127.0.0.1:1\"\n"}},
		{"variable", []string{"HUBBUB_LISTEN=127.0.0.1:2", "HUBBUB_NOTIFY_MAX_DEVICES=2"}, []string{"--config", path},
			[]string{"from environment variable HUBBUB_LISTEN\nlisten: \"127.0.0.1:2\"\n", "\n  maxDevices: 2\n", "\n  level: \"warn\"\n"}},
		{"flag", []string{"HUBBUB_LISTEN=127.0.0.1:2"}, []string{"--config", path, "--listen", "127.0.0.1:3", "--log-level", "error"},
			[]string{"from flag --listen\nlisten: \"127.0.0.1:3\"\n", "\n  level: \"error\"\n"}},
		{"secrets", []string{"HUBBUB_DATABASE=postgres://u:hush@db/x", "HUBBUB_DEMO_PASSWORD=hush"}, nil,
			[]string{"\ndatabase: \"postgres://u:xxxxx@db/x\"\n", "\n  password: \"(secret)\"\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := "\n" + must(t, c.environ, append([]string{"config", "print"}, c.args...)...)
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
			if strings.Contains(out, "hush") {
				t.Errorf("a secret in\n%s", out)
			}
		})
	}
	code, _, errs := run(t, []string{"HUBBUB_NOTIFY_MAX_DEVICES=two"}, "config", "check")
	if want := "hubbub: environment variable HUBBUB_NOTIFY_MAX_DEVICES: notify.maxDevices: \"two\", want a whole number\n"; code != exitConfig || errs != want {
		t.Errorf("bad variable: exit code %d, %q; want 3 and %q", code, errs, want)
	}
	if _, _, errs := run(t, []string{"HUBBUB_NOTIFI_X=1"}, "config", "check"); !strings.Contains(errs, "HUBBUB_NOTIFI_X is no setting") {
		t.Errorf("unknown variable: %q, want that it is no setting", errs)
	}
}
