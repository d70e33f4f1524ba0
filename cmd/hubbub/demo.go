package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// demoUser is the user of development mode.
type demoUser struct {
	Name     string `json:"user"`
	Password string `json:"password"`
	path     string // of the file with the password, "" if it is configured
}

// newDemoUser returns the user that the configuration names. A password that is not configured is made once and kept in
// demo.json in the data folder, so that it is the same after a restart and can be looked up.
func newDemoUser(c *Config) (*demoUser, error) {
	if c.Demo.Password != "" {
		return &demoUser{Name: c.Demo.User, Password: c.Demo.Password}, nil
	}
	path := filepath.Join(c.Data, "demo.json")
	u := &demoUser{}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.Password = strings.ToLower(rand.Text()[:16]) // 80 bits
	case err != nil:
		return nil, fmt.Errorf("demo user: %w", err)
	default:
		if err := json.Unmarshal(bytes.TrimSpace(data), u); err != nil || u.Password == "" {
			return nil, fmt.Errorf("demo user: %s holds no password; delete it to have a new one made", path)
		}
	}
	changed := u.Name != c.Demo.User
	u.Name, u.path = c.Demo.User, path
	if !changed {
		return u, nil
	}
	text, err := json.Marshal(u)
	if err != nil {
		return nil, fmt.Errorf("demo user: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("demo user: %w", err)
	}
	return u, nil
}
