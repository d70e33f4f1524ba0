// Package keyfile keeps the ring of signing keys of a server in a file: keys with ids, newest first, for tokens of every
// kind. The file is JSON, readable by its owner only:
//
//	{"development": true, "keys": [{"id": 1, "created": "2026-05-04T10:00:00Z", "secret": "…base64…"}]}
//
// All changes are atomic: a reader finds the old file or the new one, and of several servers that start at the same time on
// one directory all get the same keys.
package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hubbub-go/hubbub"
)

// secretSize is the length of a new secret in bytes, minSecret the shortest that is accepted.
const (
	secretSize = 32
	minSecret  = 32
	maxKeys    = 64
	maxFile    = 1 << 20
)

// Key is one key of the file.
type Key struct {
	ID      uint32    `json:"id"`
	Created time.Time `json:"created"`
	Secret  []byte    `json:"secret"` // base64 in the file
}

// File is the content of a key file.
type File struct {
	// Development marks keys that a server made for itself because there were none. They do for one machine only.
	Development bool `json:"development,omitempty"`
	// Keys are in use, the first signs.
	Keys []Key `json:"keys"`
}

// New returns a file with one new key.
func New(development bool) *File {
	f := &File{Development: development}
	f.add()
	return f
}

func (f *File) add() {
	k := Key{ID: 1, Created: time.Now().UTC().Truncate(time.Second), Secret: make([]byte, secretSize)}
	for _, old := range f.Keys {
		k.ID = max(k.ID, old.ID+1)
	}
	rand.Read(k.Secret)
	f.Keys = append([]Key{k}, f.Keys...)
}

// Rotate puts a new key in front, which signs from now on, and keeps at most the keep newest of the others, which go on
// verifying what they have signed.
func (f *File) Rotate(keep int) {
	f.add()
	if len(f.Keys) > keep+1 {
		f.Keys = f.Keys[:keep+1]
	}
}

// Ring returns the keys as a ring.
func (f *File) Ring() (*hubbub.KeyRing, error) {
	keys := make([]hubbub.Key, len(f.Keys))
	for i, k := range f.Keys {
		keys[i] = hubbub.Key{ID: k.ID, Secret: k.Secret}
	}
	return hubbub.NewKeyRing(keys...)
}

// Read reads a key file. The error wraps fs.ErrNotExist if there is none. It refuses a file that others may read, where the
// system knows such rights.
func Read(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("keys: %s has mode %04o, want 0600: others can read the keys (chmod 600 %s)", path, mode, path)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("keys: %s has %d bytes, want at most %d", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var f File
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("keys: %s: %w", path, err)
	}
	if len(f.Keys) > maxKeys {
		return nil, fmt.Errorf("keys: %s has %d keys, want at most %d", path, len(f.Keys), maxKeys)
	}
	for _, k := range f.Keys {
		if len(k.Secret) < minSecret {
			return nil, fmt.Errorf("keys: %s: the secret of key %d has %d bytes, want at least %d", path, k.ID, len(k.Secret), minSecret)
		}
	}
	if _, err := f.Ring(); err != nil {
		return nil, fmt.Errorf("keys: %s: %w", path, err)
	}
	return &f, nil
}

// ReadOrCreate reads a key file and, where there is none, creates it with one new key, marked for development.
func ReadOrCreate(path string) (f *File, created bool, err error) {
	f, err = Read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, false, err
	}
	f = New(true)
	switch err := f.Create(path); {
	case err == nil:
		return f, true, nil
	case errors.Is(err, fs.ErrExist): // somebody else was quicker
		f, err = Read(path)
		return f, false, err
	default:
		return nil, false, err
	}
}

// Create writes the file where there is none yet. The error wraps fs.ErrExist if there is one.
func (f *File) Create(path string) error {
	temp, err := f.temp(path)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// Replace writes the file, over the old one if there is one.
func (f *File) Replace(path string) error {
	temp, err := f.temp(path)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return fmt.Errorf("keys: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// temp writes the file, safely on disk, beside path under another name.
func (f *File) temp(path string) (name string, err error) {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	_, err = t.Write(append(data, '\n'))
	if err == nil {
		err = t.Sync()
	}
	if e := t.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(t.Name())
		return "", fmt.Errorf("keys: %w", err)
	}
	return t.Name(), nil
}

// syncDir makes a new name in a directory durable, where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}
