package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// ReadReport reads a JSON report.
func ReadReport(name string) (*Report, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Format != FormatVersion || len(r.Targets) == 0 {
		return nil, fmt.Errorf("%s: report of format %d with %d targets, want format %d and at least one target", name, r.Format, len(r.Targets), FormatVersion)
	}
	return &r, nil
}

// Compare writes the figures of two reports beside each other: the server's, and where both have them its ratios to the limit and
// to the server beside it, which hold when the two were made on different machines.
func Compare(w io.Writer, a, b *Report) error {
	if a.Job.Mode != b.Job.Mode {
		return fmt.Errorf("the first report is about %s and the second about %s, want two of the same mode", a.Job.Mode, b.Job.Mode)
	}
	for _, d := range differences(a, b) {
		if _, err := fmt.Fprintln(w, "differs:", d); err != nil {
			return err
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\tfirst\tsecond\tchange\t\t\n", a.Job.Mode)
	for _, f := range figures {
		x, y := *f.of(&a.Targets[0].Median), *f.of(&b.Targets[0].Median)
		if x == 0 && y == 0 {
			continue
		}
		fmt.Fprintf(t, "%s %s\t%s\t%s\t%s\t%s\t\n", f.name, f.unit, number(x), number(y), change(x, y), verdict(f.better, x, y))
	}
	for _, x := range a.Ratios {
		for _, y := range b.Ratios {
			if x.Figure == y.Figure && x.To == y.To {
				fmt.Fprintf(t, "%s to %s\t%.3g×\t%.3g×\t%s\t%s\t\n", x.Figure, x.To, x.Value, y.Value, change(x.Value, y.Value), verdict(betterOf(x.Figure), x.Value, y.Value))
			}
		}
	}
	return t.Flush()
}

func betterOf(name string) int {
	for _, f := range figures {
		if f.name == name {
			return f.better
		}
	}
	return 0
}

func change(x, y float64) string {
	if x == 0 {
		return "new"
	}
	return fmt.Sprintf("%+.1f %%", (y/x-1)*100)
}

// noise is how far two runs of the same differ on a machine that does other things too.
const noise = 0.05

func verdict(better int, x, y float64) string {
	d := y - x
	if better == 0 || d == 0 || (x != 0 && d/x < noise && d/x > -noise) {
		return ""
	}
	if (d > 0) == (better > 0) {
		return "better"
	}
	return "worse"
}

// differences says what makes two reports hard to compare.
func differences(a, b *Report) []string {
	var all []string
	say := func(what string, x, y any) {
		if x != y {
			all = append(all, fmt.Sprintf("%s %v and %v", what, x, y))
		}
	}
	say("connections", a.Job.Connections, b.Job.Connections)
	say("size", a.Job.Size, b.Job.Size)
	orElse := func(name, other string) string { // reports of before have neither
		if name == "" {
			return other
		}
		return name
	}
	say("protocol", orElse(a.Job.Protocol, protocolJSON), orElse(b.Job.Protocol, protocolJSON))
	say("transport", orElse(a.Job.Transport, transportWebSockets), orElse(b.Job.Transport, transportWebSockets))
	say("rate", a.Job.Rate, b.Job.Rate)
	say("pipeline", a.Job.Pipeline, b.Job.Pipeline)
	say("burst", a.Job.Burst, b.Job.Burst)
	say("duration", a.Job.Duration, b.Job.Duration)
	say("processors", a.Machine.CPUs, b.Machine.CPUs)
	say("model", a.Machine.Model, b.Machine.Model)
	return all
}
