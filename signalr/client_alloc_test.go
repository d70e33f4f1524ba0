//go:build !race

package signalr_test

import "testing"

// One call costs a client at most twice what it costs the server in allocations.
func TestClientAllocations(t *testing.T) {
	for _, protocol := range []string{"json", "messagepack"} {
		measure := func(call func()) float64 {
			for range 100 {
				call()
			}
			return testing.AllocsPerRun(2000, call)
		}
		client, server := measure(callerOfCanned(t, protocol)), measure(cannedCaller(t, protocol))
		t.Logf("%s: client %v, server %v allocations a call", protocol, client, server)
		if server < 1 || client > 2*server {
			t.Errorf("%s: a call costs the client %v allocations and the server %v, want at most twice as many", protocol, client, server)
		}
	}
}
