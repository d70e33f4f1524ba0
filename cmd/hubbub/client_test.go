package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestClients runs commands that are clients against this program's own server, through the same program.
func TestClients(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), nil)
	hub := s.url + "/signalr/v1/mainHub"
	token := strings.TrimSpace(must(t, nil, "token", "--user", "ann", "--data", s.data))
	var offer struct {
		Event        string `json:"event"`
		ConnectionID string `json:"connectionId"`
	}
	if err := json.Unmarshal([]byte(must(t, nil, "negotiate", hub, "--token", token, "--json")), &offer); err != nil || offer.Event != "negotiated" || offer.ConnectionID == "" {
		t.Errorf("negotiate prints %+v, %v, want an offer", offer, err)
	}
	if out := must(t, nil, "invoke", hub, "Subscribe", `{"e":"portos.resources.changed"}`, "--token", token); out != "null\n" {
		t.Errorf("Subscribe gives %q, want null", out)
	}
	for _, x := range []struct {
		name     string
		args     []string
		code     int
		sentence string
	}{
		{"no token", []string{"invoke", hub, "Subscribe", "{}"}, 12, "wants an access token"},
		{"no scheme", []string{"invoke", "localhost/hub", "Subscribe"}, 10, "want a scheme in front"},
		{"no method", []string{"invoke", hub}, exitUsage, "want hubbub invoke URL TARGET"},
	} {
		t.Run(x.name, func(t *testing.T) {
			code, _, errs := run(t, nil, x.args...)
			if code != x.code || !strings.Contains(errs, x.sentence) {
				t.Errorf("exit code %d, %q, want %d and %q", code, errs, x.code, x.sentence)
			}
		})
	}
}
