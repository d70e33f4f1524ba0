package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/cmd/hubbub/settings"
)

type config struct {
	Listen   string   `yaml:"listen" doc:"where to listen"`
	Database string   `yaml:"database" doc:"the store" secret:"url"`
	Origins  []string `yaml:"origins" doc:"pages"`
	Notify   struct {
		MaxDevices int           `yaml:"maxDevices" doc:"devices"`
		Enabled    bool          `yaml:"enabled" doc:"on or off"`
		Window     time.Duration `yaml:"window" doc:"how long"`
		Secret     string        `yaml:"secret" doc:"for signatures" secret:"true"`
		JWKSURL    string        `yaml:"jwksURL" doc:"keys"`

		Users  []user            `yaml:"users" doc:"people"`
		Rights map[string]string `yaml:"rights" doc:"who may"`
	} `yaml:"notify"`
}

type user struct {
	Name   string   `yaml:"name"`
	Hash   string   `yaml:"hash" secret:"true"`
	Rights []string `yaml:"rights"`
}

func defaults() *config {
	c := &config{Listen: "127.0.0.1:8080"}
	c.Notify.MaxDevices = 2
	c.Notify.Window = time.Minute
	return c
}

func TestFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"only a comment", "# nothing\n", ""},
		{"empty section", "notify:\n", ""},
		{"everything", "listen: ':1'\norigins: [a, b]\nnotify:\n  maxDevices: 3\n  enabled: true\n  window: 5m\n  secret: 123\n", ""},
		{"unknown key", "listen: x\nlistne: y\n", "f.yaml:2:1: listne: unknown key, did you mean listen?"},
		{"unknown nested key", "notify:\n  maxdevices: 3\n", "f.yaml:2:3: notify.maxdevices: unknown key, did you mean maxDevices?"},
		{"unknown key like no other", "notify:\n  xyzzy: 3\n", "f.yaml:2:3: notify.xyzzy: unknown key, want one of maxDevices, enabled, window, secret, jwksURL, users, rights"},
		{"unknown section", "relay:\n  a: 1\n", "f.yaml:1:1: relay: unknown key, want one of listen, database, origins, notify"},
		{"key with dots", "notify.maxDevices: 3\n", ""},
		{"word for a number", "notify:\n  maxDevices: two\n", `f.yaml:2:15: notify.maxDevices: the text "two", want a whole number`},
		{"fraction for a number", "notify:\n  maxDevices: 1.5\n", `f.yaml:2:15: notify.maxDevices: "1.5", want a whole number`},
		{"quoted number", "notify:\n  maxDevices: '2'\n", `f.yaml:2:15: notify.maxDevices: the text "2", want a whole number`},
		{"list for a number", "notify:\n  maxDevices: [1]\n", `f.yaml:2:15: notify.maxDevices: a list, want a whole number`},
		{"keys for a text", "listen:\n  a: 1\n", `f.yaml:2:3: listen: keys, want a text`},
		{"number for a duration", "notify:\n  window: 5\n", `f.yaml:2:11: notify.window: "5", want a duration such as 30s or 5m`},
		{"bad duration", "notify:\n  window: 5 minutes\n", `f.yaml:2:11: notify.window: "5 minutes", want a duration such as 30s or 5m`},
		{"bad bool", "notify:\n  enabled: 1\n", `f.yaml:2:12: notify.enabled: "1", want true or false`},
		{"word for a bool", "notify:\n  enabled: on\n", `f.yaml:2:12: notify.enabled: the text "on", want true or false`},
		{"text for a list", "origins: a\n", `f.yaml:1:10: origins: "a", want a list of texts`},
		{"keys in a list", "origins:\n- a: 1\n", `f.yaml:2:3: origins[0]: keys, want a text`},
		{"text for a section", "notify: on\n", `f.yaml:1:9: notify: "on", want keys: maxDevices, enabled, window, secret, jwksURL, users, rights`},
		{"list for all", "- a\n", `f.yaml:1:1: a list, want keys: listen, database, origins, notify`},
		{"the same key again", "listen: a\nlisten: b\n", `f.yaml:2:1: mapping key "listen" already defined at [1:1]`},
		{"not YAML", "listen: [a\n", `f.yaml:1:9: `},
		{"two documents", "listen: a\n---\nlisten: b\n", `f.yaml:3:1: a second document, want one`},
		{"alias", "listen: &a x\ndatabase: *a\n", `f.yaml:1:9: listen: an anchor or alias, which are not supported, want a text`},
		{"entries", "notify:\n  users:\n  - name: ann\n    rights: [a]\n  - name: bob\n  rights: {x: y}\n", ""},
		{"unknown key of an entry", "notify:\n  users:\n  - name: ann\n    right: [a]\n", "f.yaml:4:5: notify.users[0].right: unknown key, did you mean rights?"},
		{"wrong value of an entry", "notify:\n  users:\n  - name: ann\n    rights: a\n", `f.yaml:4:13: notify.users[0].rights: "a", want a list of texts`},
		{"text for an entry", "notify:\n  users: [ann]\n", `f.yaml:2:11: notify.users[0]: "ann", want keys: name, hash, rights`},
		{"text for entries", "notify:\n  users: ann\n", `f.yaml:2:10: notify.users: "ann", want a list of entries with keys: name, hash, rights`},
		{"list in a map", "notify:\n  rights: {x: [y]}\n", `f.yaml:2:15: notify.rights.x: a list, want a text`},
		{"text for a map", "notify:\n  rights: x\n", `f.yaml:2:11: notify.rights: "x", want keys with texts`},
		{"bad secret is not shown", "notify:\n  secret: [hush]\n", `f.yaml:2:11: notify.secret: a list, want a text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := settings.New(defaults())
			s.File("f.yaml", []byte(c.text))
			err := s.Err()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

func TestFileReportsEveryProblem(t *testing.T) {
	t.Parallel()
	s := settings.New(defaults())
	s.File("f.yaml", []byte("listne: a\nnotify:\n  maxDevices: x\n  window: y\n"))
	err := s.Err()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("error %v, want three lines", err)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	c := defaults()
	s := settings.New(c)
	s.File("f.yaml", []byte("listen: file\ndatabase: file\norigins: [file]\nnotify:\n  window: 2m\n"))
	unknown := s.Env([]string{"HUBBUB_DATABASE=env", "HUBBUB_ORIGINS=a, b", "HUBBUB_NOTIFY_MAX_DEVICES=7", "HUBBUB_NOTIFY_JWKS_URL=u",
		"HUBBUB_NOTIFY_ENABLED=true",
		"HUBBUB_NOTIFY_USERS=[{name: ann, hash: hush, rights: [a, b]}]", "HUBBUB_NOTIFY_RIGHTS={x: y}", "HUBBUB_LISTEN=env", "HUBBUB_NOTIFY_SECRET=", "HUBBUB_SERVICE_HOST=1.2.3.4", "PATH=/bin"})
	s.Flag("--listen", "listen", "flag")
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if len(unknown) != 1 || unknown[0] != "HUBBUB_SERVICE_HOST" {
		t.Errorf("unknown variables %v, want HUBBUB_SERVICE_HOST", unknown)
	}
	got := map[string]string{}
	for _, k := range s.Keys() {
		got[k.Path] = k.Value + " from " + k.Source
	}
	for path, want := range map[string]string{
		"listen":            "\"flag\" from flag --listen",
		"database":          `"(secret)" from environment variable HUBBUB_DATABASE`,
		"origins":           `["a", "b"] from environment variable HUBBUB_ORIGINS`,
		"notify.window":     "2m0s from f.yaml:5:11",
		"notify.maxDevices": "7 from environment variable HUBBUB_NOTIFY_MAX_DEVICES",
		"notify.jwksURL":    `"u" from environment variable HUBBUB_NOTIFY_JWKS_URL`,
		"notify.enabled":    "true from environment variable HUBBUB_NOTIFY_ENABLED",
		"notify.secret":     `"" from default`,
		"notify.users":      `[{name: "ann", hash: "(secret)", rights: ["a", "b"]}] from environment variable HUBBUB_NOTIFY_USERS`,
		"notify.rights":     `{"x": "y"} from environment variable HUBBUB_NOTIFY_RIGHTS`,
	} {
		if got[path] != want {
			t.Errorf("%s: %s, want %s", path, got[path], want)
		}
	}
}

func TestEnvProblems(t *testing.T) {
	t.Parallel()
	s := settings.New(defaults())
	s.Env([]string{"HUBBUB_NOTIFY_MAX_DEVICES=two", "HUBBUB_NOTIFY_WINDOW=1 day", "HUBBUB_NOTIFY_USERS=[{nam: x}]"})
	s.Fault("notify.maxDevices", "is %d, want at least %d", 0, 1)
	want := `environment variable HUBBUB_NOTIFY_MAX_DEVICES: notify.maxDevices: "two", want a whole number
environment variable HUBBUB_NOTIFY_WINDOW: notify.window: "1 day", want a duration such as 30s or 5m
environment variable HUBBUB_NOTIFY_USERS:1:3: notify.users[0].nam: unknown key, did you mean name?
environment variable HUBBUB_NOTIFY_MAX_DEVICES: notify.maxDevices: is 0, want at least 1`
	if err := s.Err(); err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

// What Print writes is a file that File accepts, and no secret is in it.
func TestPrint(t *testing.T) {
	t.Parallel()
	s := settings.New(defaults())
	s.File("f.yaml", []byte("database: postgres://u:hush@db/x?sslpassword=hush\norigins: ['http://a', 'b\"']\nnotify:\n  secret: hush\n"))
	var b strings.Builder
	if err := s.Print(&b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	for _, want := range []string{
		"# where to listen\n# HUBBUB_LISTEN\nlisten: \"127.0.0.1:8080\"\n",
		"HUBBUB_DATABASE, from f.yaml:1:11\ndatabase: \"postgres://u:xxxxx@db/x?sslpassword=xxxxx\"\n",
		"\nnotify:\n  # devices\n  # HUBBUB_NOTIFY_MAX_DEVICES\n  maxDevices: 2\n",
		"  window: 1m0s\n", "  secret: \"(secret)\"\n", `origins: ["http://a", "b\""]`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "hush") {
		t.Errorf("a secret in\n%s", out)
	}
	again := settings.New(defaults())
	again.File("printed.yaml", []byte(out))
	if err := again.Err(); err != nil {
		t.Errorf("what was printed is refused: %v", err)
	}
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{"", "listen: a", "notify:\n  maxDevices: 3\n", "a: [1, {b: c}]", "&a x: *a", "? x\n: y", "notify: {window: 1s}", "- - -", "<<: {listen: a}", "!!str x: y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := settings.New(defaults())
		s.File("f.yaml", []byte(text))
		if err := s.Err(); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}
