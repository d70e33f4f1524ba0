package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/cmd/hubbub/settings"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// Config is everything that can be set. Each field is a key of the file, and an environment variable.
type Config struct {
	Listen         string   `yaml:"listen" doc:"Address to listen on, HOST:PORT; port 0 takes a free one."`
	Data           string   `yaml:"data" doc:"Folder of the signing keys and, with SQLite, of the state."`
	Database       string   `yaml:"database" secret:"url" doc:"postgres://… keeps the state in PostgreSQL. Empty: SQLite files in the data folder."`
	KeyFile        string   `yaml:"keyFile" doc:"The ring of signing keys. Empty: keys.json in the data folder."`
	TrustedOrigins []string `yaml:"trustedOrigins" doc:"Origins whose pages may use this server from a browser, such as https://app.example.com. Its own is always one. Empty, with development keys: every port of localhost and 127.0.0.1."`
	Page           bool     `yaml:"page" doc:"Serve the page at / and what it shows at /status."`

	Log struct {
		Level  string `yaml:"level" doc:"Least level to log: debug, info, warn or error. debug has a line for every request."`
		Format string `yaml:"format" doc:"text, json, or auto: text on a terminal, json elsewhere."`
	} `yaml:"log"`

	TLS struct {
		CertFile string `yaml:"certFile" doc:"Certificate chain in PEM. It is read again when the file changes."`
		KeyFile  string `yaml:"keyFile" doc:"Private key in PEM of the certificate."`
	} `yaml:"tls"`

	Demo struct {
		Enabled  bool   `yaml:"enabled" doc:"Have a user for trying out. There is one with development keys only, unless a user of that name is configured."`
		User     string `yaml:"user" doc:"Name of that user."`
		Password string `yaml:"password" secret:"true" doc:"Its password. Empty: a random one, made once and kept in demo.json in the data folder."`
	} `yaml:"demo"`

	Tracing TracingConfig `yaml:"tracing"`

	Auth  AuthConfig  `yaml:"auth"`
	Hub   HubConfig   `yaml:"hub"`
	Drain DrainConfig `yaml:"drain"`

	Notify  NotifyConfig  `yaml:"notify"`
	Catalog CatalogConfig `yaml:"catalog"`
	Relay   RelayConfig   `yaml:"relay"`
	Gateway GatewayConfig `yaml:"gateway"`
	Economy EconomyConfig `yaml:"economy"`
}

// AuthConfig says which tokens of others are good, beside those that this server issues.
type AuthConfig struct {
	Issuer            string        `yaml:"issuer" doc:"Issuer whose tokens are accepted too. Without jwksURL and keyFile its keys are found by OpenID Connect discovery."`
	Audience          []string      `yaml:"audience" doc:"Good values of the claim aud in those tokens. Empty: any."`
	JWKSURL           string        `yaml:"jwksURL" doc:"Address of the issuer's JWK set."`
	KeyFile           string        `yaml:"keyFile" doc:"File with the issuer's key: PEM, DER, a JWK set, or else a secret."`
	AllowHTTP         bool          `yaml:"allowHTTP" doc:"Fetch keys without TLS from other hosts than this one."`
	Algorithms        []string      `yaml:"algorithms" doc:"Algorithms to accept, such as RS256. Empty: all that the key is good for."`
	UserClaims        []string      `yaml:"userClaims" doc:"Claims that may hold the user id, the first that is there wins. Empty: sub, nameid."`
	ClockSkew         time.Duration `yaml:"clockSkew" doc:"How long a token of the issuer is still good after its end."`
	CloseOnExpiration bool          `yaml:"closeOnExpiration" doc:"End a connection when its token expires."`
	Refresh           bool          `yaml:"refresh" doc:"Let connected clients replace their token (POST to the hub's /refresh)."`
}

// HubConfig is for the hubs of all systems.
type HubConfig struct {
	DetailedErrors              bool          `yaml:"detailedErrors" doc:"Tell clients the text of every error. For development."`
	KeepAliveInterval           time.Duration `yaml:"keepAliveInterval" doc:"Time between the server's pings."`
	ClientTimeoutInterval       time.Duration `yaml:"clientTimeoutInterval" doc:"How long a client may be silent."`
	HandshakeTimeout            time.Duration `yaml:"handshakeTimeout" doc:"How long a client may take for its handshake."`
	MaximumReceiveMessageSize   int           `yaml:"maximumReceiveMessageSize" doc:"Longest message of a client, in bytes. 0: as the system wants it, 1 MiB for notifications."`
	MaximumParallelInvocations  int           `yaml:"maximumParallelInvocations" doc:"Methods of one connection that run at a time."`
	MaximumQueuedBytes          int           `yaml:"maximumQueuedBytes" doc:"What may wait for one client, in bytes. Past that it is disconnected."`
	StatefulReconnect           bool          `yaml:"statefulReconnect" doc:"Let a WebSocket that was cut go on where it stopped."`
	StatefulReconnectBufferSize int           `yaml:"statefulReconnectBufferSize" doc:"What is kept for a client that may come back, in bytes."`
	Transports                  []string      `yaml:"transports" doc:"Transports that clients may use."`
}

