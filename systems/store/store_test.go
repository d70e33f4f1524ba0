package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

func TestContract(t *testing.T) {
	storetest.Each(t, func(t *testing.T, database string) {
		storetest.Run(t, func(t testing.TB) storetest.Opener {
			c := storetest.Config(t, database, "none")
			return func(t testing.TB, name string, migrations fs.FS) (*store.Store, error) {
				c := c
				c.Name = name
				return store.Open(t.Context(), c, migrations)
			}
		})
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		config store.Config
		want   string
	}{
		"no name":        {store.Config{Dir: dir}, `name ""`},
		"upper case":     {store.Config{Dir: dir, Name: "Notify"}, `name "Notify"`},
		"path":           {store.Config{Dir: dir, Name: "../x"}, `name "../x"`},
		"long name":      {store.Config{Dir: dir, Name: strings.Repeat("a", 41)}, "at most 40"},
		"no folder":      {store.Config{Name: "a"}, "want Config.Dir"},
		"folder is file": {store.Config{Name: "a", Dir: file}, "not a directory"},
		"other database": {store.Config{Name: "a", URL: "mysql://root:secret@localhost/x"}, `"mysql"`},
		"bad URL":        {store.Config{Name: "a", URL: "postgres://u:secret@localhost:port/x"}, "open a"},
		"nobody there":   {store.Config{Name: "a", URL: "postgres://u:secret@127.0.0.1:1/x?connect_timeout=5"}, "open a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), test.config, fstest.MapFS{})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("got %q, want %q in it and no password", err, test.want)
			}
		})
	}
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Name: "notify"}, fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Exec(t.Context(), "CREATE TABLE t (id TEXT)"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "notify.db"): 0o600, filepath.Join(dir, "notify.db-wal"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}
