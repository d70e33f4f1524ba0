package main

import (
	"os"
	"strings"
	"testing"
)

// TestGatewayDocs checks that the configuration in docs/gateway.md is one.
func TestGatewayDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := strings.Cut(string(text), "```yaml\n")
	config, _, found := strings.Cut(config, "```")
	if !found {
		t.Fatal("docs/gateway.md has no configuration")
	}
	name := file(t, "hubbub.yaml", config)
	if code, _, errs := run(t, []string{"CHAT_KEY=k", "CATALOG_TOKEN=t"}, "config", "check", name); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, errs)
	}
	if code, _, errs := run(t, nil, "config", "check", name); code != exitConfig || !strings.Contains(errs, "CHAT_KEY is not set") {
		t.Errorf("exit code %d, want %d\n%s", code, exitConfig, errs)
	}
}
