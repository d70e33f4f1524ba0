package settings_test

import (
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/cmd/hubbub/settings"
)

type nested struct {
	Hubs []hub `yaml:"hubs" doc:"hubs"`
}

type hub struct {
	Key    string            `yaml:"key"`
	Header map[string]string `yaml:"header" secret:"true"`
	Routes []route           `yaml:"routes"`
}

type route struct {
	Key string `yaml:"key"`
}

// Faults are named with the place in the list, or with the nearest that there is.
func TestFaultInList(t *testing.T) {
	t.Parallel()
	s := settings.New(&nested{})
	s.File("f.yaml", []byte("hubs:\n- key: a\n  routes:\n  - key: b\n  - key: c\n- key: d\n"))
	for _, path := range []string{"hubs[0].routes[1].key", "hubs[0].routes[1].none", "hubs[0].routes[7]", "hubs[1]", "hubs[9].key", "hubs"} {
		s.Fault(path, "bad")
	}
	s.Env([]string{"HUBBUB_HUBS=[{key: x}]"})
	s.Fault("hubs[0].routes[1].key", "bad")
	want := `f.yaml:5:5: hubs[0].routes[1].key: bad
f.yaml:5:5: hubs[0].routes[1].none: bad
f.yaml:3:3: hubs[0].routes[7]: bad
f.yaml:6:3: hubs[1]: bad
f.yaml:2:1: hubs[9].key: bad
f.yaml:2:1: hubs: bad
environment variable HUBBUB_HUBS:1:3: hubs[0].routes[1].key: bad`
	if err := s.Err(); err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}

// The texts of a map can be secret as well.
func TestPrintSecretMap(t *testing.T) {
	t.Parallel()
	s := settings.New(&nested{})
	s.File("f.yaml", []byte("hubs: [{key: a, header: {X-Key: hush}}]"))
	var b strings.Builder
	if err := s.Print(&b); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); strings.Contains(out, "hush") || !strings.Contains(out, `"X-Key": "(secret)"`) {
		t.Errorf("printed\n%s", out)
	}
}
