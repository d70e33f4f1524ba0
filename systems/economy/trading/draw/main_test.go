package main

import (
	"os"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/systems/economy/trading"
)

// The document has the machine as it is, in both orders.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/economy.md")
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for rest := string(text); ; {
		_, after, found := strings.Cut(rest, "```mermaid\n")
		if !found {
			break
		}
		block, behind, _ := strings.Cut(after, "```")
		drawn, rest = append(drawn, block), behind
	}
	for i, grantFirst := range []bool{false, true} {
		if want := trading.Draw(grantFirst); i >= len(drawn) || drawn[i] != want {
			t.Errorf("drawing %d of docs/economy.md is not what go run ./systems/economy/trading/draw says (-grant-first=%t):\n%s", i+1, grantFirst, want)
		}
	}
}
