package main

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
)

func TestReady(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	close(closed)
	good := func(context.Context) error { return nil }
	bad := func(context.Context) error { return errors.New("dial postgres://u:hush@db: refused") }
	type checks = map[string]func(context.Context) error
	for _, c := range []struct {
		name   string
		health health
		code   int
		body   string
	}{
		{"nothing to check", health{}, 200, `{"status":"ready"}`},
		{"good", health{checks: checks{"a": good}}, 200, `{"status":"ready","checks":{"a":"ok"}}`},
		{"one of two", health{checks: checks{"a": good, "b": bad}}, 503, `{"status":"not ready","checks":{"a":"ok","b":"failed"}}`},
		{"draining", health{checks: checks{"a": good}, draining: closed}, 503, `{"status":"draining"}`},
	} {
		w := httptest.NewRecorder()
		c.health.ready(w, httptest.NewRequest("GET", "/health/ready", nil))
		if w.Code != c.code || w.Body.String() != c.body+"\n" {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.code, c.body)
		}
	}
}
