package keyfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hubbub-go/hubbub/cmd/hubbub/keyfile"
)

func TestReadOrCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "keys.json")
	first, created, err := keyfile.ReadOrCreate(path)
	if err != nil || !created || !first.Development || len(first.Keys) != 1 {
		t.Fatalf("first: %+v, created %v, %v; want one development key, created", first, created, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o, want 0600", info.Mode().Perm())
	}
	second, created, err := keyfile.ReadOrCreate(path)
	if err != nil || created || !bytes.Equal(second.Keys[0].Secret, first.Keys[0].Secret) {
		t.Errorf("second: created %v, %v; want the key of the first time", created, err)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("%d files in the directory, want 1: a temporary file was left", len(names))
	}
}

// Servers that start at the same time must not sign with different keys.
func TestCreateAtTheSameTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	var wg sync.WaitGroup
	secrets := make([][]byte, 16)
	made := make([]bool, len(secrets))
	for i := range secrets {
		wg.Go(func() {
			f, created, err := keyfile.ReadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			secrets[i], made[i] = f.Keys[0].Secret, created
		})
	}
	wg.Wait()
	count := 0
	for i := range secrets {
		if made[i] {
			count++
		}
		if !bytes.Equal(secrets[i], secrets[0]) {
			t.Errorf("reader %d has another key than reader 0", i)
		}
	}
	if count != 1 {
		t.Errorf("%d of them created the file, want 1", count)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	f, _, err := keyfile.ReadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	old, err := f.Ring()
	if err != nil {
		t.Fatal(err)
	}
	id, mac := old.Sign("test", []byte("x"))

	f.Rotate(1)
	if err := f.Replace(path); err != nil {
		t.Fatal(err)
	}
	f, err = keyfile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := f.Ring()
	if err != nil {
		t.Fatal(err)
	}
	if ring.Current() == id || !ring.Verify(id, "test", []byte("x"), mac) {
		t.Errorf("after a rotation key %d signs, and what key %d signed is valid: %v; want another and true",
			ring.Current(), id, ring.Verify(id, "test", []byte("x"), mac))
	}
	f.Rotate(1)
	if len(f.Keys) != 2 {
		t.Errorf("%d keys after the second rotation, want 2", len(f.Keys))
	}
	if ring, err = f.Ring(); err != nil || ring.Verify(id, "test", []byte("x"), mac) {
		t.Errorf("after two rotations that keep one key the first is still valid (%v)", err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("A", 43) + "="
	for _, c := range []struct {
		name, text string
		mode       fs.FileMode
		want       string
	}{
		{"others can read it", `{"keys":[{"id":1,"secret":"` + secret + `"}]}`, 0o640, "has mode 0640, want 0600"},
		{"no JSON", `keys`, 0o600, "invalid character"},
		{"unknown field", `{"key":[]}`, 0o600, `unknown field "key"`},
		{"no key", `{"keys":[]}`, 0o600, "want at least one"},
		{"short secret", `{"keys":[{"id":7,"secret":"AAAA"}]}`, 0o600, "the secret of key 7 has 3 bytes, want at least 32"},
		{"id twice", `{"keys":[{"id":1,"secret":"` + secret + `"},{"id":1,"secret":"` + secret + `"}]}`, 0o600, "comes twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.mode != 0o600 && runtime.GOOS == "windows" {
				return // Windows has no such rights
			}
			path := filepath.Join(t.TempDir(), "keys.json")
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := keyfile.Read(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if _, err := keyfile.Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v, want fs.ErrNotExist", err)
	}
	if err := keyfile.New(false).Create(t.TempDir()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over something: error %v, want fs.ErrExist", err)
	}
}
