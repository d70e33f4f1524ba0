package bench_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hubbub-go/hubbub/cmd/hubbub/bench"
)

func TestModes(t *testing.T) {
	t.Parallel()
	url := newServer(t)
	tests := []struct {
		name string
		args []string
		want func(f bench.Figures) bool
	}{
		{"echo", []string{"echo", url + "/echo", "-c", "3"}, func(f bench.Figures) bool { return f.P50 > 0 && f.Rate > 0 }},
		{"invoke", []string{"invoke", url + "/hub", "-c", "3"}, func(f bench.Figures) bool { return f.P50 > 0 && f.Rate > 0 }},
		{"invoke behind negotiate", []string{"invoke", url + "/hub", "-c", "3", "--negotiate"}, func(f bench.Figures) bool { return f.SetupP50 > 0 }},
		{"invoke pipelined", []string{"invoke", url + "/hub", "-c", "2", "--pipeline", "16"}, func(f bench.Figures) bool { return f.Received >= 32 }},
		{"invoke at a rate", []string{"invoke", url + "/hub", "-c", "3", "--rate", "300"}, func(f bench.Figures) bool { return f.Sent == 90 && f.Offered == 300 }},
		{"broadcast", []string{"broadcast", url + "/hub", "-c", "10", "--rate", "1000"}, func(f bench.Figures) bool { return f.Sent == 30 && f.Received == 300 }},
		{"broadcast of large texts", []string{"broadcast", url + "/hub", "-c", "2", "--rate", "20", "--size", "20000"}, func(f bench.Figures) bool { return f.Received == 6 }},
		{"burst", []string{"broadcast", url + "/hub", "-c", "10", "--burst", "20"}, func(f bench.Figures) bool { return f.Sent >= 20 && f.Rate > 0 }},
		{"groups", []string{"groups", url + "/hub", "-c", "12", "--groups", "4", "--rate", "600"}, func(f bench.Figures) bool { return f.Sent == 60 && f.Received == 180 }},
		{"churn", []string{"churn", url + "/hub", "-c", "5", "--rate", "100", "--churn", "50"}, func(f bench.Figures) bool { return f.Visits > 0 }},
		{"storm", []string{"storm", url + "/hub", "-c", "10", "--rounds", "2"}, func(f bench.Figures) bool { return f.Received == 20 }},
		{"slow", []string{"slow", url + "/hub", "-c", "5", "--stalled", "1", "--rate", "500"}, func(f bench.Figures) bool { return f.Received == 150 }},
		{"idle", []string{"idle", url + "/hub", "-c", "5"}, func(f bench.Figures) bool { return f.Connections == 5 && f.SetupP50 > 0 }},
		{"connect", []string{"connect", url + "/hub", "-c", "20"}, func(f bench.Figures) bool { return f.Received == 20 && f.P50 > 0 }},
		{"soak", []string{"soak", url + "/hub", "-c", "5", "--rate", "100", "--churn", "20"}, func(f bench.Figures) bool { return f.Visits > 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// One after the other: each broadcast reaches everybody on the hub.
			r := measured(t, append(tt.args, "-d", "300ms")...)
			faultless(t, r)
			if f := r.Targets[0].Median; !tt.want(f) {
				t.Errorf("figures %+v are not those of the load", f)
			}
		})
	}
}

// TestFormats carries each load over the other protocol and the other transports.
func TestFormats(t *testing.T) {
	t.Parallel()
	url := newServer(t)
	loads := [][]string{
		{"invoke", "-c", "3"},
		{"invoke", "-c", "2", "--pipeline", "8"},
		{"invoke", "-c", "3", "--rate", "100"},
		{"broadcast", "-c", "4", "--rate", "200"},
		{"broadcast", "-c", "3", "--burst", "20"},
		{"broadcast", "-c", "2", "--rate", "20", "--size", "20000"},
		{"groups", "-c", "6", "--groups", "2", "--rate", "200"},
		{"churn", "-c", "3", "--rate", "60", "--churn", "20"},
		{"storm", "-c", "4", "--rounds", "2"},
		{"slow", "-c", "3", "--stalled", "1", "--rate", "60"},
		{"idle", "-c", "3"},
		{"connect", "-c", "6"},
		{"soak", "-c", "3", "--rate", "60", "--churn", "10"},
	}
	formats := [][]string{
		{"--protocol", "messagepack"},
		{"--transport", "sse"},
		{"--transport", "longpolling"},
		{"--transport", "longpolling", "--protocol", "messagepack"},
	}
	for _, f := range formats {
		for _, load := range loads {
			t.Run(strings.Join(append(f, load...), " "), func(t *testing.T) {
				args := append([]string{load[0], url + "/hub", "-d", "300ms"}, load[1:]...)
				r := measured(t, append(args, f...)...)
				faultless(t, r)
				if got := r.Targets[0].Median; load[0] != "idle" && got.Received == 0 {
					t.Errorf("figures %+v, want something received", got)
				}
			})
		}
	}
	for _, transport := range []string{"sse", "longpolling"} {
		faultless(t, measured(t, "echo", url+"/echo", "-c", "2", "-d", "200ms", "--transport", transport))
	}
	for _, args := range [][]string{
		{"invoke", "-c", "2", "--rate", "20", "--echo-method", "Fail", "--protocol", "messagepack"},
		{"invoke", "-c", "2", "--rate", "20", "--echo-method", "Fail", "--transport", "sse"},
	} {
		r := measured(t, append([]string{args[0], url + "/hub", "-d", "300ms"}, args[1:]...)...)
		if got := r.Targets[0].Median.Errors; got != 6 {
			t.Errorf("%v: %v errors counted, want 6", args, got)
		}
	}
	for _, x := range []struct{ args, want string }{
		{"invoke --transport sse --protocol messagepack", "event streams carry text only"},
		{"invoke --transport pigeon", "want websockets, sse or longpolling"},
		{"invoke --protocol xml", "want json or messagepack"},
		{"echo --protocol messagepack", "wants another mode"},
	} {
		args := strings.Fields(x.args)
		_, _, err := command(t, append([]string{args[0], url + "/hub"}, args[1:]...)...)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q in it", x.args, err, x.want)
		}
	}
}

