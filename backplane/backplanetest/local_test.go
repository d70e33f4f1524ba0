package backplanetest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/backplane/backplanetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLocal runs the suite against the backplane of one process, where one value serves all nodes.
func TestLocal(t *testing.T) {
	t.Parallel()
	backplanetest.Run(t, func(t *testing.T, n int) []hubbub.Backplane {
		b := hubbub.NewLocal()
		t.Cleanup(func() { _ = b.Close() })
		nodes := make([]hubbub.Backplane, n)
		for i := range nodes {
			nodes[i] = b
		}
		return nodes
	})
}
