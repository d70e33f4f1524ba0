package bench_test

import (
	"fmt"
	"os"
	"testing"
)

// Processes are sampled from /proc.
func TestWorkersAndLimit(t *testing.T) {
	t.Parallel()
	url := newServer(t)
	args := []string{"broadcast", url + "/hub", "-c", "9", "--workers", "3", "--sources", "3", "--rate", "900", "-d", "1200ms", "--limit", "--runs", "2", "--pid", fmt.Sprint(os.Getpid())}
	r := measured(t, args...)
	faultless(t, r)
	if len(r.Targets) != 2 || r.Targets[1].Target.Name != "limit" || len(r.Targets[0].Runs) != 2 {
		t.Fatalf("report has targets %+v, want the server and the limit with two runs each", r.Targets)
	}
	for _, x := range r.Targets {
		if x.Median.RSSAfter == 0 || x.Median.Received != 1080 || len(x.Series) == 0 || len(x.Latency) == 0 {
			t.Errorf("%s: memory %v, received %v, %d samples, %d points of latency, want all", x.Target.Name, x.Median.RSSAfter, x.Median.Received, len(x.Series), len(x.Latency))
		}
	}
	ratio := false
	for _, x := range r.Ratios {
		ratio = ratio || x.Figure == "p50" && x.To == "limit" && x.Value > 0
	}
	if !ratio {
		t.Errorf("ratios are %v, want that of p50 to the limit", r.Ratios)
	}
}