func TestTroublesAreCounted(t *testing.T) {
	t.Parallel()
	url := newServer(t)
	tests := []struct {
		name string
		args []string
		got  func(f bench.Figures) float64
		want float64
	}{
		// Of three messages to three clients; the doubles of the last may come when all that was expected is there.
		{"doubled", []string{"broadcast", "-c", "3", "--rate", "30", "--all-method", "Twice"}, func(f bench.Figures) float64 { return min(f.Doubled, 6) }, 6},
		{"errors", []string{"invoke", "-c", "2", "--rate", "20", "--echo-method", "Fail"}, func(f bench.Figures) float64 { return f.Errors }, 6},
		{"unfinished", []string{"broadcast", "-c", "3", "--rate", "30", "--all-method", "Nobody"}, func(f bench.Figures) float64 { return f.Unfinished }, 9},
		{"strays", []string{"groups", "-c", "4", "--groups", "2", "--rate", "40", "--group-method", "GroupToAll"}, func(f bench.Figures) float64 { return f.Strays }, 12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := measured(t, append([]string{tt.args[0], url + "/hub", "-d", "300ms", "--drain", "500ms"}, tt.args[1:]...)...)
			if got := tt.got(r.Targets[0].Median); got != tt.want {
				t.Errorf("%s are %v, want %v; %+v", tt.name, got, tt.want, r.Targets[0].Median)
			}
		})
	}
}

func TestLimitOfConnections(t *testing.T) {
	t.Parallel()
	r := measured(t, "connect", newServer(t)+"/hub", "-c", "10", "-d", "100ms", "--limit")
	faultless(t, r)
	if got := r.Targets[1].Target.Wire; got != "plain" {
		t.Errorf("limit of connections is over %q, want plain upgrades", got)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	url, folder := newServer(t), t.TempDir()
	first, second, page := filepath.Join(folder, "1.json"), filepath.Join(folder, "2.json"), filepath.Join(folder, "page.html")
	out, log, err := command(t, "invoke", url+"/hub", "-c", "2", "-d", "1200ms", "-o", first, "--html", page, "--limit")
	if err != nil {
		t.Fatal(err, log)
	}
	for _, want := range []string{"server", "limit", "p99", "lost", "out of order", "×"} {
		if !strings.Contains(out, want) {
			t.Errorf("table has no %q:\n%s", want, out)
		}
	}
	if !strings.Contains(log, "received") {
		t.Errorf("no progress was shown: %q", log)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<!doctype html>", "<svg", "<polyline", "Latency by share", "</html>"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("page has no %q", want)
		}
	}
	for _, not := range []string{"<script", "http://", "https://", "NaN", "Inf", "TOKEN"} {
		if strings.Contains(string(html), not) {
			t.Errorf("page has %q, want a self-contained one", not)
		}
	}
	if _, log, err := command(t, "invoke", url+"/hub", "-c", "3", "-d", "200ms", "-o", second, "--token", "TOKEN"); err != nil {
		t.Fatal(err, log)
	}
	if b, err := os.ReadFile(second); err != nil || strings.Contains(string(b), "TOKEN") {
		t.Errorf("the report shows the token (or %v)", err)
	}
	out, _, err = command(t, "compare", first, second)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"differs: connections 2 and 3", "rate /s", "%"} {
		if !strings.Contains(out, want) {
			t.Errorf("comparison has no %q:\n%s", want, out)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	url, folder := newServer(t), t.TempDir()
	bad := filepath.Join(folder, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"format":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"invoke", "ftp://127.0.0.1"}, "want http://"},
		{[]string{"invoke", url + "/hub", "-c", "0"}, "connections are 0"},
		{[]string{"invoke", url + "/hub", "--size", "3"}, "size is 3 bytes"},
		{[]string{"invoke", url + "/hub", "-d", "48h"}, "duration is 48h0m0s"},
		{[]string{"invoke", url + "/hub", "-H", "nothing"}, `header "nothing"`},
		{[]string{"broadcast", url + "/hub", "--burst", "5", "--workers", "2"}, "a burst needs"},
		{[]string{"groups", url + "/hub", "-c", "2", "--groups", "5"}, "5 groups have only 2"},
		{[]string{"invoke", url + "/nothing", "-c", "1", "-d", "100ms"}, "404"},
		{[]string{"invoke", "http://127.0.0.1:1/hub", "-c", "1", "-d", "100ms"}, "refused"},
		{[]string{"groups", url + "/hub", "-c", "2", "--groups", "1", "--join-method", "None"}, "join a group was answered"},
		{[]string{"compare", bad, bad}, "report of format 99"},
	}
	for _, tt := range tests {
		_, _, err := command(t, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("bench %v: error %v, want %q in it", tt.args, err, tt.want)
		}
	}
}
