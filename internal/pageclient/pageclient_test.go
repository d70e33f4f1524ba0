package pageclient_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/internal/pageclient"
)

// TestOneConnection: the client has one connection at a time, however often it is started.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	if !strings.Contains(pageclient.Source(), "export class Hub") {
		t.Error("the module exports no class Hub")
	}
	if out, err := exec.CommandContext(t.Context(), "node", "testdata/hub.mjs", pageclient.Name).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
