// Package processtest kills the processes of Play Economy, whether all services are in one or each is in its own with a NATS
// server between them, and checks that nobody has lost or won anything by it.
//
// ECONOMY_KILLS is how many random kills there are, of each kind of system, and makes the tests of the borders visit all of them in
// both kinds of systems; ECONOMY_SEED repeats a run. A failing test names its seed. With ECONOMY_LOG the processes write what goes wrong.
package processtest

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// Names of environment variables: what a process of this binary plays in place of running tests, with what settings, and how
// much the tests do.
const (
	roleVariable     = "ECONOMY_TEST_ROLE"
	settingsVariable = "ECONOMY_TEST_SETTINGS"
	killsVariable    = "ECONOMY_KILLS"
	seedVariable     = "ECONOMY_SEED"
	logVariable      = "ECONOMY_LOG"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role, os.Getenv(settingsVariable)); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(storetest.Main(m, func() error {
		http.DefaultClient.CloseIdleConnections()
		return goleak.Find()
	}))
}

// number returns a number of the environment, or what it is by default.
func number(t testing.TB, variable string, byDefault uint64) uint64 {
	t.Helper()
	s := os.Getenv(variable)
	if s == "" {
		return byDefault
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: %v", variable, s, err)
	}
	return n
}

// thorough reports whether somebody has asked for more than the usual.
func thorough() bool { return os.Getenv(killsVariable) != "" }