// DrainConfig says how the server stops.
type DrainConfig struct {
	Delay     time.Duration `yaml:"delay" doc:"Time between turning not ready and closing connections, for load balancers to notice."`
	Timeout   time.Duration `yaml:"timeout" doc:"Time for closing all connections. What is left then is cut."`
	PerSecond int           `yaml:"perSecond" doc:"Connections asked to come back elsewhere in a second. 0: all within half of the timeout, 100 at least."`
}

// defaultConfig is development mode: everything works, for this machine only.
func defaultConfig() Config {
	hub := hubbub.NewHub("", nil).Options()
	c := Config{Listen: "127.0.0.1:8080", Data: "./hubbub-data", Page: true}
	c.Log.Level, c.Log.Format = "info", "auto"
	c.Tracing.Ratio = 1
	c.Demo.Enabled, c.Demo.User = true, "demo"
	c.Auth.ClockSkew, c.Auth.Refresh = 5*time.Minute, true
	c.Hub = HubConfig{
		KeepAliveInterval:           hub.KeepAliveInterval,
		ClientTimeoutInterval:       hub.ClientTimeoutInterval,
		HandshakeTimeout:            hub.HandshakeTimeout,
		MaximumParallelInvocations:  hub.MaximumParallelInvocationsPerClient,
		MaximumQueuedBytes:          hub.MaximumQueuedBytes,
		StatefulReconnect:           true,
		StatefulReconnectBufferSize: hub.StatefulReconnectBufferSize,
		Transports:                  []string{"webSockets", "serverSentEvents", "longPolling"},
	}
	c.Drain.Timeout = 30 * time.Second
	c.Notify = defaultNotify()
	c.Catalog = defaultCatalog()
	c.Relay = defaultRelay()
	c.Gateway = defaultGateway()
	c.Economy = defaultEconomy()
	return c
}

// flags of the command line that are settings too: the name to the key.
var settingFlags = map[string]string{
	"listen":     "listen",
	"data":       "data",
	"database":   "database",
	"log-level":  "log.level",
	"log-format": "log.format",
	"only":       "economy.only",
}

// loaded is a configuration and where its values come from.
type loaded struct {
	Config
	set     *settings.Set
	unknown []string // environment variables that look like settings and are none
	file    string   // "" if there is none
	environ []string
	gateway *gateway.Routes // those of the gateway
}

// load reads the configuration: flags win over environment variables over the file over defaults. file is that of --config,
// "" if there is none. The error holds [settings.Problems] if values are bad.
func load(file string, environ []string, flags map[string]string) (*loaded, error) {
	l := &loaded{Config: defaultConfig(), file: file, environ: environ}
	l.set = settings.New(&l.Config)
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return l, &configError{fmt.Errorf("configuration: %w", err)}
		}
		l.set.File(file, text)
	}
	l.unknown = l.set.Env(environ)
	for name, value := range flags {
		l.set.Flag("--"+name, settingFlags[name], value)
	}
	if l.set.Err() == nil {
		l.check()
	}
	if err := l.set.Err(); err != nil {
		return l, &configError{err}
	}
	return l, nil
}

// check finds what is well-formed and still cannot work.
func (l *loaded) check() {
	l.alone()
	fault := l.set.Fault
	if _, port, err := net.SplitHostPort(l.Listen); err != nil || port == "" {
		fault("listen", "%q, want HOST:PORT", l.Listen)
	} else if _, err := net.LookupPort("tcp", port); err != nil {
		fault("listen", "%q has no such port, want a number up to 65535", l.Listen)
	}
	if l.Data == "" {
		fault("data", "is empty, want a folder")
	}
	if l.Database != "" && !strings.HasPrefix(l.Database, "postgres://") && !strings.HasPrefix(l.Database, "postgresql://") {
		fault("database", "want postgres://… or nothing for SQLite")
	}
	if _, err := auth.CORS(auth.CORSOptions{Origins: l.TrustedOrigins}); err != nil {
		fault("trustedOrigins", "%v", strip(err))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Log.Level)); err != nil {
		fault("log.level", "%q, want debug, info, warn or error", l.Log.Level)
	}
	l.oneOf("log.format", l.Log.Format, "auto", "text", "json")
	if (l.TLS.CertFile == "") != (l.TLS.KeyFile == "") {
		fault("tls.certFile", "certFile and keyFile belong together, want both or none")
	} else if l.TLS.CertFile != "" {
		if _, err := newCertificate(l.TLS.CertFile, l.TLS.KeyFile, slog.New(slog.DiscardHandler)); err != nil {
			fault("tls.certFile", "%v", err)
		}
	}
	if l.Demo.User == "" {
		fault("demo.user", "is empty, want a name")
	}
	l.checkAuth()
	l.checkNumbers()
	l.checkNotify()
	l.checkCatalog()
	l.checkRelay()
	l.checkGateway()
	l.checkEconomy()
	l.checkTracing()
}

func (l *loaded) checkAuth() {
	if l.Auth.JWKSURL != "" && l.Auth.KeyFile != "" {
		l.set.Fault("auth.jwksURL", "is set beside auth.keyFile, want one source of keys")
		return
	}
	if _, err := l.foreign(slog.New(slog.DiscardHandler)); err != nil {
		key := "auth.issuer"
		switch {
		case len(l.Auth.Algorithms) > 0:
			key = "auth.algorithms"
		case l.Auth.KeyFile != "":
			key = "auth.keyFile"
		case l.Auth.JWKSURL != "":
			key = "auth.jwksURL"
		}
		l.set.Fault(key, "%v", strip(err))
	}
}

func (l *loaded) checkNumbers() {
	l.moreThanNothing("hub.keepAliveInterval", l.Hub.KeepAliveInterval)
	l.moreThanNothing("hub.clientTimeoutInterval", l.Hub.ClientTimeoutInterval)
	l.moreThanNothing("hub.handshakeTimeout", l.Hub.HandshakeTimeout)
	l.moreThanNothing("drain.timeout", l.Drain.Timeout)
	l.atLeast("hub.maximumReceiveMessageSize", l.Hub.MaximumReceiveMessageSize, 0)
	l.atLeast("hub.maximumParallelInvocations", l.Hub.MaximumParallelInvocations, 1)
	l.atLeast("hub.maximumQueuedBytes", l.Hub.MaximumQueuedBytes, 1)
	l.atLeast("hub.statefulReconnectBufferSize", l.Hub.StatefulReconnectBufferSize, 1)
	l.atLeast("drain.perSecond", l.Drain.PerSecond, 0)
	if l.Drain.Delay < 0 {
		l.set.Fault("drain.delay", "is %v, want 0s or more", l.Drain.Delay)
	}
	if _, err := transports(l.Hub.Transports); err != nil {
		l.set.Fault("hub.transports", "%v", err)
	}
}

func (l *loaded) moreThanNothing(path string, d time.Duration) {
	if d <= 0 {
		l.set.Fault(path, "is %v, want more than 0s", d)
	}
}

func (l *loaded) atLeast(path string, n, least int) {
	if n < least {
		l.set.Fault(path, "is %d, want %d or more", n, least)
	}
}

func (l *loaded) oneOf(path, value string, want ...string) {
	for _, w := range want {
		if value == w {
			return
		}
	}
	l.set.Fault(path, "%q, want one of %s", value, strings.Join(want, ", "))
}

// keyPath is where the keys are.
func (c *Config) keyPath() string {
	if c.KeyFile != "" {
		return c.KeyFile
	}
	return filepath.Join(c.Data, "keys.json")
}

// foreign returns the verifier of the tokens of others, or nil if there are none to accept.
func (c *Config) foreign(log *slog.Logger) (auth.Verifier, error) {
	a := c.Auth
	if a.Issuer == "" && a.JWKSURL == "" && a.KeyFile == "" {
		return nil, nil
	}
	skew := a.ClockSkew
	if skew == 0 {
		skew = -1
	}
	return auth.JWT(auth.JWTOptions{
		Issuer: a.Issuer, Audience: a.Audience, JWKSURL: a.JWKSURL, KeyFile: a.KeyFile, AllowHTTP: a.AllowHTTP,
		Algorithms: a.Algorithms, UserClaims: a.UserClaims, ClockSkew: skew, Logger: log,
	})
}

// strip takes the name of the package off an error, which stands beside the key already.
func strip(err error) string {
	text := err.Error()
	for _, p := range []string{"auth: jwt: ", "auth: cors: ", "auth: "} {
		if rest, ok := strings.CutPrefix(text, p); ok {
			return rest
		}
	}
	return text
}

// configError says that the server cannot run as it is configured.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
